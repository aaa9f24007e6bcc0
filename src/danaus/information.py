"""The front door of information theory: circuits to exact numbers, in nats where they are logarithms."""

from __future__ import annotations

from .arguments import wants, wants_circuit
from .compiler.information import information, require_information
from .frontend.spec import Query
from .ir.circuit import Circuit
from .ir.domain import Variable
from .ir.span import caller


def expectation(p: Circuit, f: Circuit) -> float:
    """Σ p·f / Σ p: the mean of one circuit under another, normalised. f may be negative.

    Needs p and f compatible; f's variables are among p's.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return bernoulli(x, [0.25]) }
    ...     circuit f { return table(x, [[-1, 3]]) }''')
    >>> expectation(spec.circuits["p"], spec.circuits["f"])
    0.0

    Raises: Refused with a witness; DanausError `other-variables`, `zero-mass`, `no-closed-integral`, `too-large`.
    """
    return _asked("expectation", p, f)


def renyi(p: Circuit, alpha: float) -> float:
    """The Rényi entropy log Σ Pᵅ / (1 − α) of P = p/Z, in nats.

    Needs p nonnegative, and for a natural alpha from 2 structured or deterministic, for others above 0 deterministic;
    alpha = 1 is the limit, the entropy.

    >>> from danaus import parse
    >>> p = parse("var x : cat(4); circuit p { return categorical(x, [[0.25, 0.25, 0.25, 0.25]]) }").circuit
    >>> round(renyi(p, 2), 12)  # log 4
    1.386294361120

    Raises: Refused with a witness; DanausError `wrong-number`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("renyi", p, numbers=(alpha,))


def cauchy_schwarz(p: Circuit, q: Circuit) -> float:
    """The Cauchy–Schwarz divergence −log(Σ p q / √(Σ p² Σ q²)): 0 where p and q are proportional.

    Needs p and q nonnegative, compatible, and structured each. +inf where nothing is possible in both.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> round(cauchy_schwarz(spec.circuits["p"], spec.circuits["q"]), 12)  # log √2
    0.346573590280

    Raises: Refused with a witness; DanausError `other-variables`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("cauchy_schwarz", p, q)


def squared_loss(p: Circuit, q: Circuit) -> float:
    """Σ (p − q)², of p and q as they are. Needs them compatible, and structured each.

    It is added up from Σ p², Σ p q and Σ q²: errors of rounding are relative to these, not to a small answer.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> squared_loss(spec.circuits["p"], spec.circuits["q"])
    0.5

    Raises: Refused with a witness; DanausError `other-variables`, `no-closed-integral`, `too-large`.
    """
    return _asked("squared_loss", p, q)


def _asked(
    kind: str, *circuits: Circuit, variables: tuple[tuple[Variable, ...], ...] = (), numbers: tuple[float, ...] = ()
) -> float:
    for circuit in circuits:
        wants_circuit(circuit)
    wants((int, float), "a number", *numbers)
    query = Query(kind, kind, circuits, variables, numbers, caller())
    require_information(query)
    return information(query)


__all__ = ["cauchy_schwarz", "expectation", "renyi", "squared_loss"]
