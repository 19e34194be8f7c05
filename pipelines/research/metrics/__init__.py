"""How good a result is: each metric a function with its formula, source, range, direction and unit."""
