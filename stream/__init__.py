"""How frames come and go: files, pipes, cameras, networks, clocks."""
