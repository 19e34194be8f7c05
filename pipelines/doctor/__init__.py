"""Checks of a machine for dynstream, each with the command that fixes a problem."""
