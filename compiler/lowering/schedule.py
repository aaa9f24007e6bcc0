"""The order in which a circuit's blocks are computed: depth first, the child that needs most buffers first.

What enters is a root; what leaves are its blocks, children first, ordered so that few values live at once (after Sethi
and Ullman 1970): an input stands right before its first use, and the long arm of a chain comes before the short one.
"""

from __future__ import annotations

from ...ir.block import Block, children, in_order


def schedule(root: Block) -> list[Block]:
    """The blocks below the root in an order of evaluation that keeps few of them alive."""
    need: dict[Block, int] = {}
    for block in in_order(root):
        below = children(block)
        if len(below) < 2:
            need[block] = need[below[0]] if below else 1
        else:
            wanted = sorted([need[child] for child in set(below)], reverse=True)
            need[block] = max([size + held for held, size in enumerate(wanted)])
    ordered: list[Block] = []
    seen: set[Block] = set()
    stack: list[tuple[Block, bool]] = [(root, False)]
    while stack:
        block, expanded = stack.pop()
        if expanded:
            ordered.append(block)
            continue
        if block in seen:
            continue
        seen.add(block)
        below = children(block)
        if not below:
            ordered.append(block)
            continue
        stack.append((block, True))
        if len(below) > 1:
            below = tuple(sorted(dict.fromkeys(below), key=need.__getitem__))
        stack.extend([(child, False) for child in below if child not in seen])
    return ordered
