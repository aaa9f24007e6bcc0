"""What a user gives: prefixes, counts and what a language model answers, checked, as arrays of codes or numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...ir.diagnostic import DanausError, error
from ...ir.domain import FiniteDomain, Variable, first_value

MAX_NUMBERS = 1 << 30


def whole(given: object, what: str) -> int:
    """A whole number of at least 0.

    Raises: DanausError `wrong-value`.
    """
    if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 0:
        raise error("wrong-value", f"the {what} is {given!r}", hint="it is a whole number, at least 0")
    return int(given)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The variables of a sequence, of one domain: tokens are its values, codes 0 … size-1 in their order."""

    variables: tuple[Variable, ...]
    size: int
    first: int

    @staticmethod
    def of(variables: Sequence[Variable]) -> Vocabulary:
        """Raises DanausError `wrong-domain` where they differ in their domains."""
        domain = variables[0].domain
        assert isinstance(domain, FiniteDomain)
        for variable in variables:
            if variable.domain != domain:
                message = f'"{variable.name}" is {variable.domain}, "{variables[0].name}" {domain}'
                raise error("wrong-domain", message, hint="the tokens of a sequence are of one domain")
        return Vocabulary(tuple(variables), domain.size, first_value(domain))

    def prefixes(self, given: Iterable[Any] | Any) -> list[tuple[int, ...]]:
        """Prefixes as tuples of codes.

        Raises: DanausError `wrong-shape`, `wrong-dtype`, `wrong-value`, `too-long`.
        """
        try:
            arrays = [np.asarray(row) for row in given]
        except (TypeError, ValueError) as failure:
            raise error("wrong-shape", "the prefixes are no list of lists of tokens") from failure
        rows: list[tuple[int, ...]] = []
        for row in arrays:
            if row.ndim != 1:
                raise error("wrong-shape", "the prefixes are no list of lists of tokens", hint="write [[]] or [[3, 1]]")
            if len(row) >= len(self.variables):
                raise self.too_long(len(row))
            rows.append(tuple(self.codes(row, self.variables).tolist()))
        return rows

    def codes(self, values: NDArray[Any], variables: Sequence[Variable]) -> NDArray[np.int64]:
        """Tokens as codes; they are values of these variables, or all of the first.

        Raises: DanausError `wrong-dtype`, `wrong-value`.
        """
        if values.size and values.dtype.kind not in "iu":
            raise error("wrong-dtype", f"tokens of dtype {values.dtype}, not whole numbers")
        codes: NDArray[np.int64] = values.astype(np.int64) - self.first
        (bad,) = np.nonzero((codes < 0) | (codes >= self.size))
        if len(bad):
            name = variables[min(int(bad[0]), len(variables) - 1)].name
            hint = f"its values are {self.first} to {self.first + self.size - 1}"
            raise error("wrong-value", f'token {values[bad[0]]} is no value of "{name}"', hint=hint)
        return codes

    def too_long(self, length: int) -> DanausError:
        """The error of a prefix after which nothing is left to ask for."""
        return error(
            "too-long", f"a prefix of {length} tokens leaves none to ask for: the model has {len(self.variables)}"
        )


def log_probabilities(given: object, like: Tensor) -> Tensor:
    """What a language model gave, in float64, of the shape and on the device of a tensor.

    Raises: DanausError `wrong-dtype`, `wrong-shape`, `wrong-number`.
    """
    whose = "the language model gave log-probabilities"
    if isinstance(given, Tensor):
        kind, found = str(given.dtype).removeprefix("torch."), given.detach()
        numbers = not given.is_complex() and given.dtype != torch.bool
    else:
        try:
            array = np.asarray(given)
        except ValueError as failure:
            raise error("wrong-shape", f"{whose} of uneven shape, not {list(like.shape)}") from failure
        kind, numbers = str(array.dtype), array.dtype.kind in "fiu"
        found = torch.as_tensor(array.astype(np.float64)) if numbers else like
    if not numbers:
        raise error("wrong-dtype", f"{whose} of dtype {kind}", hint="real numbers, [batch, values]")
    own = found.to(dtype=torch.float64, device=like.device)
    if own.shape != like.shape:
        raise error("wrong-shape", f"{whose} of shape {list(own.shape)}, not {list(like.shape)}")
    if bool(torch.isnan(own).any()) or bool((own == torch.inf).any()):
        raise error("wrong-number", f"{whose} that are NaN or +inf")
    return own
