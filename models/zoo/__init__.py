"""Other people's weights: listed, fetched, checked, converted."""
