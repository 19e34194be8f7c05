"""Compositing in torch, for pictures that stay on a device; beside each operation stands the one of OpenCV it equals.

Pictures are (C, S, S) float32 in 0..255 and masks (S, S) in 0..1. Nothing here asks for a value, and no shape depends
on one: what depends on the picture is a factor of 0 or 1, not a branch.
"""
