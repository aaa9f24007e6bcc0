"""`.nnf`: sentences in negation normal form, as c2d, dsharp and d4 write them. A file becomes a circuit of 0 and 1.

c2d and dsharp: `nnf NODES EDGES VARIABLES`, then a line per node, children first: `L literal`, `A n child …`,
`O variable n child …`; the last node is the root (A. Darwiche, c2d's manual). d4: a line `o`, `a`, `t` or `f` with the
node's number, and a line per edge, `from to literal … 0`, whose literals hold beside what it leads to; node 1 is the
root (J.-M. Lagniez and P. Marquis, d4). The syntax is told by the first line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.linear import Indices
from ..spec import Spec
from .lines import distinct, indicators, require_letters, require_literals, unsaid
from .options import ForeignOptions
from .pack import Booleans, Cyclic, pack
from .single import boolean_variables, single, variable_count
from .tokens import Words, stretches


@dataclass(frozen=True, slots=True)
class Sentence:
    """Nodes as arrays: literals (±variable) are 0 … L−1, node L + k has sums[k] and members[offsets[k] … ].

    `lines[k]` is the line of the file that node k came from.
    """

    literals: Indices
    sums: Booleans
    offsets: Indices
    members: Indices
    root: int
    variables: int | None
    lines: Indices


def read_nnf(path: Path, options: ForeignOptions, known: Mapping[str, Variable]) -> Spec:
    """The circuit of a file, over the variables x1 … xn, with no numbers to learn.

    Raises: DanausError with the place of what the file gets wrong.
    """
    words = Words.read(path)
    sentence = _sentence(words)
    largest = int(np.abs(sentence.literals).max(initial=0))
    count = variable_count(sentence.variables, largest, options)
    variables = boolean_variables(count, options, known)
    inputs = indicators(sentence.literals, variables)
    try:
        packed = pack(inputs, sentence.sums, sentence.offsets, sentence.members, None, sentence.root)
    except Cyclic as failure:
        place = words.line_span(int(sentence.lines[failure.node]))
        raise error("cycle", "this node stands on itself, through others", place) from None
    notes = [] if sentence.variables is not None else unsaid(path, largest, options)
    return single(path, variables, packed.root, packed.values, notes)


def _sentence(words: Words) -> Sentence:
    """The nodes of a file, by the syntax that its first line is of."""
    if not len(words.counts):
        raise error(
            "wrong-format", f"{words.name} holds no nodes", hint="a file starts with `nnf` or with a node of d4"
        )
    if words.word(0) == "nnf":
        return _c2d(words)
    if words.letters[0] in b"oatf":
        return _d4(words)
    raise error(
        "wrong-format",
        f'"{words.word(0)[:40]}" starts no .nnf file',
        words.span(0),
        hint="c2d and dsharp start with `nnf NODES EDGES VARIABLES`, d4 with `o 1 0`",
    )


def _c2d(words: Words) -> Sentence:
    header = _header(words)
    firsts, counts, letters = words.lines[1:-1], words.counts[1:], words.letters[1:]
    require_letters(words, np.arange(1, len(words.letters)), b"LAO", "L, A or O")
    is_literal, is_sum = letters == ord("L"), letters == ord("O")
    skip = np.where(is_literal, 1, np.where(is_sum, 3, 2))  # the words before the first child, or the literal
    short = np.flatnonzero(counts < np.where(is_literal, 2, skip))
    if len(short):
        line = int(short[0])
        raise error("wrong-node", "this line ends too early", words.line_span(line + 1), hint=_NODES)
    words.require_integers()
    values = words.values
    lengths = np.where(is_literal, 0, values[firsts + skip - 1])
    wrong = np.flatnonzero(counts != np.where(is_literal, 2, skip + lengths))
    if len(wrong):
        line = int(wrong[0])
        said = "" if is_literal[line] else f", not the {lengths[line]} that it says"
        message = f"this node has {counts[line] - skip[line]} children{said}"
        if is_literal[line]:
            message = "a literal is one number"
        raise error("wrong-node", message, words.line_span(line + 1), hint=_NODES)
    total, _, declared = header
    if total > len(firsts):  # some tools write one less than there are
        raise error(
            "wrong-count",
            f"the header says {total} nodes, but there are {len(firsts)}",
            words.line_span(0),
            hint="the file may have been cut short",
        )
    _require_nodes(words, len(firsts))
    given = values[firsts[is_literal] + 1]
    require_literals(words, firsts[is_literal] + 1, given, declared)
    literals, which = distinct(given)
    number = np.cumsum(~is_literal, dtype=values.dtype) + (len(literals) - 1)
    number[is_literal] = which
    inner = np.flatnonzero(~is_literal)
    # The words that are children: all but those that every line of its kind has.
    child = np.ones(len(values), dtype=bool)
    child[: words.lines[1]] = child[firsts] = child[firsts + 1] = child[firsts[is_sum] + 2] = False
    below, owner = values[child], np.repeat(inner.astype(values.dtype), lengths[inner])
    late = np.flatnonzero((below < 0) | (below >= owner))
    if len(late):
        place = int(np.flatnonzero(child)[late[0]])
        message = f"node {below[late[0]]} does not stand before node {owner[late[0]]}"
        raise error("wrong-node", message, words.span(place), hint="nodes count from 0, children come first")
    offsets = np.concatenate([[0], np.cumsum(lengths[inner])])
    return Sentence(literals, is_sum[inner], offsets, number[below], int(number[-1]), declared, inner + 1)


_NODES = "a node is `L literal`, `A n child …` or `O variable n child …`"


def _header(words: Words) -> list[int]:
    if words.counts[0] != 4:
        raise error("wrong-header", "the header is not whole", words.line_span(0), hint="nnf NODES EDGES VARIABLES")
    found: list[int] = words.integers(np.arange(1, 4)).tolist()
    if min(found) < 0:
        raise error("wrong-header", "a number of the header is negative", words.line_span(0))
    return found


def _require_nodes(words: Words, count: int) -> None:
    if not count:
        raise error("wrong-format", f"{words.name} holds no nodes", words.line_span(0))


def _d4(words: Words) -> Sentence:
    firsts, counts, letters = words.lines[:-1], words.counts, words.letters
    lettered = letters > ord("9")
    require_letters(words, np.flatnonzero(lettered), b"oatf", "o, a, t or f, or an edge between two nodes")
    words.require_integers()
    values = words.values
    last = words.lines[1:] - 1
    open_ = np.flatnonzero((counts < 3) | (lettered & (counts != 3)) | (values[last] != 0))
    if len(open_):
        hint = "a node is `o 1 0`, an edge `1 2 literal … 0`"
        raise error("wrong-node", "this line is neither a node nor an edge", words.line_span(int(open_[0])), hint=hint)
    nodes = values[firsts[lettered] + 1]
    _require_each_once(words, firsts[lettered] + 1, nodes)
    count = len(nodes)
    declared_at = np.argsort(nodes)
    kinds, lines = letters[lettered][declared_at], np.flatnonzero(lettered)[declared_at]
    arcs = np.flatnonzero(~lettered)
    source, target = values[firsts[arcs]], values[firsts[arcs] + 1]
    for column, ends in ((0, source), (1, target)):
        absent = np.flatnonzero((ends < 1) | (ends > count))
        if len(absent):
            place = int(firsts[arcs[absent[0]]]) + column
            raise error("wrong-node", f"there is no node {ends[absent[0]]}", words.span(place), hint=f"1 … {count}")
    leafs = np.flatnonzero(np.isin(kinds[source - 1], np.frombuffer(b"tf", dtype=np.uint8)))
    if len(leafs):
        raise error("wrong-node", "t and f have no edges", words.line_span(int(arcs[leafs[0]])))
    lengths = counts[arcs] - 3
    # The words that are literals: all but the first two of a line and its last.
    literal = np.ones(len(values), dtype=bool)
    literal[firsts] = literal[firsts + 1] = literal[last] = False
    given = values[literal]
    require_literals(words, literal, given, None)
    literals, which = distinct(given)
    # An edge of a product is what it leads to and its literals; one of a sum, where it has literals, a product of both.
    leaves = len(literals)
    of_sum = (kinds == ord("o"))[source - 1]
    joins = of_sum & (lengths > 0)
    conjoined = np.flatnonzero(joins)
    inlined = np.where(joins, 0, lengths)
    first = leaves + count
    leads = target + (leaves - 1)
    held = np.flatnonzero(lengths)
    joined = np.repeat(joins[held], lengths[held])
    below = _interleaved(leads[conjoined], which[joined], lengths[conjoined])
    leads[conjoined] = np.arange(first, first + len(conjoined))
    own = _interleaved(leads, which[~joined], inlined)
    bounds = np.concatenate([[0], np.cumsum(inlined + 1)]).astype(words.lines.dtype)
    runs = np.flatnonzero(np.concatenate([[True], source[1:] != source[:-1]])[: len(source)])
    sizes = np.diff(bounds[np.append(runs, len(source))])
    order = np.argsort(source[runs], kind="stable")
    if (order[1:] < order[:-1]).any():
        own = own[stretches(bounds[runs[order]], sizes[order])]
    sizes = np.bincount(source[runs] - 1, sizes, minlength=count).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes), len(own) + np.cumsum(lengths[conjoined] + 1)])
    members = np.concatenate([own, below])
    sums = np.zeros(count + len(conjoined), dtype=bool)
    sums[:count] = (kinds == ord("o")) | (kinds == ord("f"))
    lines = np.concatenate([lines, arcs[conjoined]])
    return Sentence(literals, sums, offsets, members, leaves, None, lines)


def _interleaved(firsts: Indices, others: Indices, lengths: Indices) -> Indices:
    """Each of the firsts, and behind it so many of the others."""
    out = np.empty(len(firsts) + len(others), dtype=firsts.dtype)
    leading = np.zeros(len(out), dtype=bool)
    leading[np.cumsum(lengths + 1) - lengths - 1] = True
    out[leading] = firsts
    out[~leading] = others
    return out


def _require_each_once(words: Words, places: Indices, nodes: Indices) -> None:
    """Nodes are numbered from 1 on, each once."""
    if not len(nodes):
        raise error("wrong-format", f"{words.name} holds no nodes", words.line_span(0))
    if np.array_equal(nodes, np.arange(1, len(nodes) + 1)):
        return
    order = np.argsort(nodes, kind="stable")
    wrong = np.flatnonzero(nodes[order] != np.arange(1, len(nodes) + 1))
    if len(wrong):
        at = int(order[wrong[0]])
        message = f"node {nodes[at]} stands here, where {wrong[0] + 1} is next"
        raise error("wrong-node", message, words.span(int(places[at])), hint="number the nodes 1, 2, 3, …, each once")
