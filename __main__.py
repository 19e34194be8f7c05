"""`python -m dynstream`: the same as the `dynstream` command."""

from .cli.main import main

if __name__ == "__main__":
    main()
