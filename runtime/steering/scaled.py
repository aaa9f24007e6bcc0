"""Matrices whose columns each have a power of two of their own, so that rare automaton states do not underflow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """The matrix values[:, j] · 2^exponents[j]; the largest entry of a column is in [1/2, 1), or the column is zero."""

    values: Tensor
    exponents: Tensor  # float64, −inf for a column of zeros

    @staticmethod
    def of(values: Tensor, exponents: Tensor) -> Scaled:
        """The same matrix with its columns scaled."""
        largest = values.amax(dim=0)
        _, powers = torch.frexp(largest.double())
        shift = torch.where(largest > 0, powers.double(), -torch.inf)
        scaled = torch.ldexp(values, torch.where(largest > 0, -powers, 0).to(torch.int32))
        return Scaled(scaled, exponents + shift)

    def times(self, weights: Tensor) -> Scaled:
        """The matrix times the transpose of non-negative weights [outputs, columns]."""
        shifted = torch.where(weights > 0, self.exponents, -torch.inf)
        top = shifted.amax(dim=1)
        top = torch.where(torch.isneginf(top), 0.0, top)
        relative = weights * torch.exp2(shifted - top[:, None])
        return Scaled.of(self.values @ relative.T.to(self.values.dtype), top)
