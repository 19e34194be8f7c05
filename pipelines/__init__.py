"""Pipelines of a stream: find faces, invert, edit, draw, composite. `research/` trains and measures."""
