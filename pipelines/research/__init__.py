"""Training, measuring and drawing test clips. The runtime imports nothing from here."""
