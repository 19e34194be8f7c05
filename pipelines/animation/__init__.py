"""Pictures that follow somebody's motion: what a driver does, what a face does with it, and how it is composited."""
