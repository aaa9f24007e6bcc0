"""The `.bif` format (BIF 0.15, as bnlearn writes it): a Bayesian network with names, to the common form.

    network NAME { }
    variable X { type discrete [ 2 ] { yes, no }; }
    probability ( X ) { table 0.2, 0.8; }
    probability ( Y | X, Z ) { (yes, no) 0.1, 0.9; default 0.5, 0.5; }

Parents are named in each row. A `table` of a variable with parents lists the first variable's values slowest, the last
parent's fastest. Properties are passed over. Rows that sum to 1 within 1e-5 are renormalised in float64.
"""

from __future__ import annotations

import numpy as np

from ...ir.diagnostic import Diagnostic, error, nearest
from ...ir.domain import Cat
from ...ir.span import Note, Source
from ...ir.store import TEXT_TOLERANCE
from .bif_rows import Rows
from .lexemes import Lexemes
from .network import Factor, Network, normalised

_STATEMENTS = ("network", "variable", "probability")


def parse_bif(source: Source) -> tuple[Network, list[Diagnostic]]:
    """The network of a text, and a note where rows were renormalised.

    Raises: DanausError with the place of the first mistake.
    """
    return _Reader(Lexemes(source)).read()


class _Reader:
    """The declarations read so far."""

    def __init__(self, words: Lexemes) -> None:
        self.words = words
        self.states: dict[str, dict[str, int]] = {}
        self.places: dict[str, int] = {}
        self.tables: dict[str, tuple[int, Factor]] = {}
        self.renormalised: list[str] = []

    def read(self) -> tuple[Network, list[Diagnostic]]:
        while (word := self.words.peek()) is not None:
            match word:
                case "network":
                    self.network()
                case "variable":
                    self.variable()
                case "probability":
                    self.probability()
                case _:
                    self.words.take("a statement")
                    hint = nearest(word, _STATEMENTS) or "a file is `variable` and `probability` statements"
                    raise self.words.wrong(f'"{word[:40]}" begins no statement', hint=hint)
        for name, place in self.places.items():
            if name not in self.tables:
                raise error("missing-table", f'"{name}" has no probability', self.words.place(place))
        names = tuple(self.places)
        domains = tuple(Cat(len(states), tuple(states)) for states in self.states.values())
        order = {name: number for number, name in enumerate(names)}
        factors = [self.tables[name][1] for name in order]
        return Network(names, domains, tuple(factors)), self.notes()

    def notes(self) -> list[Diagnostic]:
        """One note for all rows that were renormalised, at the first of their probabilities."""
        if not self.renormalised:
            return []
        first, *others = self.renormalised
        more = f" and of {len(others)} more variables" if others else ""
        place = self.words.place(self.tables[first][0])
        message = f'rows of "{first}"{more} were renormalised'
        return [Diagnostic("renormalised", message, place, severity="note")]

    def network(self) -> None:
        words = self.words
        words.take("network")
        if words.peek() != "{":
            words.name("the network's name")
        words.expect("{")
        self.properties()
        words.expect("}")

    def properties(self) -> None:
        """Statements that say nothing about the function."""
        while self.words.peek() == "property":
            while self.words.take("`;`") != ";":
                pass

    def variable(self) -> None:
        words = self.words
        words.take("variable")
        name = words.name("the name of a variable")
        if name in self.places:
            first = words.place(self.places[name])
            raise words.wrong(f'"{name}" is declared twice', code="duplicate-name", notes=[Note("first here", first)])
        self.places[name] = words.at - 1
        words.expect("{")
        states: dict[str, int] | None = None
        while words.peek() != "}":
            self.properties()
            if words.peek() == "}":
                break
            words.expect("type")
            if states is not None:
                raise words.wrong(f'"{name}" has two types')
            states = self.type()
        if states is None:
            words.take("`}`")
            raise words.wrong(f'"{name}" has no type', hint="type discrete [ 2 ] { yes, no };")
        words.expect("}")
        self.states[name] = states

    def type(self) -> dict[str, int]:
        words = self.words
        words.expect("discrete")
        words.expect("[")
        count = words.integer("the number of states")
        at = words.at - 1
        words.expect("]")
        words.expect("{")
        states: dict[str, int] = {}
        while True:
            state = words.name("a state")
            if state in states:
                raise words.wrong(f'the state "{state}" stands twice', code="duplicate-name")
            states[state] = len(states)
            if words.peek() != ",":
                break
            words.expect(",")
        words.expect("}")
        words.expect(";")
        if count != len(states):
            raise error("wrong-domain", f"{count} states are announced, {len(states)} follow", words.place(at))
        return states

    def probability(self) -> None:
        words = self.words
        words.take("probability")
        words.expect("(")
        scope = [self.known()]
        child = words.at - 1
        if words.peek() == "|":
            words.expect("|")
            scope.append(self.known())
        while words.peek() == ",":
            words.expect(",")
            scope.append(self.known())
        words.expect(")")
        name = scope[0]
        if name in self.tables:
            first = words.place(self.tables[name][0])
            raise error(
                "duplicate-name",
                f'"{name}" has two probabilities',
                words.place(child),
                notes=[Note("first here", first)],
            )
        table = Rows(words, [self.states[other] for other in scope], f'the probability of "{name}"', child).read()
        rows, _ = normalised(table)
        if np.any(np.abs(table.sum(axis=-1) - 1) > TEXT_TOLERANCE):
            self.renormalised.append(name)
        order = {known: number for number, known in enumerate(self.places)}
        self.tables[name] = (child, Factor(tuple(order[other] for other in [*scope[1:], name]), rows))

    def known(self) -> str:
        name = self.words.name("the name of a variable")
        if name not in self.states:
            hint = nearest(name, self.states) or "declare variables before their probabilities"
            raise self.words.wrong(f'there is no variable "{name[:60]}"', hint=hint, code="unknown-name")
        return name
