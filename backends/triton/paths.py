"""Paths: groups of which each reads only the one before it, as in a hidden Markov model, to run in one launch.

What enters are groups; what leaves are units in order, each a group of its own or a path: some stages, a loop over
stages whose operands move on by equal steps, and some stages more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .groups import Group, Grouped
from .value import Form, Read, Times

PERIODS = 8
"""Loops have at most so many stages in a turn, and paths at most so many before and after the loop: text is compiled
once for each."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Groups that one program runs for its rows of data, by their positions: `head` of them, then `count` turns of
    `period`, then the rest. A group of its own has no turns."""

    groups: tuple[int, ...]
    head: int
    period: int = 0
    count: int = 0

    @property
    def stages(self) -> tuple[int, ...]:
        """The positions of those whose text a kernel has: one turn stands for all."""
        return self.groups[: self.head + self.period] + self.groups[self.head + self.period * self.count :]


def units(found: Grouped) -> list[Unit]:
    """All groups, those on paths together, in the order of their last groups."""
    after = following(found)
    preceded = set(after.values())
    out: list[tuple[int, Unit]] = []
    for start in range(len(found.groups)):
        if start in preceded:
            continue
        path = [start]
        while path[-1] in after:
            path.append(after[path[-1]])
        out += [(unit.groups[-1], unit) for unit in _cut(path, found.groups)]
    return [unit for _, unit in sorted(out, key=lambda pair: pair[0])]


def slot_before(form: Form) -> int | None:
    """The slot through which a form reads one buffer as it lies; None where it reads others, or not node by node."""
    if form.slots.count("buffer") != 1:
        return None
    factors = form.value.factors if isinstance(form.value, Times) else (form.value,)
    reads = [factor for factor in factors if isinstance(factor, Read) and factor.width == form.value.width]
    return reads[0].slot if len(reads) == 1 else None


def following(found: Grouped) -> dict[int, int]:
    """For each group whose buffer one other reads, as it lies, and nothing else, that other."""
    reads: Counter[int] = Counter([found.root])
    for group in found.groups:
        reads.update(
            operand for kind, operand in zip(group.form.slots, group.operands, strict=True) if kind == "buffer"
        )
    hosts = {host for buffer, (host, _) in enumerate(found.homes) if host != buffer}
    out: dict[int, int] = {}
    for number, group in enumerate(found.groups):
        slot = slot_before(group.form)
        if slot is None or group.form.matrix is None or len(group.after) != 1:
            continue
        source = found.groups[group.after[0]]
        alone = found.homes[source.out] == (source.out, 0) and source.out not in hosts and reads[source.out] == 1
        if alone and group.operands[slot] == source.out and source.form.matrix is not None:
            out[group.after[0]] = number
    return out


def _cut(path: Sequence[int], groups: Sequence[Group]) -> list[Unit]:
    """A path as one unit where a loop and a few stages make it up; else its groups on their own."""
    start, period, count = _loop([groups[number] for number in path])
    if count and start == 0:  # the first stage reads memory: it is before the loop
        start, count = period, count - 1
    after = len(path) - start - period * count
    if count and not after:  # the last stage writes elsewhere: it is after the loop
        after, count = period, count - 1
    if count < 2:
        start, period, count, after = len(path), 0, 0, 0
    if len(path) < 2 or start > PERIODS or after > PERIODS:
        return [Unit((number,), 1) for number in path]
    return [Unit(tuple(path), start, period, count)]


def _loop(groups: Sequence[Group]) -> tuple[int, int, int]:
    """Where the loop that covers most of a path begins, the stages of a turn, and the turns; no turns where there is
    none of three."""
    best = (len(groups), 0, 0)
    for period in range(1, min(PERIODS, len(groups) // 3) + 1):
        steps = [_step(a, b) for a, b in zip(groups, groups[period:], strict=False)]
        start = 0
        while start < len(steps):
            end = start
            while (
                end < len(steps)
                and steps[end] is not None
                and (end < start + period or steps[end] == steps[end - period])
            ):
                end += 1
            count = (end - start) // period + 1
            if count >= 3 and count * period > best[1] * best[2]:
                best = (start, period, count)
            start = max(end, start + 1)
    return best


def _step(first: Group, second: Group) -> tuple[int, ...] | None:
    """How far each operand moves on from one group to another of the same form; buffers stand for what is on hand."""
    if first.form != second.form:
        return None
    pairs = zip(first.form.slots, first.operands, second.operands, strict=True)
    return tuple(0 if kind == "buffer" else b - a for kind, a, b in pairs)
