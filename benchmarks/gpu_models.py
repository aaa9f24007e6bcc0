"""The workloads of GPUs: hidden Markov models with dense and Monarch transitions, as Programs without numbers, as
circuits, and as the peers compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.ir.program.operation import Contract, Load, Multiply, Repeat, Step, Strides
from danaus.ir.program.program import Program


@dataclass(frozen=True, slots=True)
class Model:
    """A hidden Markov model: K states, T steps, V values; Monarch factors by their sizes, none where it is dense."""

    states: int
    steps: int
    values: int
    parts: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return f"Monarch {'×'.join(map(str, self.parts))}" if self.parts else "dense"

    @property
    def numbers(self) -> int:
        """How many numbers it is made of."""
        matrices = sum(self.states * part for part in self.parts) if self.parts else self.states**2
        return matrices + self.states * (self.values + 1)


_DENSE = [(states, values) for states in (64, 512, 2048, 4096) for values in (27, 50257)]
_MONARCH = [
    ((64, 64), 27),
    ((64, 64), 50257),
    ((128, 128), 27),
    ((128, 128), 50257),
    ((256, 256), 27),
    ((512, 1024), 27),
]
MODELS = tuple(
    model
    for steps in (32, 256)
    for model in (
        *(Model(states, steps, values) for states, values in _DENSE),
        *(Model(prod(parts), steps, values, parts) for parts, values in _MONARCH),
    )
)


def program_of(model: Model) -> Program:
    """The Program that the compiler makes of a model, without its numbers (tests/backends/triton hold it to that)."""
    width = model.states
    factors: list[tuple[int, int, int, Strides, Strides]] = []
    if model.parts:
        for part in reversed(model.parts):  # the last factor is applied first; each leaves its digit slowest
            blocks = width // part
            factors.append((blocks, part, part, Strides(part, 1), Strides(1, blocks)))
    else:
        factors.append((1, width, width, Strides(width, 1), Strides(width, 1)))
    tables = [(model.values + 1, width), *((blocks, rows, columns) for blocks, rows, columns, _, _ in factors)]
    body: list[Step] = []
    source = 0
    for number, (blocks, rows, columns, read, write) in enumerate(factors):
        body.append(Contract(1 + number, source, 1 + number, blocks, rows, columns, read, write))
        source = 1 + number
    other = len(factors) + 1
    turn = (*body, Load(other, 0, model.steps - 2), Multiply(0, (other, source)))
    columns = tuple(-1 if isinstance(step, Load) else 0 for step in turn)
    loop = Repeat(model.steps - 1, turn, columns, tuple(0 for _ in turn))
    last = len(tables)
    root = Contract(1, 0, last, 1, 1, width, Strides(width, 1), Strides(1, 1))
    buffers = (width,) * (other + 1)
    shapes = (*tables, (1, 1, width))
    return Program((Load(0, 0, model.steps - 1), loop, root), 1, buffers, shapes, (model.values,) * model.steps)


def circuit_of(model: Model) -> Circuit:
    """The model with numbers at random."""
    x = dn.Cat("x", model.values, shape=model.steps)
    transition = {"transition": dn.monarch(*model.parts)} if model.parts else {}
    return dn.hmm(x, states=model.states, **transition)


def eager(
    model: Model,
    device: torch.device,
    learnt: list[torch.Tensor] | None = None,
    numbers: Sequence[np.ndarray] | None = None,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The model in eager torch over logarithms: per factor a maximum, exp, a batched product, log and a transpose.

    Its numbers are added to `learnt`, and then have derivatives; `numbers` are those of the initial state, the factors
    and the emission [states, values], at random if they are not given.
    """
    generator = torch.Generator(device).manual_seed(0)

    def simplex(place: int, *shape: int) -> torch.Tensor:
        if numbers is not None:
            return torch.from_numpy(np.array(numbers[place], dtype=np.float32)).to(device).reshape(shape)
        return torch.softmax(torch.randn(*shape, generator=generator, device=device), -1)

    sizes = model.parts or (model.states,)
    emission = simplex(-1, model.states, model.values).T.log().contiguous()
    initial = simplex(0, model.states)
    factors = [simplex(1 + place, model.states // part, part, part) for place, part in enumerate(sizes)]

    if learnt is not None:
        learnt += [emission, initial, *factors]
        for each in learnt:
            each.requires_grad_()

    def step(x: torch.Tensor) -> torch.Tensor:
        for factor in reversed(factors):  # x [rows, states]
            blocks, part, _ = factor.shape
            grouped = x.view(-1, blocks, part).transpose(0, 1)  # [blocks, rows, part]
            top = grouped.amax(-1, keepdim=True)
            y = torch.bmm((grouped - top).exp(), factor.transpose(1, 2)).log() + top
            x = y.permute(1, 2, 0).reshape(-1, model.states)
        return x

    def forward(codes: torch.Tensor) -> torch.Tensor:
        x = emission[codes[:, -1]]
        for t in range(model.steps - 2, -1, -1):
            x = emission[codes[:, t]] + step(x)
        return torch.logsumexp(x + initial.log(), -1)

    return forward


def eager_back(model: Model, device: torch.device, codes: torch.Tensor) -> Callable[[], None]:
    """The same, and back to its numbers."""
    learnt: list[torch.Tensor] = []
    forward = eager(model, device, learnt)

    def run() -> None:
        for each in learnt:
            each.grad = None
        forward(codes).sum().backward()

    return run


def rows_of(model: Model, batch: int) -> np.ndarray:
    """Rows drawn evenly."""
    return np.random.default_rng(0).integers(0, model.values, (batch, model.steps))
