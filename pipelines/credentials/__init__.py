"""Content Credentials (C2PA): signed records of what was done to a file, written and read."""
