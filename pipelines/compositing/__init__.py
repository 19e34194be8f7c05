"""Compositing of the edited face into the frame: masks, colours, shapes, detail, reprojection and fades."""
