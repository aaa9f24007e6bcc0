"""Backward messages: for each number of tokens read, the mass of what may follow, per model and automaton state.

M_t = R (W (G ⊙ (M_{t+1} R'ᵀ)) W'ᵀ), where G [edges, edges'] sums the product of both inputs over the vocabulary, and
primes are the constraint's. Sources: Zhang et al., "Tractable control for autoregressive language generation", ICML
2023, and "Adaptable logical control for large language models", NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...ir.apply import apply
from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error
from ...ir.linear import LinearMap
from ...ir.numbers import Numbers
from ...ir.parameter import Floats
from ...ir.semirings import LINEAR
from .chain import Step, chain_of, letters_key, table
from .maps import Matrices
from .scaled import Scaled

MAX_MATRIX = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class Letters:
    """The constraint's inputs at a step: φ [inputs, values], and, where at most one is not zero at a value, which."""

    table: Tensor  # float64
    labels: Tensor | None  # [values]
    groups: tuple[tuple[int, Tensor], ...]  # the values of each label


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A step of both chains, with the constraint's maps as matrices in float64."""

    model: Step
    emission: Tensor  # [values, edges], the model's
    letters: Letters
    reads: Tensor  # U', [edges', inputs']
    out: Tensor  # W', [states', edges']
    rest: Tensor | None  # R', [edges', next states']


@dataclass(slots=True, eq=False)
class Messages:
    """The joint steps, and the messages after each: M_t [edges, next states'], one for each step but the last."""

    steps: list[Joint]
    maps: Matrices
    after: list[Scaled] = field(default_factory=list[Scaled])
    totals: list[tuple[Tensor, float]] = field(default_factory=list[tuple[Tensor, float]])

    @property
    def memory(self) -> int:
        """The bytes of the messages and of the tables that they are multiplied with, each once."""
        held: dict[int, Tensor] = {}
        for joint in self.steps:
            held |= {id(each): each for each in (joint.emission, joint.letters.table)}
        held |= {id(message.values): message.values for message in self.after}
        return self.maps.memory + sum(tensor.numel() * tensor.element_size() for tensor in held.values())


def joined(model: Circuit, constraint: Circuit, dtype: torch.dtype, device: torch.device) -> Messages:
    """Both circuits as one chain, without messages yet.

    Raises: DanausError `not-a-chain`, `not-compatible`, `wrong-domain`, `negative`, `too-large`.
    """
    first = chain_of(model)
    second = chain_of(constraint, [step.variable for step in first])
    own, other = Numbers(model.store), Numbers(constraint.store)
    maps = Matrices(own, dtype, device)
    emissions: dict[object, Tensor] = {}
    letters: dict[object, Letters] = {}
    matrices: dict[tuple[object, ...], Floats] = {}
    steps: list[Joint] = []

    def matrix(linear: tuple[LinearMap, ...], inputs: int) -> Tensor:
        key = (inputs, *map(id, linear))
        if key not in matrices:
            found = np.eye(inputs)
            for each in reversed(linear):
                if each.outputs * inputs > MAX_MATRIX:
                    raise error("too-large", f"a map of {inputs} to {each.outputs} in the constraint")
                found = np.asarray(apply(each, found, LINEAR, other))
            if (found < 0).any():
                raise _negative(constraint)
            matrices[key] = found
        return torch.as_tensor(matrices[key], device=device)

    for a, b in zip(first, second, strict=True):
        key = (letters_key(a), *map(id, a.reads))
        if key not in emissions:
            values = table(a, own)
            wide = torch.as_tensor(values, dtype=dtype, device=device)
            read = maps.apply(a.reads, wide)
            if bool((read < 0).any()):
                raise _negative(model)
            emissions[key] = read.T.contiguous()
        emission = emissions[key]
        named = letters_key(b)
        if named not in letters:
            letters[named] = _letters(table(b, other), constraint, device)
        reads = matrix(b.reads, len(letters[named].table))
        rest = None
        if b.rest is not None:
            inputs = b.rest[-1].inputs if b.rest else len(reads)
            rest = matrix(b.rest, inputs)
        steps.append(Joint(a, emission, letters[named], reads, matrix(b.out, len(reads)), rest))
    return Messages(steps, maps)


def _negative(circuit: Circuit) -> DanausError:
    return error("negative", f'"{circuit.name}" has negative numbers', circuit.span, hint="steering needs none")


def _letters(values: Floats, circuit: Circuit, device: torch.device) -> Letters:
    if (values < 0).any():
        raise _negative(circuit)
    labels, groups = None, list[tuple[int, Tensor]]()
    if ((values != 0).sum(axis=0) <= 1).all():
        found = values.argmax(axis=0)
        labels = torch.as_tensor(found, device=device)
        order = np.argsort(found, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(found[order])) + 1):
            groups.append((int(found[part[0]]), torch.as_tensor(part, device=device)))
    return Letters(torch.as_tensor(values, device=device), labels, tuple(groups))


def prepare(messages: Messages, progress: Callable[[int, int], None] | None = None) -> None:
    """Computes the messages, from the last step to the first; `progress` is told how many of how many are done."""
    steps = messages.steps
    overlaps: dict[tuple[int, int], Tensor] = {}
    after: list[Scaled] = []
    following: Scaled | None = None
    for position in range(len(steps) - 1, 0, -1):
        joint = steps[position]
        key = (id(joint.emission), id(joint.letters))
        if key not in overlaps:
            overlaps[key] = joint.emission.T @ joint.letters.table.T.to(joint.emission.dtype)
        meets = overlaps[key] @ joint.reads.T.to(joint.emission.dtype)
        none = torch.zeros(meets.shape[1], dtype=torch.float64, device=meets.device)
        edges = Scaled.of(meets, none)
        if following is not None:
            assert joint.rest is not None
            onwards = following.times(joint.rest)
            edges = Scaled.of(edges.values * onwards.values, edges.exponents + onwards.exponents)
        states = edges.times(joint.out)
        rest = steps[position - 1].model.rest
        assert rest is not None
        above = messages.maps.apply(joint.model.out, states.values)
        following = Scaled.of(messages.maps.apply(rest, above), states.exponents)
        after.append(following)
        if progress is not None:
            progress(len(after), len(steps) - 1)
    messages.after = after[::-1]
