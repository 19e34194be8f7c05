"""What every folder here may use: errors, tensors, stage timing, optical flow, image operations."""
