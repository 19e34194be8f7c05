"""What a machine has and lacks for dynstream, and the command that mends it."""
