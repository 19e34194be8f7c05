"""The way of a frame: analyse, render, composite; and loading an editor with its networks."""
