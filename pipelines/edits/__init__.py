"""Edits of a face and their strengths over time: parsing, presets, ramps."""
