"""Who is where in a frame: detection, identities over time, steady points, the FFHQ crop and exactly back."""
