"""Face generators: MobileStyleGAN, StyleGAN2, and the loaders of their published files."""
