"""The face editor: analyse, render and composite a frame, and load an editor with its networks."""
