"""`python -m danaus` is `danaus`."""

from .cli import main

main()
