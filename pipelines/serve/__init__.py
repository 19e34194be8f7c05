"""`dynstream serve`: live editing over WebRTC, with the protocol of docs/protocol.md."""
