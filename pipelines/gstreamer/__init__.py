"""A GStreamer element that edits faces: everything but `element.py` works without GStreamer."""
