"""The parts of `evaluate`: reading videos in step, keeping what was computed, measuring, and the report."""
