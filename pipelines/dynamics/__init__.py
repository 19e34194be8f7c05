"""How a face's codes move in continuous time: one clip's trajectory, and a predictor beside a live stream."""
