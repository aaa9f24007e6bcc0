"""Expectation maximisation: from expected counts to the parameters that they make most likely.

What enters are rows and an executable; what leaves are new values of its learnable parameters, in closed form. A row of
weights becomes its normalised counts, a probability its share of ones, means and deviations of gaussians and rates of
poissons their weighted averages; discretised logistic inputs climb (logistic.py). Missing values are summed out and
count nothing, so that every full step is one of EM on the marginal likelihood (Dempster, Laird, Rubin, JRSS B 1977),
which never decreases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ir.dependence import is_learnable
from ...ir.diagnostic import error
from ...ir.expression import Expression
from ...ir.family import Gaussian, Poisson
from ...ir.linear import Indices
from ...ir.numbers import Numbers
from ...ir.parameter import Floats, Parameter, Value
from ...ir.pullback import copied_back
from ...ir.store import Store
from ..columns import Bools
from ..compiled import Valued
from ..executable import Executable
from .logistic import climbed
from .uses import Uses, uses

SMALLEST = 1e-6
"""Deviations of gaussians are kept from falling below this, where a density would have no bound."""

TINY = 1e-300
LEAST = 1e-30
"""What a weight that must stay positive falls to where nothing counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Expected counts over some rows, of the same circuit: the same keys, in the same order.

    `entries` of weights and tables; `units` [ones, zeros] of probabilities; by density [4, nodes]: a centre c, Σf,
    Σf(x − c) and Σf(x − c)², for responsibilities f; `valued` per value of discretised logistic inputs. `log` is log p
    per row.
    """

    entries: dict[Parameter, Floats]
    units: dict[Parameter, Floats]
    densities: dict[int, Floats]
    valued: list[Valued]
    log: Floats

    def blended(self, other: Counts, mine: float, theirs: float) -> Counts:
        """Both, weighted."""
        return Counts(
            {key: mine * self.entries[key] + theirs * other.entries[key] for key in self.entries},
            {key: mine * self.units[key] + theirs * other.units[key] for key in self.units},
            {key: _joined(self.densities[key], other.densities[key], mine, theirs) for key in self.densities},
            [(*own[:2], mine * own[2] + theirs * more[2]) for own, more in zip(self.valued, other.valued, strict=True)],
            self.log,
        )

    def arrays(self) -> list[Floats]:
        """All numbers but `log`, in order."""
        parts = [*self.entries.values(), *self.units.values(), *self.densities.values()]
        return [*parts, *(count for _, _, count in self.valued)]

    def over(self, arrays: list[Floats]) -> Counts:
        """Counts of the same circuit from such a list."""
        given = iter(arrays)
        return Counts(
            {key: next(given) for key in self.entries},
            {key: next(given) for key in self.units},
            {key: next(given) for key in self.densities},
            [(parameters, variable, next(given)) for parameters, variable, _ in self.valued],
            self.log,
        )


def _joined(mine: Floats, theirs: Floats, a: float, b: float) -> Floats:
    """Both about the first one's centres."""
    centre = mine[0]
    return np.concatenate([centre[None], a * mine[1:] + b * _about(theirs, centre)])


def _about(stats: Floats, centre: Floats) -> Floats:
    """[Σf, Σf(x − c), Σf(x − c)²] about another centre c."""
    old, used, first, second = stats
    off = centre - old
    return np.stack([used, first - off * used, second - 2 * off * first + off * off * used])


