"""Inversion of a face to its codes: latent memory, the recurrent inverter, sampling of codes."""
