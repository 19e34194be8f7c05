"""Talking-head clips that the generator draws, with the truth about every frame."""
