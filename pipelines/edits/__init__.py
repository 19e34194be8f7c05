"""What to change about a face, how strongly and when: parsing, presets, ramps."""
