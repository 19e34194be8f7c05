"""Measurements that a user can print again: speed, memory and what an edit left of the video."""
