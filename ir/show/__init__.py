"""Circuits for people: a summary, a picture on a terminal, and drawings as Graphviz text and SVG."""

from .dot import dot
from .summary import summary
from .svg import svg
from .terminal import picture

__all__ = ["dot", "picture", "summary", "svg"]
