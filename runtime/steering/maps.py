"""Linear maps with torch: what `ir/apply.py` does over a semiring, on matrices of float32 or float64 on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch
from torch import Tensor

from ...ir.diagnostic import error
from ...ir.expression import Expression
from ...ir.linear import BlockDiagonal, Compose, Dense, Diagonal, Kronecker, LinearMap, Selection, Sparse
from ...ir.numbers import Numbers
from ...ir.semirings import LINEAR

Applied = Callable[[Tensor], Tensor]


@dataclass(slots=True)
class Matrices:
    """Maps as functions of [inputs, columns], transposed ones of [outputs, columns]; numbers are moved once."""

    numbers: Numbers
    dtype: torch.dtype
    device: torch.device
    _moved: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    _held: list[object] = field(default_factory=list[object])

    @property
    def memory(self) -> int:
        """The bytes of the numbers that were moved."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._moved.values())

    def apply(self, maps: tuple[LinearMap, ...], x: Tensor) -> Tensor:
        """The maps, the last first, times x."""
        for linear in reversed(maps):
            x = self._one(linear, x, False)
        return x

    def transposed(self, maps: tuple[LinearMap, ...], x: Tensor) -> Tensor:
        """The transpose of the maps times x."""
        for linear in maps:
            x = self._one(linear, x, True)
        return x

    def _one(self, linear: LinearMap, x: Tensor, turned: bool) -> Tensor:
        match linear:
            case Dense(weights):
                matrix = self._of(weights, x)
                return (matrix.T if turned else matrix) @ x
            case Diagonal(weights):
                return self._of(weights, x)[:, None] * x
            case BlockDiagonal(weights):
                blocks = self._of(weights, x)
                blocks = blocks.transpose(1, 2) if turned else blocks
                return torch.bmm(blocks, x.reshape(len(blocks), blocks.shape[2], -1)).reshape(-1, x.shape[1])
            case Selection(_, inputs):
                index = self._index(linear)
                if not turned:
                    return x[index]
                return torch.zeros((inputs, x.shape[1]), dtype=x.dtype, device=x.device).index_add_(0, index, x)
            case Sparse(rows, columns, weights, outputs, inputs):
                at = [torch.as_tensor(np.array(index), device=self.device) for index in (rows, columns)]
                to, source = at[::-1] if turned else at
                out = torch.zeros((inputs if turned else outputs, x.shape[1]), dtype=x.dtype, device=x.device)
                return out.index_add_(0, to, self._of(weights, x)[:, None] * x[source])
            case Kronecker(factors):
                return self._kronecker(factors, x, turned)
            case Compose(maps):
                return self.transposed(maps, x) if turned else self.apply(maps, x)

    def _kronecker(self, factors: tuple[LinearMap, ...], x: Tensor, turned: bool) -> Tensor:
        """One factor at a time, on its own digit of the index."""
        sizes = [factor.outputs if turned else factor.inputs for factor in factors]
        columns = x.shape[1]
        for position in reversed(range(len(factors))):
            before, after = prod(sizes[:position]), prod(sizes[position + 1 :])
            digits = x.reshape(before, sizes[position], after * columns).transpose(0, 1)
            out = self._one(factors[position], digits.reshape(sizes[position], -1), turned)
            sizes[position] = len(out)
            x = out.reshape(len(out), before, after * columns).transpose(0, 1).reshape(-1, columns)
        return x

    def _of(self, weights: Expression, like: Tensor) -> Tensor:
        key = id(weights)
        if key not in self._moved:
            values = np.asarray(self.numbers.of(weights, LINEAR), dtype=np.float64)
            if (values < 0).any():
                raise error("negative", "the model has negative numbers", hint="steering needs none")
            self._moved[key] = torch.as_tensor(values.copy(), dtype=self.dtype, device=self.device)
            self._held.append(weights)
        return self._moved[key].to(like.dtype)

    def _index(self, linear: Selection) -> Tensor:
        if id(linear) not in self._moved:
            self._moved[id(linear)] = torch.as_tensor(linear.index.copy(), device=self.device)
            self._held.append(linear)
        return self._moved[id(linear)]
