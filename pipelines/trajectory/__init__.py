"""DynODE: the codes of one clip as the solution of a neural ODE."""
