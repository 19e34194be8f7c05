"""How codes move: the learned motion model and the field of a clip's ODE."""
