"""From a face to its codes: what a stream remembers, the recurrent encoder, optimization, the fit to one person."""
