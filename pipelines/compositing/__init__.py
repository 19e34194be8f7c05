"""Putting the edited face into the frame: masks, colours, shapes, the carried detail, and when to give way."""
