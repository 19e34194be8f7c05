"""Fitting an inversion to one person or one clip: code optimization, pivotal tuning, refinement."""
