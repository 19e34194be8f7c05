"""Training and measuring models of motion: baselines, predictions ahead, frames made again."""
