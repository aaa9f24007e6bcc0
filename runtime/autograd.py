"""Log-likelihoods under autograd: forward compiled, backward by the Program's reverse.

The reverse goes forward first. So where the last backward gave every row one weight, as a sum or a mean of
log-likelihoods does, the next forward takes derivatives for that weight at once, and the backward finds them there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..ir.diagnostic import error
from ..ir.parameter import Floats
from .columns import Bools
from .derivatives import Derivatives
from .straight import Straightly

if TYPE_CHECKING:
    from .executable import Executable
    from .unconstrained import Unconstrained


Found = Derivatives | Straightly
Derive = Callable[[Floats], Found]


@dataclass(slots=True)
class Ahead:
    """The weight of every row for which the next forward takes derivatives; None while nobody asked for the last.

    `able` says that the reverse's log p is the forward's: variables that no node mentions multiply the latter alone.
    """

    able: bool
    weight: float | None = None


@dataclass(slots=True)
class Taken:
    """A forward that autograd remembers: what gives its derivatives, and those that were taken ahead."""

    ahead: Ahead
    derive: Derive
    weight: float = 1.0
    found: Found | None = None

    def forward(self, rows: int, plainly: Callable[[], Floats]) -> Floats:
        """log p of so many rows."""
        weight, self.ahead.weight = self.ahead.weight, None
        if weight is None or not rows:
            return plainly()
        self.weight, self.found = weight, self.derive(np.full(rows, weight))
        return self.found.log

    def backward(self, weights: Floats) -> tuple[Found, float]:
        """The derivatives for weights, up to a factor. They are the caller's, who may write to them."""
        found, self.found = self.found, None
        one = float(weights[0]) if len(weights) and (weights == weights[0]).all() else 0.0
        uniform = bool(one) and np.isfinite(one)
        self.ahead.weight = one if uniform and self.ahead.able else None
        if found is None or not uniform:
            return self.derive(weights), 1.0
        return found, one / self.weight


class LogLikelihood(torch.autograd.Function):
    """log p of an executable, by its parameters."""

    @staticmethod
    def forward(
        ctx: Any, model: Executable, values: Floats, observed: Bools, data: torch.Tensor | None, *parameters: Any
    ) -> torch.Tensor:
        """`data` is given where its derivative is wanted."""
        ctx.model, ctx.data, ctx.parameters = model, data, parameters
        ctx.versions = tuple(tensor._version for tensor in parameters)
        ctx.taken = Taken(model.ahead, lambda weights: model.derivatives(values, observed, weights, data is not None))
        return torch.from_numpy(ctx.taken.forward(len(values), lambda: model.log_rows(values, observed)))

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[Any, ...]:
        """Derivatives of the data and of each parameter."""
        _require_same(ctx.versions, ctx.parameters)
        with ctx.model.holding(ctx.parameters):
            found, factor = ctx.taken.backward(_weights(given[0]))
        wanted = zip(found.named.values(), ctx.parameters, ctx.needs_input_grad[4:], strict=True)
        shares = [
            _once(torch.from_numpy(_times(share, factor)).to(tensor), tensor) if need else None
            for share, tensor, need in wanted
        ]
        return (None, None, None, _data(ctx.data, found, factor), *shares)


class Once(torch.autograd.Function):
    """A derivative that refuses to be differentiated: a penalty on it would else count for nothing, without a word."""

    @staticmethod
    def forward(ctx: Any, derivative: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        """The derivative with respect to a tensor."""
        return derivative.view_as(derivative)

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[Any, ...]:
        """Raises: DanausError `not-differentiable`."""
        raise error("not-differentiable", "derivatives of compiled circuits have no derivatives themselves")


class FreeLogLikelihood(torch.autograd.Function):
    """log p over numbers without constraints."""

    @staticmethod
    def forward(
        ctx: Any, free: Unconstrained, values: Floats, observed: Bools, data: torch.Tensor | None, numbers: torch.Tensor
    ) -> torch.Tensor:
        """`data` is given where its derivative is wanted."""
        ctx.free, ctx.data, ctx.versions = free, data, (numbers._version,)
        ctx.taken = Taken(
            free.executable.ahead, lambda weights: free.derivatives(values, observed, weights, data is not None)
        )
        return torch.from_numpy(ctx.taken.forward(len(values), lambda: free.model.log_rows(values, observed)))

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[Any, ...]:
        """Derivatives of the data and of the free numbers."""
        _require_same(ctx.versions, [ctx.free.numbers])
        found, factor = ctx.taken.backward(_weights(given[0]))
        pulled = _once(ctx.free.pulled(found, factor), ctx.free.numbers)
        return (None, None, None, _data(ctx.data, found, factor), pulled)


def _require_same(versions: tuple[int, ...], tensors: Any) -> None:
    if tuple(tensor._version for tensor in tensors) != versions:
        raise RuntimeError("a parameter was changed in place between log_likelihood and backward")


def _once(derivative: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A derivative with respect to a tensor; where autograd keeps a graph of it, one that refuses to be part of it."""
    if not torch.is_grad_enabled():
        return derivative
    apply: Any = Once.apply
    found: torch.Tensor = apply(derivative, tensor)
    return found


def _weights(given: torch.Tensor) -> Floats:
    weights: Floats = given.detach().double().cpu().numpy()
    return weights


def _data(data: torch.Tensor | None, found: Derivatives, factor: float) -> torch.Tensor | None:
    return None if data is None else _once(torch.from_numpy(_times(found.data, factor)).to(data), data)


def _times(found: Floats, factor: float) -> Floats:
    return found if factor == 1.0 else found * factor
