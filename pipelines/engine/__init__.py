"""Many streams on one device: what is drawn when, what is shown instead of what is late, and who may come in."""
