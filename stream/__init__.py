"""Sources and sinks of frames: files, pipes, cameras, networks, clocks."""
