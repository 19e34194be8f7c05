"""Complete runs: on a file, a pipe or a live source, the demonstration, and frame rate conversion."""
