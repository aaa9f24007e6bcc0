"""The adjoint of a Program: forward, then from the root's derivative down, with what is kept and what is computed anew.

What enters is a Program whose buffers are filled once; what leaves is a sequence of operations over buffers that are
reused: the Program's own, and for each of them its pull, which brings the derivative of its result to its sources and
tables. A pull reads values of the forward pass. Those that are `kept` live until then; all others are computed again
when a pull first asks for them, so that memory is what is kept and what lives at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .operation import AllPairs, Contract, Gather, Join, Multiply, Scale, Step, reads, renamed, unrolled
from .program import Program
from .widths import width_of


@dataclass(frozen=True, slots=True)
class Seed:
    """The derivative of a row's answer with respect to the root: what the reverse begins with."""

    root: int
    out: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Zeros in every node, for pulls that only add."""

    out: int


@dataclass(frozen=True, slots=True)
class Pull:
    """Of one operation: from the derivative of its result those of its sources, [nodes, batch] each, and of its table.

    `step` is over buffers of values, `result` and `shares` over those of derivatives; a share is written, or added to
    what is there already.
    """

    step: Step
    result: int
    shares: tuple[int, ...]
    adds: tuple[bool, ...]


Move = Step | Seed | Clear | Pull


@dataclass(frozen=True, slots=True)
class Adjoint:
    """A Program forward and in reverse; `buffers` are their numbers of nodes, `widths` those that each move writes, or,
    for a pull, that its step wrote, with those of the step's sources."""

    program: Program
    moves: tuple[Move, ...]
    widths: tuple[tuple[int, tuple[int, ...]], ...]
    buffers: tuple[int, ...]


def adjoint(program: Program, limit: int) -> Adjoint:
    """The adjoint of a Program that keeps the results of matrices, thinned out until they have at most `limit` nodes.

    Where a chain is so long that even what crosses the borders of stretches is more, the stretches are those whose
    borders and insides are least together, about the square root of its length (Griewank, "Achieving logarithmic
    growth of temporal and spatial complexity in reverse automatic differentiation", 1992, with one level).
    """
    steps = list(unrolled(program.operations))
    sizes: dict[int, int] = {}
    for step in steps:
        sizes[step.out] = width_of(step, tuple(sizes[source] for source in reads(step)), program)
    return _placed(program, _derived(program, steps, _kept(steps, sizes, limit), sizes), sizes)


