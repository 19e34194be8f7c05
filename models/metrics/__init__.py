"""Networks that judge: identity, perceptual distance, age, optical flow, Inception."""
