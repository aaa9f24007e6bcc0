"""Samples: rows drawn from a circuit, or the rest of rows given what they observe.

Where weights and inputs are not negative, from the root down: each sum chooses a child by inverse CDF in child order,
each input that is reached draws its variable. Otherwise variable by variable. The generator (`ir/random.py`) has the
seed as its key, and as its counter the row, the place of the node among all of the circuit's and the number of the
choice there: row i of a seed does not depend on batching.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..block import Block, Input
from ..circuit import Circuit
from ..density import domain_values
from ..diagnostic import error
from ..domain import FiniteDomain, Variable, first_value
from ..evaluate import Evidence, rows_at_once, values_of
from ..family import Gaussian, Indicator, Poisson
from ..linear import Indices
from ..numbers import Numbers
from ..parameter import Floats
from ..products import normalised
from ..program.descent import Reached
from ..random import uniform
from ..semirings import LOG
from .conditional import Answer
from .descend import Descent
from .distribution import first_above, poisson_table
from .likelihood import Booleans, evidence_of, logarithmic, signed_log_value, signed_partition
from .mixture import Mixture
from .stepwise import complete

# Signed sums leave rounding where a probability is zero; less than this is taken for none.
_NOISE = 1e-12
# Uniform numbers drawn in one call, which costs 0.2 ms and 30 ns for each: a chain of 10,000 steps takes half the time.
_AT_ONCE = 1 << 14
_MAX_NUMBERS = 1 << 30


def sample(circuit: Circuit, count: int, seed: int, first_row: int = 0) -> Floats:
    """Draws all variables of a circuit, [count, variables]: rows first_row … of the seed.

    The circuit is smooth, decomposable and nonnegative, which the caller has checked.

    >>> from danaus import parse
    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [1]) }").circuits["p"]
    >>> sample(p, 3, seed=0).tolist()
    [[1.0], [1.0], [1.0]]

    Raises: DanausError `impossible-evidence` where the circuit's total is not positive, `diverges` where infinite,
    `too-large` beyond 2^30 numbers.
    """
    require_room(len(circuit.variables), count)
    numbers = Numbers(circuit.store)
    evidence = Evidence.nothing(circuit.variables)
    if logarithmic(circuit, numbers) is not LOG:
        require_mass(circuit.name, signed_partition(circuit)[1] > 0)
        rows = np.zeros((count, len(circuit.variables)))
        return _stepwise(circuit, rows, np.zeros(rows.shape, dtype=bool), seed, first_row)
    values = values_of(circuit, LOG, evidence, numbers)
    require_mass(circuit.name, not np.isneginf(values[circuit.root][0, 0]))
    step = rows_at_once(circuit, keep=True)
    parts: list[Floats] = []
    for start in range(0, max(count, 1), step):
        columns = np.zeros(min(step, count - start), dtype=np.int64)
        source = Source(seed, first_row + start + np.arange(len(columns)))
        parts.append(_top_down(circuit, numbers, values, evidence, columns, source))
    return np.concatenate(parts)


def require_room(variables: int, count: int) -> None:
    """Raises DanausError `too-large` where so many samples are too many numbers."""
    columns = max(1, variables)
    if count * columns > _MAX_NUMBERS:
        raise error(
            "too-large",
            f"{count} samples of {columns} variables",
            hint=f"at most {_MAX_NUMBERS // columns} are drawn at once; other seeds draw more",
        )


def sample_given(circuit: Circuit, values: Floats, observed: Booleans, seed: int, first_row: int = 0) -> Floats:
    """Draws what each row leaves out, given what it observes, [batch, variables]; its first is row `first_row`.

    Raises: DanausError `impossible-evidence`, naming the first row whose evidence is.
    """
    evidence = evidence_of(circuit, values, observed)
    numbers = Numbers(circuit.store)
    if logarithmic(circuit, numbers) is not LOG:
        _, sign = signed_log_value(circuit, evidence.values, evidence.observed)
        require_possible(circuit.name, sign > 0)
        return _stepwise(circuit, evidence.values, evidence.observed, seed, first_row)
    step = rows_at_once(circuit, keep=True)
    parts: list[Floats] = []
    for start in range(0, max(evidence.rows, 1), step):
        part = evidence.part(slice(start, start + step))
        elements = values_of(circuit, LOG, part, numbers)
        require_possible(circuit.name, ~np.isneginf(elements[circuit.root][0]), start)
        source = Source(seed, first_row + start + np.arange(part.rows))
        parts.append(_top_down(circuit, numbers, elements, part, np.arange(part.rows), source))
    return np.concatenate(parts)


@dataclass(slots=True)
class Source:
    """The uniform numbers of a seed for some of its rows, [rows] by their numbers.

    The first numbers of small blocks are drawn for many nodes in one call, and kept until the walk has passed them; of
    larger blocks so few are used that those are drawn alone (measured on chains and pictures of 256 variables).
    """

    seed: int
    rows: Indices
    _kept: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    _from: int = 0

    def uniform(self, reached: Reached, number: int | Indices) -> Floats:
        """A number for each node that is reached, the one for the choice of this number there."""
        if not isinstance(number, int):
            kinds = np.unique(number).tolist()
            if len(kinds) > 1:
                out = np.empty(len(reached.ids))
                for kind in kinds:
                    some = np.flatnonzero(number == kind)
                    out[some] = self.uniform(reached.part(some), kind)
                return out
            number = kinds[0] if kinds else 0
        if number or not len(reached.ids) or np.ptp(reached.ids) * len(self.rows) > _AT_ONCE // 16:
            return uniform(self.seed, self.rows[reached.rows], reached.ids, number)
        highest = int(reached.ids.max())
        if not self._from <= reached.ids.min() <= highest < self._from + len(self._kept):
            self._from = max(0, highest + 1 - max(1, _AT_ONCE // len(self.rows)))
            ids = np.arange(self._from, highest + 1)
            self._kept = uniform(self.seed, self.rows, ids[:, None], 0)
        return self._kept[reached.ids - self._from, reached.rows]

    def rule(self, terms: Floats, reached: Reached, number: int) -> Indices:
        """A term at random, each in proportion to what it is the logarithm of."""
        masses = np.exp(terms - terms.max(axis=1, keepdims=True))
        return inverse_cdf(masses, self.uniform(reached, number))


def inverse_cdf(masses: Floats, level: Floats) -> Indices:
    """The first column where the running sum of masses [rows, n] exceeds a part in (0, 1) of the whole.

    A column without mass is never chosen, since level · whole rounds to less than the whole.
    """
    running = np.cumsum(masses, axis=1)
    return np.asarray((running <= (level * running[:, -1])[:, None]).sum(axis=1), dtype=np.int64)


def require_possible(name: str, possible: Booleans, first_row: int = 0) -> None:
    """Raises DanausError where a row of evidence is impossible, the first of them being called `first_row`."""
    impossible = np.flatnonzero(~possible)
    if len(impossible):
        raise error(
            "impossible-evidence",
            f'the evidence of row {first_row + int(impossible[0])} (from 0) is impossible in "{name}"',
            hint="sample only rows whose marginal is not −inf",
        )


def require_mass(name: str, positive: bool) -> None:
    """Raises DanausError where there is nothing to sample from."""
    if not positive:
        raise error("impossible-evidence", f'"{name}" has nothing to sample from: its total is not positive')


def _top_down(
    circuit: Circuit,
    numbers: Numbers,
    values: Mapping[Block, Floats],
    evidence: Evidence,
    columns: Indices,
    source: Source,
) -> Floats:
    """Samples [rows, variables], the one of row i from column columns[i] of the elements and the evidence."""
    out, known = evidence.values[columns], evidence.observed[columns]
    for block, reached in Descent(LOG, numbers, source.rule).inputs(circuit, values, columns):
        position = evidence.positions[block.variable]
        missing = reached.part(np.flatnonzero(~known[reached.rows, position]))
        out[missing.rows, position] = _drawn(block, missing, numbers, source)
    for number, variable in enumerate(circuit.free):
        position = evidence.positions[variable]
        rows = np.flatnonzero(~known[:, position])
        missing = Reached(np.zeros_like(rows), rows, np.full_like(rows, circuit.nodes + number))
        out[rows, position] = uniformly(variable, missing, source)
    return out


def _drawn(block: Input, reached: Reached, numbers: Numbers, source: Source) -> Floats:
    """A value of an input's variable for each time that one of its nodes is reached."""
    if isinstance(block.variable.domain, FiniteDomain):
        x = domain_values(block.variable)
        table = LOG.from_field(numbers.inputs(block.family, block.variable, block.parameters, x, LOG.field))
        return x[source.rule(table[reached.nodes], reached, 0)]
    return drawn(block, reached, numbers, source)


