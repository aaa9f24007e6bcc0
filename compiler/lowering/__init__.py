"""Lowering: from a circuit to the Program that computes it."""
