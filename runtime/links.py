"""How numbers without constraints stand for parameters, and what the runtime asks of code between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Link = Literal["softmax", "exp", "sigmoid", "identity"]


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter as rows of numbers, and how numbers without constraints stand for it."""

    link: Link
    rows: int
    columns: int


class Links(Protocol):
    """Code between free numbers, flat, and the parameters that they stand for, flat in a type of their own."""

    def hold(self, free: NDArray[Any], held: NDArray[Any]) -> None:
        """Writes the parameters."""
        ...

    def pull(self, free: NDArray[Any], held: NDArray[Any], slopes: NDArray[np.int64], factor: float) -> None:
        """Writes derivatives by free numbers, from those by each parameter, at addresses, times a factor."""
        ...
