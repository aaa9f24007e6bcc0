"""A circuit as a drawing of its own making: boxes in layers, the root on top, as SVG text."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from ..block import Block, Input, Product, children
from ..circuit import Circuit
from ..scopenames import ScopeNames, scope_text
from .label import Label, label
from .layout import Edge, layout

MOST_DRAWN = 300
"""Blocks in a drawing: more boxes are too many to follow."""

_MARGIN, _HEAD, _GAP = 24.0, 64.0, 22.0
_HEIGHT, _STEP = 42.0, 94.0  # of a box, and from one layer to the next
_LONGEST = 26  # characters of a line in a box
_FILLS = {"input": ("#e6f3e5", "#5d9160"), "product": ("#fdf1d8", "#bd8a2f"), "sum": ("#e3edf9", "#4a7ab5")}

_STYLE = """\
    text { font-family: "Inter", "Helvetica Neue", Helvetica, Arial, sans-serif; fill: #26303b; }
    .title { font-size: 17px; font-weight: 600; }
    .kind { font-size: 12.5px; font-weight: 600; }
    .detail, .note { font-size: 11px; fill: #5a6673; }
    .width { font-size: 10px; font-weight: 600; fill: #ffffff; }
    .edge { fill: none; stroke: #9aa5b1; stroke-width: 1.3; }
    .more { stroke-dasharray: 2 3; }"""


def svg(circuit: Circuit) -> str:
    """The drawing of a circuit; of more than 300 blocks, of those nearest to the root, with a note that says so.

    A box names a block's kind, what it is of, and, in its corner, its width; its scope stands in its tooltip.
    """
    drawn = _nearest(circuit)
    number = {block: position for position, block in enumerate(drawn)}
    below = [[number[child] for child in dict.fromkeys(children(block)) if child in number] for block in drawn]
    labels = [label(block) for block in drawn]
    widths = [_box_width(found) for found in labels]
    places = layout(below, widths, _GAP)
    caption = f"{_count(len(circuit.variables), 'variable')}, {_count(circuit.nodes, 'node')}, "
    caption += _count(len(circuit.blocks), "block")
    if len(drawn) < len(circuit.blocks):
        caption += f"; drawn are the {len(drawn)} blocks nearest to the root"
    width = max(places.width, 6.2 * len(caption), 9.5 * len(circuit.name)) + 2 * _MARGIN
    height = _top(max(places.layer)) + _HEIGHT + _MARGIN + (12 if len(drawn) < len(circuit.blocks) else 0)
    shift = (width - places.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"  <title>circuit {_text(circuit.name)}</title>",
        f"  <style>\n{_STYLE}\n  </style>",
        f'  <rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'  <text class="title" x="{_MARGIN:g}" y="{_MARGIN + 12:g}">{_text(circuit.name)}</text>',
        f'  <text class="note" x="{_MARGIN:g}" y="{_MARGIN + 32:g}">{_text(caption)}</text>',
    ]
    for edge in places.edges:
        times = children(drawn[edge.upper]).count(drawn[edge.lower])
        parts += _edge(edge, places.layer[edge.upper], shift, times)
    names = ScopeNames(circuit.scopes.variables)
    for position, block in enumerate(drawn):
        x, y = places.x[position] + shift, _top(places.layer[position])
        if any(child not in number for child in children(block)):
            parts.append(f'  <path class="edge more" d="M{x:.1f} {y + _HEIGHT:.1f} v16"/>')
        scope = scope_text(circuit, names, block) or "no variables"
        parts += _box(block, labels[position], scope, x, y, widths[position])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _nearest(circuit: Circuit) -> list[Block]:
    """The blocks to draw, parents first: all of a small circuit, of a large one those nearest to the root."""
    kept = {circuit.root}
    queue = [circuit.root]
    for block in queue:
        for child in children(block):
            if child not in kept and len(kept) < MOST_DRAWN:
                kept.add(child)
                queue.append(child)
    ordered: list[Block] = []
    seen: set[Block] = set()
    stack: list[tuple[Block, bool]] = [(circuit.root, False)]
    while stack:  # the last child first, and all of it turned round: so the first child stands on the left
        block, expanded = stack.pop()
        if expanded:
            ordered.append(block)
        elif block in kept and block not in seen:
            seen.add(block)
            stack.append((block, True))
            stack.extend((child, False) for child in children(block))
    return ordered[::-1]


def _top(layer: int) -> float:
    return _MARGIN + _HEAD + layer * _STEP


def _box_width(found: Label) -> float:
    """Wide enough for its texts, by the mean width of their letters."""
    return max(7.4 * len(_cut(found.kind)), 6.1 * len(_cut(found.detail)), 48.0) + 26


def _box(block: Block, found: Label, scope: str, x: float, y: float, width: float) -> list[str]:
    kind = "input" if isinstance(block, Input) else "product" if isinstance(block, Product) else "sum"
    fill, line = _FILLS[kind]
    left, badge = x - width / 2, 9 + 5.8 * len(f"{found.width:,}")
    middle = y + (18 if found.detail else 25)
    out = [
        f"  <g><title>{_text(f'{found} · {scope}')}</title>",
        f'    <rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT:g}" rx="8" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.2"/>',
        f'    <text class="kind" x="{x:.1f}" y="{middle:.1f}" text-anchor="middle">{_text(_cut(found.kind))}</text>',
    ]
    if found.detail:
        detail = _text(_cut(found.detail))
        out.append(f'    <text class="detail" x="{x:.1f}" y="{y + 33:.1f}" text-anchor="middle">{detail}</text>')
    if found.width > 1:
        right = left + width - badge + 7
        out += [
            f'    <rect x="{right:.1f}" y="{y - 8:.1f}" width="{badge:.1f}" height="15" rx="7.5" fill="{line}"/>',
            f'    <text class="width" x="{right + badge / 2:.1f}" y="{y + 3.2:.1f}" text-anchor="middle">'
            f"{found.width:,}</text>",
        ]
    return [*out, "  </g>"]


def _edge(edge: Edge, layer: int, shift: float, times: int) -> list[str]:
    """A line from the foot of one box to the head of another, upright at both ends and at every bend."""
    x = [place + shift for place in edge.points]
    y = _top(layer) + _HEIGHT
    path = f"M{x[0]:.1f} {y:.1f}"
    for step, (start, end) in enumerate(pairwise(x), start=1):
        foot = _top(layer + step)
        half = (y + foot) / 2
        path += f" C{start:.1f} {half:.1f} {end:.1f} {half:.1f} {end:.1f} {foot:.1f}"
        y = foot
        if step < len(x) - 1:
            y += _HEIGHT
            path += f" V{y:.1f}"
    out = [f'  <path class="edge" d="{path}"/>']
    if times > 1:
        out.append(f'  <text class="note" x="{x[-1] + 5:.1f}" y="{y - 6:.1f}">×{times}</text>')
    return out


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _text(text: str) -> str:
    """Text as XML holds it: escaped, and without the control characters that it may not have."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text))
