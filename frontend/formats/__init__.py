"""Circuits of other tools: readers of their files, which make specs of one circuit."""
