"""What is done to a stream: track, align, invert, edit, synthesize, composite; training; evaluation."""
