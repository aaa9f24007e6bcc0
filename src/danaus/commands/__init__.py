"""What each command of `danaus` does, one module each."""
