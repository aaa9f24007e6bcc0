"""A compiled circuit over numbers without constraints, for any optimiser of torch.

What enters is an executable; what leaves is a module with one flat parameter. Logits of each row stand for a row on
the simplex, logarithms for what is positive, log-odds for what is in [0, 1]. Compiled code goes from these to the
parameters and from their derivatives back, so that thousands of parameters cost torch what one does.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..ir.diagnostic import error
from ..ir.parameter import Floats, Parameter
from .autograd import FreeLogLikelihood
from .columns import Bools
from .derivatives import Derivatives
from .kept import Kept
from .links import Link, Links, Place
from .straight import Straight, Straightly

if TYPE_CHECKING:
    from .executable import Executable

FLOOR = 1e-12
"""What is least on the simplex, and at either end of [0, 1], when numbers are made free: a zero would stay one."""

_SIZES = {torch.float32: 4, torch.float64: 8}


class Unconstrained(torch.nn.Module):
    """Learnable parameters of an executable as one flat parameter `numbers`, which any optimiser may move.

    The executable's own parameters follow: they are those that `numbers` stands for whenever `model` is looked at. What
    is not learnable stays. `at` says where each parameter's numbers lie.
    """

    numbers: torch.nn.Parameter

    def __init__(self, model: Executable, dtype: torch.dtype) -> None:
        """`dtype` is float32 or float64, of the free numbers; parameters are float64 always.

        Raises: DanausError `not-differentiable` where only the evaluator can answer, `nothing-to-learn`, `wrong-type`.
        """
        super().__init__()
        compiled = model.compiled
        if compiled is None:
            raise error("not-differentiable", f'"{model.circuit.name}" runs in the evaluator, which has no derivatives')
        if dtype not in _SIZES:
            raise error("wrong-type", f"numbers of {dtype} are not available", hint="float32 and float64 are")
        learnable = model.learnable()
        if not learnable:
            raise error("nothing-to-learn", f'"{model.circuit.name}" has no learnable parameters')
        self._compiled, self._learnable = compiled, learnable
        apart = compiled.apart
        within = apart is not None and all(each in apart.tables for each in learnable.values())
        self._apart = apart if within else None
        self._model = [model]  # in a list: it is no part of this module, whose one parameter is `numbers`
        self._places = [_place(parameter) for parameter in learnable.values()]
        self._links: dict[tuple[int, int], Links] = {}
        self._straight: dict[torch.dtype, Straight] = {}
        self._kept: dict[torch.dtype, Kept] = {}
        self._seen: tuple[int, int] | None = None
        self.at: dict[str, slice] = {}
        start = 0
        for name, parameter in learnable.items():
            self.at[name] = slice(start, start + prod(parameter.shape))
            start = self.at[name].stop
        self._beside = [name for name in model.tensors() if name not in self.at]
        self._held = np.empty(start)
        tensors = model.tensors()
        for name, own in self.at.items():
            tensor = tensors[name]
            self._held[own] = tensor.detach().double().cpu().numpy().ravel()
            tensor.data = torch.from_numpy(self._held[own].reshape(tensor.shape))
        self.numbers = torch.nn.Parameter(torch.empty(start, dtype=dtype))
        self.reset()

    @property
    def model(self) -> Executable:
        """The executable, with the parameters that `numbers` stands for now."""
        (model,) = self._model
        self._require_place()
        seen = (self.numbers._version, self.numbers.data_ptr())
        if seen != self._seen:
            self._linked().hold(self.numbers.detach().numpy(), self._held)
            model.present.written()
            self._seen = seen
        return model

    @property
    def executable(self) -> Executable:
        """The executable as it is, with the parameters of the last time when `model` was looked at."""
        (model,) = self._model
        return model

    def reset(self) -> None:
        """Takes the numbers from the executable's parameters, after these were changed by other means."""
        with torch.no_grad():
            for own, place in zip(self.at.values(), self._places, strict=True):
                self.numbers[own] = torch.from_numpy(_free(place.link, self._held[own])).to(self.numbers.dtype)
        self.settle()

    def settle(self) -> None:
        """Says that the executable's parameters are those that `numbers` stands for, to the last bit."""
        self._seen = (self.numbers._version, self.numbers.data_ptr())

    def forward(self, x: Any, observed: Any = None) -> torch.Tensor:
        """The log-likelihood."""
        return self.log_likelihood(x, observed)

    def log_likelihood(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log p(x), [batch], as the executable's, under autograd by `numbers` and, where it asks, by data."""
        data = x if isinstance(x, torch.Tensor) and x.requires_grad else None
        if not torch.is_grad_enabled() or not (self.numbers.requires_grad or data is not None):
            return self.model.log_likelihood(x, observed)
        self._require_place()
        values, known = self.executable.checked(x, observed)
        apply: Any = FreeLogLikelihood.apply
        found: torch.Tensor = apply(self, values, known, data, self.numbers)
        return found

    def log_partition(self) -> torch.Tensor:
        """The natural logarithm of the total mass, under autograd; what a circuit without mass 1 is divided by."""
        nothing = np.zeros((1, len(self.model.variables)))
        return self.log_likelihood(nothing, nothing.astype(bool))[0]

    def derivatives(
        self, values: Floats, observed: Bools, weights: Floats, data: bool = False
    ) -> Derivatives | Straightly:
        """Derivatives of Σ weight · log p over rows that are already checked; of the data where asked for."""
        straight = None if data else self._straightly()
        codes = None if straight is None else self.executable.coded(values, observed)
        found = None if straight is None or codes is None else straight.run(codes, weights, self._slopes)
        return self.model.derivatives(values, observed, weights, data) if found is None else found

    def pulled(self, found: Derivatives | Straightly, factor: float = 1.0) -> torch.Tensor:
        """From derivatives by parameters, times a factor, those by `numbers`."""
        if isinstance(found, Straightly):
            return self._straight[self.numbers.dtype].pulled(found, factor, self._slopes)
        out = self._slopes()
        slopes = [np.ascontiguousarray(found.named[name]) for name in self.at]
        places = np.array([each.__array_interface__["data"][0] for each in slopes], dtype=np.int64)
        self._linked().pull(out.numpy(), self._held, places, factor)
        return out

    def _slopes(self) -> torch.Tensor:
        """A tensor like `numbers`: one of those before, where nobody holds it."""
        dtype = self.numbers.dtype
        if dtype not in self._kept:
            count, kind = self.numbers.numel(), np.float32 if dtype == torch.float32 else np.float64
            self._kept[dtype] = Kept(lambda: np.empty(count, dtype=kind))
        return torch.from_numpy(self._kept[dtype].take())

    def _straightly(self) -> Straight | None:
        """The quick way, with the present numbers; None where there is none, or not for these numbers."""
        apart, dtype = self._apart, self.numbers.dtype
        if apart is None or self.executable.present.hidden:
            return None
        if dtype not in self._straight:
            links = self._linked(apart.size)
            parameters = list(self._learnable.values())
            self._straight[dtype] = Straight(self._compiled, apart, parameters, self._places, links)
        by_parameter, straight = self.executable.by_parameter, self._straight[dtype]
        held = straight.load(
            self.numbers,
            [self.executable.get_parameter(name) for name in self._beside],
            lambda parameter: by_parameter()[parameter].detach().double().cpu().numpy(),
            lambda: self.model.circuit.store,
        )
        return straight if held else None

    def _linked(self, held: int = 8) -> Links:
        """Code between `numbers` and parameters of so many bytes."""
        key = _SIZES[self.numbers.dtype], held
        if key not in self._links:
            self._links[key] = self._compiled.links(self._places, *key)
        return self._links[key]

    def _require_place(self) -> None:
        numbers = self.numbers
        if not (numbers.is_cpu and numbers.dtype in _SIZES and numbers.is_contiguous()):
            raise error(
                "wrong-type",
                f"the numbers are {numbers.dtype} on {numbers.device}",
                hint="this code takes float32 and float64 on the CPU",
            )


def _place(parameter: Parameter) -> Place:
    numbers = prod(parameter.shape)
    match parameter.constraint:
        case "simplex":
            columns = parameter.shape[-1]
            return Place("softmax", numbers // max(columns, 1), columns)
        case "unit":
            return Place("sigmoid", 1, numbers)
        case "positive":
            return Place("exp", 1, numbers)
        case _:
            return Place("identity", 1, numbers)


def _free(link: Link, held: Floats) -> Floats:
    match link:
        case "softmax":
            return np.log(np.maximum(held, FLOOR))
        case "sigmoid":
            inside = np.clip(held, FLOOR, 1 - FLOOR)
            return np.log(inside) - np.log1p(-inside)
        case "exp":
            return np.log(held)
        case "identity":
            return held
