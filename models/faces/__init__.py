"""Face networks: detection, landmarks, blendshapes, parsing."""
