"""Encoders: faces to W+ codes, frame by frame and over time."""
