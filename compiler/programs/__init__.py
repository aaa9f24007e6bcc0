"""Passes over Programs: each takes a Program and gives one that means the same, as the executor defines it."""
