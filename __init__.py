"""The repository's root: the rooms stand here, and `src/danaus` links them into one package."""
