"""Answers of a circuit whose Program runs on a device: the walks there, what is around them here.

Samples are those of the CPU for the same seed: random numbers are counted the same way. Where a boundary between two
values lies within rounding of a random number, about one in 10^12, another value may be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.domain import Variable, first_value
from ...ir.parameter import Floats
from ...ir.program.descent import Reached
from ...ir.program.tabled import Tabled
from ...ir.query.maximum import MostProbable
from ...ir.query.sample import Source, require_mass, require_possible, require_room, uniformly
from ..columns import Codes, free_logs
from ..engines import Reverse
from ..walking import Walker
from .answers import ByProgram, free_observed, free_weights
from .best import Decoded, most_probable
from .conditional import conditional
from .hamming import hamming
from .latents import decode, posterior_of_states
from .questions import Bools, Questions


@dataclass(frozen=True, slots=True)
class OnDevice:
    """What the device of a loaded bundle answers beyond likelihoods.

    `able` is what it does for circuits of this kind ("flows", "sample", …), `held` what the bundle has code for.
    `walker` and `reverse` launch that code.
    """

    able: frozenset[str]
    held: frozenset[str]
    walker: Callable[[Tabled], Walker]
    reverse: Callable[[Tabled], Reverse | None]


@dataclass(frozen=True, slots=True)
class ByDevice:
    """Samples, most probable values, numbers of ones, virtual evidence and what comes through inputs by a device; the
    rest by the Program here."""

    program: ByProgram
    walker: Walker

    @property
    def questions(self) -> Questions:
        return self.program.questions

    def conditional(self, values: Floats, observed: Bools) -> dict[Variable, Any]:
        return conditional(self.questions, values, observed, device=self.walker.shares)

    def map(self, values: Floats, observed: Bools) -> MostProbable:
        program = self.program
        proved = program.deterministic()
        if proved and not program.single and program.evaluator is not None:
            return program.evaluator.map(values, observed)
        return most_probable(self.questions, values, observed, proved and program.single, self._decoded)

    def sample(self, count: int, seed: int) -> Floats:
        """Draws all variables, [count, variables].

        Raises: DanausError as the CPU's.
        """
        questions = self.questions
        require_room(len(questions.variables), count)
        nothing = np.zeros((1, len(questions.variables)))
        one = questions.rows(nothing, nothing.astype(bool))
        found = self.walker.sample(one.codes, count, seed)
        possible = found.possible.all() if count else not np.isneginf(questions.log(one)[0])
        require_mass(questions.name, bool(possible))
        return self._values(found.codes, np.zeros((count, len(questions.variables)), dtype=bool), seed)

    def sample_given(self, values: Floats, observed: Bools, seed: int) -> Floats:
        """Draws what each row leaves out, [batch, variables].

        Raises: DanausError as the CPU's.
        """
        found = self.walker.sample_given(self.questions.rows(values, observed).codes, seed)
        require_possible(self.questions.name, found.possible)
        return np.where(observed, values, self._values(found.codes, observed, seed))

    def moment(self, variable: Variable, order: int) -> float:
        return self.program.moment(variable, order)

    def hamming(self) -> Floats:
        return hamming(self.questions, self.walker.ones)

    def weighted(self, values: Floats, observed: Bools, weights: Mapping[int, Floats]) -> Floats:
        questions = self.questions
        known = observed | free_observed(questions.free, weights, observed)
        rows = questions.rows(values, known, weights)
        log = self.walker.log(rows.codes, rows.weights) + free_logs(questions.columns, questions.free, known)
        return log + free_weights(questions.free, weights)

    def decode(self, values: Floats, observed: Bools) -> MostProbable:
        return decode(self.questions, values, observed, self.program.single, self.walker.reached)

    def posterior(self, values: Floats, observed: Bools) -> Floats:
        return posterior_of_states(self.questions, values, observed, self.walker.shares)

    def _decoded(self, questions: Questions, values: Floats, observed: Bools) -> Decoded:
        found = self.walker.best(questions.rows(values, observed).codes)
        first = _firsts(questions)
        decoded = np.where(observed, values, found.codes[: len(first)].T + first)
        free = np.isin(np.arange(len(first)), questions.free)
        return np.where(~observed & (free | ~found.possible[:, None]), first, decoded), found.possible

    def _values(self, codes: Codes, observed: Bools, seed: int) -> Floats:
        """Values of codes, free variables drawn."""
        questions = self.questions
        out = codes[: len(questions.variables)].T + _firsts(questions)
        source = Source(seed, np.arange(len(out)))
        for number, position in enumerate(questions.free):
            rows = np.flatnonzero(~observed[:, position])
            missing = Reached(np.zeros_like(rows), rows, np.full_like(rows, questions.nodes + number))
            out[rows, position] = uniformly(questions.variables[position], missing, source)
        return out


def _firsts(questions: Questions) -> Floats:
    """The first value of each variable."""
    return np.array([float(first_value(variable.domain)) for variable in questions.variables])
