"""Code for a target: one room each, with what emits kernels apart from what loads them."""
