"""Live media over WebRTC: what aiortc lacks for holding latency, each in one small file, and the tracks built on it.

Read against aiortc 1.16. Where a file changes aiortc's behaviour it says why, and a test notices when aiortc mends it.
"""
