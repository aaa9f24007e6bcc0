"""A circuit as Graphviz text."""

from __future__ import annotations

from ..block import Input, Product, children
from ..circuit import Circuit
from .label import label

_SHAPES = {"input": ("box", "#d8ead7"), "product": ("ellipse", "#fbe6c2"), "sum": ("ellipse", "#d5e3f5")}


def dot(circuit: Circuit) -> str:
    """The circuit's blocks as a directed graph, from the root down: `dot -Tpdf FILE.dot` draws it.

    A child that stands several times in a block has as many edges.
    """
    names = {block: f"b{number}" for number, block in enumerate(circuit.blocks)}
    lines = [
        f"digraph {_quoted(circuit.name)} {{",
        "  rankdir=TB;",
        '  node [style="filled,rounded", fontname="Helvetica", fontsize=11, color="#555555"];',
        '  edge [color="#777777", arrowsize=0.6];',
    ]
    for block, name in names.items():
        kind = "input" if isinstance(block, Input) else "product" if isinstance(block, Product) else "sum"
        shape, colour = _SHAPES[kind]
        found = label(block)
        rows = [found.kind, *([found.detail] if found.detail else []), f"{found.width} node{'s' * (found.width != 1)}"]
        text = "\\n".join(map(_escaped, rows))
        lines.append(f'  {name} [label="{text}", shape={shape}, fillcolor="{colour}"];')
    for block, name in names.items():
        lines += [f"  {name} -> {names[child]};" for child in children(block)]
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'
