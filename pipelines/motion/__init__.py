"""How a face's codes move in time: the online predictor, keyframes, retiming, motion blending."""
