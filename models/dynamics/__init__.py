"""Dynamics of codes: the learned motion model and the field of a clip's ODE."""
