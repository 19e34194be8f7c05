"""Motion of a face's codes in time: the online predictor, keyframes, retiming, motion blending."""
