"""Face tracking: detection, identities over time, smoothed points, and the FFHQ crop with its exact inverse."""
