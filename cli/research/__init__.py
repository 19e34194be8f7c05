"""Commands that train, measure and draw test clips."""
