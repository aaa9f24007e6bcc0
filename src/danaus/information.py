"""The front door of information theory: circuits to exact numbers, in nats where they are logarithms."""

from __future__ import annotations

from collections.abc import Iterable

from .arguments import wants, wants_circuit
from .compiler.information import information, require_information
from .compiler.operators.operands import variables_of
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
    ...     circuit f { return table(x, [[-1, 5]]) }''')
    >>> round(expectation(spec.circuits["p"], spec.circuits["f"]), 12)
    0.5

    Raises: Refused with a witness; DanausError `other-variables`, `zero-mass`, `no-closed-integral`, `too-large`.
    """
    return _asked("expectation", p, f)


def entropy(p: Circuit) -> float:
    """The entropy −Σ P log P of P = p/Z, in nats; of densities, the differential entropy.

    Needs p nonnegative and deterministic.

    >>> from danaus import parse
    >>> p = parse("var x : cat(4); circuit p { return table(x, [[2, 1, 0, 1]]) }").circuit
    >>> round(entropy(p), 12)  # 1.5 bits
    1.03972077084

    Raises: Refused with a witness; DanausError `zero-mass`, `no-closed-integral`.
    """
    return _asked("entropy", p)


def cross_entropy(p: Circuit, q: Circuit) -> float:
    """The cross entropy −Σ P log Q, in nats: +inf where Q is 0 at something that P may be.

    Needs p and q nonnegative and compatible, and q deterministic.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> p, q = spec.circuits["p"], spec.circuits["q"]
    >>> round(cross_entropy(p, q), 12), cross_entropy(q, p)
    (0.69314718056, inf)

    Raises: Refused with a witness; DanausError `other-variables`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("cross_entropy", p, q)


def kl(p: Circuit, q: Circuit) -> float:
    """The Kullback–Leibler divergence Σ P log(P / Q), in nats: +inf where Q is 0 at something that P may be.

    Needs p and q nonnegative, compatible, and deterministic each. It is the difference of two entropies: rounding may
    leave −1e-15 times their size where it is 0.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> p, q = spec.circuits["p"], spec.circuits["q"]
    >>> round(kl(p, q), 12), kl(q, p)
    (0.69314718056, inf)

    Raises: Refused with a witness; DanausError `other-variables`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("kl", p, q)


def renyi(p: Circuit, alpha: float) -> float:
    """The Rényi entropy log Σ Pᵅ / (1 − α) of P = p/Z, in nats.

    Needs p nonnegative, and for a natural alpha from 2 structured or deterministic, for others above 0 deterministic;
    alpha = 1 is the limit, the entropy.

    >>> from danaus import parse
    >>> p = parse("var x : cat(4); circuit p { return categorical(x, [[0.25, 0.25, 0.25, 0.25]]) }").circuit
    >>> round(renyi(p, 2), 12)  # log 4
    1.38629436112

    Raises: Refused with a witness; DanausError `wrong-number`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("renyi", p, numbers=(alpha,))


def alpha_divergence(p: Circuit, q: Circuit, alpha: float) -> float:
    """Rényi's divergence log Σ Pᵅ Q¹⁻ᵅ / (α − 1), in nats; alpha = 1 is the limit, `kl`.

    Needs p and q nonnegative and compatible, q deterministic, and p deterministic or, for a natural alpha from 2,
    structured. +inf where alpha ≥ 1 and Q is 0 at something that P may be, and where P and Q have nothing in common.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> round(alpha_divergence(spec.circuits["p"], spec.circuits["q"], 0.5), 12)
    0.69314718056

    Raises: Refused with a witness; DanausError `wrong-number`, `other-variables`, `zero-mass`, `no-closed-integral`.
    """
    return _asked("alpha_divergence", p, q, numbers=(alpha,))


def itakura_saito(p: Circuit, q: Circuit) -> float:
    """The Itakura–Saito divergence Σ p/q − log(p/q) − 1 over all assignments, of p and q as they are.

    Needs finite domains, and p and q nonnegative, compatible, deterministic each, and q positive where p is; +inf where
    q is positive and p is not. Where both are 0 it counts nothing. Errors of rounding are relative to the number of
    assignments.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return table(x, [[1, 2]]) }
    ...     circuit q { return table(x, [[1, 1]]) }''')
    >>> round(itakura_saito(spec.circuits["p"], spec.circuits["q"]), 12)  # 1 − log 2
    0.30685281944

    Raises: Refused with a witness, an assignment where p is positive and q is 0 among them; DanausError
    `other-variables`, `wrong-domain`, `too-large`.
    """
    return _asked("itakura_saito", p, q)


def cauchy_schwarz(p: Circuit, q: Circuit) -> float:
    """The Cauchy–Schwarz divergence −log(Σ p q / √(Σ p² Σ q²)): 0 where p and q are proportional.

    Needs p and q nonnegative, compatible, and structured each. +inf where nothing is possible in both.

    >>> from danaus import parse
    >>> spec = parse('''
    ...     var x : bool
    ...     circuit p { return [x = 1] }
    ...     circuit q { return bernoulli(x, [0.5]) }''')
    >>> round(cauchy_schwarz(spec.circuits["p"], spec.circuits["q"]), 12)  # log √2
    0.34657359028

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


def mutual_information(p: Circuit, first: Iterable[Variable | str], second: Iterable[Variable | str]) -> float:
    """The mutual information H(X) + H(Y) − H(X, Y) of two lists of variables under P = p/Z, in nats.

    Needs p nonnegative, the marginals on each list and on both together deterministic, and the lists disjoint.

    >>> from danaus import parse
    >>> p = parse('''
    ...     var x : bool
    ...     var y : bool
    ...     var z : bool
    ...     circuit p {
    ...       return sum(concat([x = 0] * [y = 0], [x = 1] * [y = 1]), [[0.5, 0.5]]) * bernoulli(z, [0.3])
    ...     }''').circuit
    >>> round(mutual_information(p, ["x"], ["y", "z"]), 12)  # log 2
    0.69314718056

    Raises: Refused with a witness; DanausError `unknown-variable`, `wrong-arguments`, `zero-mass`.
    """
    wants_circuit(p)
    wants(Iterable, "a list of variables", first, second)
    return _asked("mutual_information", p, variables=(variables_of(p, first), variables_of(p, second)))


def _asked(
    kind: str, *circuits: Circuit, variables: tuple[tuple[Variable, ...], ...] = (), numbers: tuple[float, ...] = ()
) -> float:
    for circuit in circuits:
        wants_circuit(circuit)
    wants((int, float), "a number", *numbers)
    query = Query(kind, kind, circuits, variables, numbers, caller())
    require_information(query)
    return information(query)


__all__ = [
    "alpha_divergence",
    "cauchy_schwarz",
    "cross_entropy",
    "entropy",
    "expectation",
    "itakura_saito",
    "kl",
    "mutual_information",
    "renyi",
    "squared_loss",
]
