"""Peers on the same function, each a server in an environment of its own, and what talks to them."""
