"""Who answers the queries of a circuit: its Program, or, where its numbers or nodes are not for that, the evaluator.

Both give the same answers; the Program gives them faster. It needs tables none of which is negative or beyond float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...ir import query as ask
from ...ir.circuit import Circuit
from ...ir.diagnostic import error
from ...ir.domain import Variable
from ...ir.parameter import Floats
from ...ir.query.maximum import MostProbable
from .best import most_probable
from .conditional import conditional
from .hamming import hamming
from .latents import decode, posterior_of_states
from .moment import moment
from .questions import Bools, Questions
from .sample import sample, sample_given


class Answers(Protocol):
    """Every query beyond the likelihood, for rows that are checked."""

    def conditional(self, values: Floats, observed: Bools) -> dict[Variable, Any]: ...

    def map(self, values: Floats, observed: Bools) -> MostProbable: ...

    def sample(self, count: int, seed: int) -> Floats: ...

    def sample_given(self, values: Floats, observed: Bools, seed: int) -> Floats: ...

    def moment(self, variable: Variable, order: int) -> float: ...

    def hamming(self) -> Floats: ...

    def weighted(self, values: Floats, observed: Bools, weights: Mapping[int, Floats]) -> Floats: ...

    def decode(self, values: Floats, observed: Bools) -> MostProbable: ...

    def posterior(self, values: Floats, observed: Bools) -> Floats: ...


@dataclass(frozen=True, slots=True)
class ByProgram:
    """Answers by walks over the Program.

    `single` says whether each assignment, with its latents, is one path; `deterministic` proves that the circuit is, or
    fails. Where it is but has no single paths, the evaluator multiplies its maps out.
    """

    questions: Questions
    single: bool
    deterministic: Callable[[], bool]
    evaluator: ByEvaluator | None = None

    def conditional(self, values: Floats, observed: Bools) -> dict[Variable, Any]:
        return conditional(self.questions, values, observed)

    def map(self, values: Floats, observed: Bools) -> MostProbable:
        proved = self.deterministic()
        if proved and not self.single and self.evaluator is not None:
            return self.evaluator.map(values, observed)
        return most_probable(self.questions, values, observed, proved and self.single)

    def sample(self, count: int, seed: int) -> Floats:
        return sample(self.questions, count, seed)

    def sample_given(self, values: Floats, observed: Bools, seed: int) -> Floats:
        return sample_given(self.questions, values, observed, seed)

    def moment(self, variable: Variable, order: int) -> float:
        return moment(self.questions, variable, order)

    def hamming(self) -> Floats:
        return hamming(self.questions)

    def weighted(self, values: Floats, observed: Bools, weights: Mapping[int, Floats]) -> Floats:
        log = self.questions.log_likelihood(
            values, observed | free_observed(self.questions.free, weights, observed), weights
        )
        return log + free_weights(self.questions.free, weights)

    def decode(self, values: Floats, observed: Bools) -> MostProbable:
        return decode(self.questions, values, observed, self.single)

    def posterior(self, values: Floats, observed: Bools) -> Floats:
        return posterior_of_states(self.questions, values, observed)


@dataclass(frozen=True, slots=True)
class ByEvaluator:
    """The evaluator's answers."""

    circuit: Circuit
    deterministic: Callable[[], bool]

    def conditional(self, values: Floats, observed: Bools) -> dict[Variable, Any]:
        return dict(ask.conditional(self.circuit, values, observed))

    def map(self, values: Floats, observed: Bools) -> MostProbable:
        return ask.most_probable(self.circuit, values, observed, self.deterministic())

    def sample(self, count: int, seed: int) -> Floats:
        return ask.sample(self.circuit, count, seed)

    def sample_given(self, values: Floats, observed: Bools, seed: int) -> Floats:
        return ask.sample_given(self.circuit, values, observed, seed)

    def moment(self, variable: Variable, order: int) -> float:
        return ask.moment(self.circuit, variable, order)

    def hamming(self) -> Floats:
        return ask.hamming(self.circuit)

    def weighted(self, values: Floats, observed: Bools, weights: Mapping[int, Floats]) -> Floats:
        return ask.log_likelihood_under(self.circuit, values, observed, weights)

    def decode(self, values: Floats, observed: Bools) -> MostProbable:
        raise self._no_latents()

    def posterior(self, values: Floats, observed: Bools) -> Floats:
        raise self._no_latents()

    def _no_latents(self) -> Exception:
        return error(
            "negative",
            f'the states of "{self.circuit.name}" have no distribution: it has negative numbers, or is not compiled',
            hint="decode and posterior are of compiled circuits whose weights and inputs are nonnegative",
        )


def free_observed(free: tuple[int, ...], weights: Mapping[int, Floats], observed: Bools) -> Bools:
    """Free variables under weights, which stand for their number of values."""
    return np.broadcast_to(np.isin(np.arange(observed.shape[1]), [i for i in free if i in weights]), observed.shape)


def free_weights(free: tuple[int, ...], weights: Mapping[int, Floats]) -> Floats | float:
    """The logarithm of what weights on free variables multiply a row by."""
    with np.errstate(divide="ignore"):
        return sum((np.log(weights[position].sum(axis=1)) for position in free if position in weights), 0.0)
