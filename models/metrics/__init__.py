"""Networks for metrics: identity, perceptual distance, age, optical flow, Inception."""
