"""Which column of a file is which variable, by its name or by its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..diagnostic import Diagnostic, error, nearest
from ..domain import Variable
from ..span import Span
from .table import Mistakes

# The column of each variable that is wanted, None where the file has none.
Places = tuple[int | None, ...]

_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """The variables that a file may hold: those that the spec declares and those that a circuit needs, in order."""

    declared: tuple[Variable, ...]
    needed: tuple[Variable, ...]

    @property
    def names(self) -> dict[str, Variable]:
        """All variables by name, the declared first."""
        return {variable.name: variable for variable in (*self.needed, *self.declared)}

    def in_order(self, width: int) -> tuple[Variable, ...] | None:
        """What columns without names stand for: the declared variables, else the circuit's; None where neither fits."""
        return next((some for some in (self.declared, self.needed) if len(some) == width), None)

    def by_order(self, width: int, file: str, span: Span | None = None) -> Places:
        """The places of columns without names. Raises: DanausError `wrong-shape` where their number fits nothing."""
        found = self.in_order(width)
        if found is None:
            wanted = counted(len(self.declared), "declared variable")
            if self.needed != self.declared:
                wanted += f" and {len(self.needed)} of the circuit"
            raise error(
                "wrong-shape",
                f"{file} has {counted(width, 'column')} without names, for {wanted}",
                span,
                hint="give one column for each variable, or a header that names the columns",
            )
        places = {variable.name: place for place, variable in enumerate(found)}
        return tuple(places.get(variable.name) for variable in self.needed)

    def by_name(self, names: Sequence[str], file: str, span: Callable[[int], Span | None] = lambda _: None) -> Places:
        """The places of columns with names. Raises: DanausError for a name twice, or where none is a variable's."""
        mistakes = Mistakes()
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            if name in places and name:
                hint = f"column {places[name] + 1} has this name too; column names are unique"
                mistakes.add(Diagnostic("duplicate-name", f'{file} has two columns "{name}"', span(place), hint))
            places.setdefault(name, place)
        mistakes.finish()
        known = self.names
        if known and not known.keys() & places.keys():
            close = next(filter(None, (nearest(name, known) for name in names)), "")
            more = ", …" if len(known) > _MOST_SHOWN else ""
            raise error(
                "unknown-name",
                f"no column of {file} has the name of a variable",
                span(0),
                hint=close or f"the variables are {', '.join(list(known)[:_MOST_SHOWN])}{more}",
            )
        return tuple(places.get(variable.name) for variable in self.needed)


def counted(number: int, noun: str) -> str:
    """A number of things, in the singular where it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
