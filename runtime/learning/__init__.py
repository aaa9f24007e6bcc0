"""Learning: what moves the parameters of an executable towards data."""
