"""Parameters as they are declared or made anew, with the names that the language gives them, until they have values.

Both frontends put their parameters in a `Declarations`; at the end it gives each one a value, its own or a random one,
checks the constraints, and becomes the store of the circuits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

from ..ir.block import MAX_NUMBERS
from ..ir.diagnostic import Diagnostic, Gatherer, error
from ..ir.parameter import Constraint, Parameter, Value
from ..ir.span import Note, Span
from ..ir.store import LOADED_TOLERANCE, TEXT_TOLERANCE, Store, initial_value, violation


def require_size(shape: Iterable[int], what: str) -> None:
    """Raises DanausError `too-large` for an array that no machine should be asked for."""
    if prod(shape) > MAX_NUMBERS:
        raise error("too-large", f"{what} has {prod(shape)} numbers", hint=f"an array has at most {MAX_NUMBERS}")


@dataclass(slots=True)
class Declarations:
    """The parameters of a spec by name, in order, and the values that are known of them."""

    parameters: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    values: dict[Parameter, Value] = field(default_factory=dict[Parameter, Value])
    places: dict[Parameter, Span | None] = field(default_factory=dict[Parameter, "Span | None"])
    loaded: dict[str, Value] = field(default_factory=dict[str, Value])
    counters: dict[str, int] = field(default_factory=dict[str, int])
    drawn: dict[tuple[Parameter, Constraint | None, int], Value] = field(
        default_factory=dict[tuple[Parameter, "Constraint | None", int], Value]
    )
    budget: int = 2 * MAX_NUMBERS

    def declare(self, parameter: Parameter, value: Value | None = None, place: Span | None = None) -> Parameter:
        """Adds a parameter under its name; `place` is where its value stands.

        Raises: DanausError `duplicate-name`, `wrong-shape`, `too-large`.
        """
        what = f'"{parameter.name}"'
        require_size(parameter.shape, what)
        self.budget -= prod(parameter.shape)
        if self.budget < 0:
            raise error("too-large", f"with {what} the parameters have more than {2 * MAX_NUMBERS} numbers")
        first = self.parameters.get(parameter.name)
        if first is not None:
            raise error(
                "duplicate-name",
                f"{what} is the name of another parameter",
                notes=[Note("first here", first.span)] if first.span else [],
            )
        if value is not None and value.shape != parameter.shape:
            raise error(
                "wrong-shape",
                f"the value of {what} has shape {list(value.shape)}, not {list(parameter.shape)}",
                place,
            )
        loaded = self.loaded.get(parameter.name)
        if loaded is not None:
            if loaded.shape != parameter.shape:
                raise error(
                    "wrong-shape",
                    f"the loaded value of {what} has shape {list(loaded.shape)}, not {list(parameter.shape)}",
                )
            value, place = loaded, None
        self.parameters[parameter.name] = parameter
        if value is not None:
            self.values[parameter] = value
            self.places[parameter] = place
        return parameter

    def fresh(
        self,
        stem: str,
        shape: tuple[int, ...],
        constraint: Constraint,
        span: Span | None = None,
        value: Value | None = None,
    ) -> Parameter:
        """A new learnable parameter named after a stem: `stem`, then `stem#1`, `stem#2`, …"""
        number = self.counters.get(stem, 0)
        self.counters[stem] = number + 1
        name = f"{stem}#{number}" if number else stem
        return self.declare(Parameter(name, shape, constraint, True, span), value)

    def _drawn(self, parameter: Parameter, seed: int) -> Value:
        """The random value of a parameter, drawn once for each constraint that it has had."""
        key = (parameter, parameter.constraint, seed)
        if key not in self.drawn:
            self.drawn[key] = initial_value(parameter, seed)
        return self.drawn[key]

    def _tolerance(self, parameter: Parameter) -> float:
        return LOADED_TOLERANCE if parameter.name in self.loaded else TEXT_TOLERANCE

    def settle(self, gatherer: Gatherer, seed: int = 0) -> Store:
        """A store with a value for each parameter; what has none, or breaks its constraint, becomes a diagnostic."""
        values: dict[Parameter, Value] = {}
        for parameter in self.parameters.values():
            value = self.values.get(parameter)
            if value is None and parameter.learnable:
                value = self._drawn(parameter, seed)
            elif value is None:
                gatherer.add(
                    Diagnostic(
                        "no-value",
                        f'const "{parameter.name}" has no value',
                        parameter.span,
                        hint="give it one with `=`, or `load` it from a .safetensors file",
                    )
                )
                continue
            elif reason := violation(value, parameter.constraint, self._tolerance(parameter)):
                place = self.places.get(parameter) or parameter.span
                wanted = f"{parameter.constraint}" + (", as its use asks" if parameter.inferred else "")
                gatherer.add(Diagnostic("wrong-value", f'"{parameter.name}" is {wanted}, but {reason}', place))
                continue
            values[parameter] = value
        return Store(values)
