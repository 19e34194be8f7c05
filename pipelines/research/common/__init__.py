"""What several parts of research share: caches of arrays, of flow, of computed features."""
