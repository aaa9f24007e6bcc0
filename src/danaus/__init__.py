"""Danaus compiles probabilistic circuits: text or Python in, proved properties and exact answers out."""
