"""Whole runs: a file, a pipe, a live source, the demonstration, another frame rate."""
