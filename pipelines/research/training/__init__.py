"""The project's own trainings: each one resumable, each one ending in a weight file and its card."""