def drawn(block: Input, reached: Reached, numbers: Numbers, source: Source) -> Floats:
    """The same on an infinite domain."""
    family, parameters = normalised(block.family, numbers.floats(block.parameters))
    match family:
        case Gaussian():
            means, deviations = parameters
            first, second = source.uniform(reached, 0), source.uniform(reached, 1)
            normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)  # Box and Muller
            return np.asarray(means[reached.nodes] + deviations[reached.nodes] * normal)
        case Poisson():
            first, table = poisson_table(parameters[0])
            place = first_above(table, reached.nodes, source.uniform(reached, 0))
            return np.asarray(first[reached.nodes] + place)
        case Indicator(value):
            return np.full(len(reached.nodes), float(value))
        case _:
            raise AssertionError(f"the integral of {block.family} was found finite")


def uniformly(variable: Variable, reached: Reached, source: Source) -> Floats:
    """Values of a finite domain, each as likely as the others: a variable that the circuit does not mention."""
    if not len(reached.rows):
        return np.zeros(0)
    if not isinstance(variable.domain, FiniteDomain):
        raise error(
            "diverges",
            f'"{variable.name}" ({variable.domain}) is free in the circuit: there is no drawing from all its values',
            hint="give it a distribution, or a value",
        )
    terms = np.zeros((len(reached.rows), variable.domain.size))
    return domain_values(variable)[source.rule(terms, reached, 0)]


def _stepwise(circuit: Circuit, values: Floats, observed: Booleans, seed: int, first_row: int) -> Floats:
    """Samples of a circuit with negative numbers, one variable after the other; the place of each is its node."""

    def draw(position: int, answer: Answer, rows: Indices) -> Floats:
        level = uniform(seed, first_row + rows, np.full_like(rows, position), 0)
        if isinstance(answer, Mixture):
            return answer.quantile(level)
        chosen = inverse_cdf(np.where(answer < _NOISE, 0.0, answer), level)
        return first_value(circuit.variables[position].domain) + chosen.astype(np.float64)

    return complete(circuit, values, observed, draw)
