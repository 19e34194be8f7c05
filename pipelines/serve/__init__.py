"""`dynstream serve`: live editing over WebRTC, spoken as docs/protocol.md says."""
