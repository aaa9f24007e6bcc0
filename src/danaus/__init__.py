"""Danaus, a compiler for probabilistic circuits."""