def _kept(steps: Sequence[Step], sizes: dict[int, int], limit: int) -> frozenset[int]:
    """The buffers whose values live until the reverse reads them."""
    dear = [step.out for step in steps if isinstance(step, Contract)]
    last: dict[int, int] = {}
    for position, step in enumerate(steps):
        for source in reads(step):
            last[source] = position
    made = {step.out: position for position, step in enumerate(steps)}
    best: tuple[int, frozenset[int]] | None = None
    count = 1
    while count <= max(1, len(dear)):
        borders = [made[dear[len(dear) * part // count - 1]] + 1 for part in range(1, count)]
        crossing = frozenset(
            buffer for buffer in dear for border in borders if made[buffer] < border <= last.get(buffer, -1)
        )
        start = borders[-1] if borders else 0
        inside = max(
            sum(sizes[buffer] for buffer in dear if first <= made[buffer] < after)
            for first, after in zip([0, *borders], [*borders, len(steps)], strict=True)
        )
        kept = crossing | {buffer for buffer in dear if made[buffer] >= start}
        total = sum(sizes[buffer] for buffer in crossing) + inside
        if best is not None and total >= best[0]:
            break
        best = (total, kept)
        if total <= limit:
            break
        count *= 2
    assert best is not None
    return best[1]


def values_read(step: Step) -> tuple[int, ...]:
    """The buffers whose values, or scales, the pull of an operation reads."""
    match step:
        case Multiply(factors=sources) | AllPairs(factors=sources) | Join(parts=sources):
            return sources
        case Scale(source=source) | Contract(source=source):
            return (source,)
        case _:
            return ()


def _derived(
    program: Program, steps: Sequence[Step], kept: frozenset[int], sizes: dict[int, int]
) -> tuple[list[Move], dict[int, int]]:
    """Moves over buffers that are each filled once (derivatives also added to), with their nodes."""
    made = {step.out: step for step in steps}
    nodes: dict[int, int] = {}
    moves: list[Move] = []

    def fresh(original: int) -> int:
        nodes[len(nodes)] = sizes[original]
        return len(nodes) - 1

    first = {step.out: fresh(step.out) for step in steps}
    moves += [renamed(step, first) for step in steps]
    held = {buffer: first[buffer] for buffer in kept}
    seed = fresh(program.root)
    moves.append(Seed(first[program.root], seed))
    derivatives = {program.root: seed}

    def need(buffer: int) -> None:
        waiting = [buffer]
        while waiting:
            top = waiting[-1]
            missing = [source for source in reads(made[top]) if source not in held] if top not in held else []
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if top not in held:
                version = fresh(top)
                moves.append(renamed(made[top], held | {top: version}))
                held[top] = version

    for step in reversed(steps):
        result = derivatives.pop(step.out, None)
        if result is None:
            continue
        for source in values_read(step):
            need(source)
        shares: list[int] = []
        adds: list[bool] = []
        for source in reads(step):
            there = source in derivatives
            if not there:
                derivatives[source] = fresh(source)
                if _only_adds(step, sizes):
                    moves.append(Clear(derivatives[source]))
                    there = True
            shares.append(derivatives[source])
            adds.append(there)
        read = {source: held.get(source, -1) for source in reads(step)}
        moves.append(Pull(renamed(step, read | {step.out: -1}), result, tuple(shares), tuple(adds)))
    return moves, nodes


def _only_adds(step: Step, sizes: dict[int, int]) -> bool:
    """Whether the pull of an operation leaves nodes of its source out, or meets them twice."""
    match step:
        case Gather() | Join():
            return True
        case Contract(source=source, blocks=blocks, columns=columns):
            return blocks * columns != sizes[source]
        case _:
            return False


def _names(move: Move) -> Iterator[int]:
    """The buffers of a move, those that it fills first."""
    match move:
        case Seed(root, out):
            yield from (out, root)
        case Clear(out):
            yield out
        case Pull(step, result, shares, _):
            yield from shares
            yield result
            yield from (source for source in values_read(step))
        case _:
            yield move.out
            yield from reads(move)


def _placed(program: Program, derived: tuple[list[Move], dict[int, int]], sizes: dict[int, int]) -> Adjoint:
    """The same moves over buffers that take one another's places."""
    moves, nodes = derived
    last: dict[int, int] = {}
    for position, move in enumerate(moves):
        for name in _names(move):
            last[name] = position
    places = _Places()
    placed: list[Move] = []
    widths: list[tuple[int, tuple[int, ...]]] = []
    for position, move in enumerate(moves):
        names = list(dict.fromkeys(name for name in _names(move) if name >= 0))
        for name in names:
            places.take(name, nodes[name])
        widths.append(_width(move, nodes, program))
        placed.append(_moved(move, places.of))
        for name in names:
            if last[name] == position:
                places.leave(name)
    return Adjoint(program, tuple(placed), tuple(widths), tuple(places.sizes))


def values_of(move: Move) -> tuple[int, ...]:
    """The buffers whose values, or derivatives, a move reads."""
    match move:
        case Seed(root=root):
            return (root,)
        case Clear():
            return ()
        case Pull(step, result, shares, _):
            return (result, *shares, *values_read(step))
        case _:
            return reads(move)


def _width(move: Move, nodes: dict[int, int], program: Program) -> tuple[int, tuple[int, ...]]:
    match move:
        case Seed():
            return 1, ()
        case Clear(out):
            return nodes[out], ()
        case Pull(result=result, shares=shares):
            return nodes[result], tuple(nodes[share] for share in shares)
        case _:
            return nodes[move.out], tuple(nodes[source] for source in reads(move))


def _moved(move: Move, place: dict[int, int]) -> Move:
    match move:
        case Seed(root, out):
            return Seed(place[root], place[out])
        case Clear(out):
            return Clear(place[out])
        case Pull(step, result, shares, adds):
            read = {source: place.get(source, -1) for source in (*reads(step), -1)}
            return Pull(renamed(step, read), place[result], tuple(place[share] for share in shares), adds)
        case _:
            return renamed(move, place)


class _Places:
    """Buffers in memory: one that is left is taken by the next of its size, or by one that fits it."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}
        self.sizes: list[int] = []
        self._free: dict[int, list[int]] = {}

    def take(self, name: int, nodes: int) -> None:
        if name in self.of:
            return
        size = nodes if self._free.get(nodes) else min((s for s in self._free if s > nodes), default=None)
        if size is None:
            self.of[name] = len(self.sizes)
            self.sizes.append(nodes)
            return
        self.of[name] = self._free[size].pop()
        if not self._free[size]:
            del self._free[size]

    def leave(self, name: int) -> None:
        place = self.of.pop(name)
        self._free.setdefault(self.sizes[place], []).append(place)
