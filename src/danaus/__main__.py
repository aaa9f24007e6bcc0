"""`python -m danaus` is `danaus`."""

from .cli import main

if __name__ == "__main__":
    main()
