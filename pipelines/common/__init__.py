"""Shared parts of all pipelines: errors, tensors, stage timing, optical flow, image operations."""
