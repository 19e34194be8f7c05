"""Words and faces: drawn faces with captions, the training of the embedding and of the mapper, how well they work."""
