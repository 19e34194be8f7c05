"""Sentences and faces in one space: sentence embeddings, the text-face embeddings, and what words mean as edits."""