class Steps:
    """The E-step and the M-step of an executable's learnable parameters."""

    def __init__(self, model: Executable) -> None:
        """Raises: DanausError `no-closed-form` for parameters that EM cannot move, and for negative numbers."""
        self._model = model
        self._uses: Uses = uses(model.circuit)
        compiled = model.compiled
        if compiled is not None and (
            compiled.signs or any(table.min(initial=0.0) < 0 for table in compiled.linear(model.circuit.store))
        ):
            raise error(
                "no-closed-form",
                f'"{model.circuit.name}" has negative numbers, so EM does not apply',
                hint='method="adam" learns it',
            )

    def expected(self, values: Floats, observed: Bools, numbers: Indices | None = None) -> Counts:
        """Expected counts of rows under the present parameters; `numbers` are the rows' own, where they are not 0, 1, …

        Raises: DanausError `impossible-row`, naming the first row whose likelihood is zero.
        """
        model = self._model
        found = model.flows_of_tables(values, observed, np.ones(len(values)), whole=False)
        require_possible(found.log, numbers)
        compiled = model.compiled
        assert compiled is not None
        densities: dict[int, Floats] = {}
        inner = Numbers(model.circuit.store)
        for source, block in enumerate(compiled.densities):
            if any(map(is_learnable, block.parameters)):
                column = compiled.variables.index(block.variable)
                known = observed[:, column]
                part = found.densities[source][:, known]
                centre = inner.floats(block.parameters)[0]
                off = values[known, column] - centre[:, None]
                densities[source] = np.stack([centre, part.sum(1), (part * off).sum(1), (part * off * off).sum(1)])
        entries, units, valued = compiled.counts(model.circuit.store, found.tables, False)
        return Counts(entries, units, densities, valued, found.log)

    def prior(self) -> Counts:
        """Expected counts of a row drawn from the circuit itself: what reaches each node, times what it expects."""
        model = self._model
        nothing = np.zeros((1, len(model.variables)))
        found = model.flows_of_tables(nothing, nothing.astype(bool), np.ones(1))
        compiled = model.compiled
        assert compiled is not None
        densities: dict[int, Floats] = {}
        inner = Numbers(model.circuit.store)
        for source, block in enumerate(compiled.densities):
            if any(map(is_learnable, block.parameters)):
                reached = found.densities[source].sum(axis=1)
                given = inner.floats(block.parameters)
                spread = given[1] ** 2 if isinstance(block.family, Gaussian) else given[0]
                densities[source] = np.stack([given[0], reached, np.zeros_like(reached), reached * spread])
        entries, units, valued = compiled.counts(model.circuit.store, found.tables, True)
        return Counts(entries, units, densities, valued, found.log)

    def take(self, counts: Counts, pseudocount: float = 0.0) -> None:
        """Moves the parameters to what the counts make most likely."""
        self._model.take(self.maximised(counts, pseudocount))

    def settle(self) -> None:
        """Writes the parameters to the module: they are there."""

    def maximised(self, counts: Counts, pseudocount: float = 0.0) -> Store:
        """The store whose parameters the counts make most likely; what is never used stays as it is."""
        store = self._model.circuit.store
        values: dict[Parameter, Value] = {}
        for parameter, count in counts.entries.items():
            values[parameter] = Value.of(self._shares(parameter, store[parameter].floats, count + pseudocount))
        for parameter, (ones, zeros) in counts.units.items():
            total = ones + zeros + 2 * pseudocount
            share = (ones + pseudocount) / np.where(total > 0, total, 1.0)
            values[parameter] = Value.of(_flushed(np.where(total > 0, share, store[parameter].floats)))
        return climbed(counts.valued, self._densities(counts, store.updated(values)))

    def _shares(self, parameter: Parameter, old: Floats, held: Floats) -> Floats:
        """Each entry's share of its row."""
        if parameter.constraint == "simplex":
            total = held.sum(axis=-1, keepdims=True)
            return _flushed(np.where(total > 0, held / np.where(total > 0, total, 1.0), old))
        row = self._uses.rows[parameter].reshape(old.shape)
        used = row >= 0
        sums = np.bincount(row[used], weights=held[used], minlength=old.size)
        total = np.where(used, sums[np.maximum(row, 0)], 0.0)
        share = np.where(total > 0, held / np.where(total > 0, total, 1.0), old)
        return np.maximum(share, LEAST) if parameter.constraint == "positive" else _flushed(share)

    def _densities(self, counts: Counts, store: Store) -> Store:
        """Means first, under the present deviations; then deviations about the new means: each no step back."""
        compiled = self._model.compiled
        assert compiled is not None
        before = Numbers(store)
        weights: list[tuple[Expression, Floats]] = []
        sums: list[tuple[Expression, Floats]] = []
        for source, stats in counts.densities.items():
            block = compiled.densities[source]
            if not is_learnable(block.parameters[0]):
                continue
            given = before.floats(block.parameters)
            used, first, _ = _about(stats, given[0])
            match block.family:
                case Gaussian():
                    weights.append((block.parameters[0], used / given[1] ** 2))
                    sums.append((block.parameters[0], first / given[1] ** 2))
                case Poisson():
                    weights.append((block.parameters[0], used))
                    sums.append((block.parameters[0], first))
                case _:
                    pass
        moved = {
            parameter: Value.of(np.clip(store[parameter].floats + step, *_range(parameter)))
            for parameter, step in _ratios(sums, weights)
        }
        after = store.updated(moved)
        numbers = Numbers(after)
        weights, sums = [], []
        for source, stats in counts.densities.items():
            block = compiled.densities[source]
            if isinstance(block.family, Gaussian) and is_learnable(block.parameters[1]):
                used, _, second = _about(stats, numbers.floats(block.parameters)[0])
                weights.append((block.parameters[1], used))
                sums.append((block.parameters[1], second))
        wider = {
            parameter: Value.of(np.where(square > 0, np.maximum(np.sqrt(np.maximum(square, 0)), SMALLEST), old.floats))
            for parameter, square in _ratios(sums, weights)
            for old in [after[parameter]]
        }
        return after.updated(wider)


def require_possible(log: Floats, numbers: Indices | None = None) -> None:
    """Raises DanausError `impossible-row` for the first row whose likelihood is zero."""
    if (bad := np.flatnonzero(~np.isfinite(log))).size:
        row = int(bad[0]) if numbers is None else int(numbers[bad].min())
        raise error(
            "impossible-row",
            f"row {row} has likelihood zero under the circuit, so it cannot be learnt from",
            hint="leave the row out, or start from parameters that allow it",
        )


def _flushed(share: Floats) -> Floats:
    """0 for what is about to leave the range of float64."""
    return np.where(share < TINY, 0.0, share)


def _range(parameter: Parameter) -> tuple[float, float]:
    """Where a mean or a rate may be."""
    match parameter.constraint:
        case "positive":
            return SMALLEST, np.inf
        case "unit":
            return 0.0, 1.0
        case _:
            return -np.inf, np.inf


def _ratios(
    sums: list[tuple[Expression, Floats]], weights: list[tuple[Expression, Floats]]
) -> Iterator[tuple[Parameter, Floats]]:
    """Per learnable parameter the ratio of two sums over all its copies; 0 where nothing weighs."""
    above, below = copied_back(sums), copied_back(weights)
    for parameter, weight in below.items():
        if parameter.learnable:
            used = weight > 0
            yield parameter, np.where(used, above[parameter] / np.where(used, weight, 1.0), 0.0)
