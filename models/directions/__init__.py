"""Edit directions in W+, linear and nonlinear."""
