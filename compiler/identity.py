"""Identity testing: whether two circuits are one polynomial, at random points of fields modulo random primes.

What enters are circuits; what leaves says whether they agreed, with the degree and the probability of being deceived.
For a product every distinct input node is one indeterminate, a product of inputs the product of its factors'; equality
of functions is tested in the indicators of the variables' values, in which smooth, decomposable circuits are
multilinear. Sources: J. Schwartz 1980, R. Zippel 1979; that a prime divides a coefficient is counted, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..ir.apply import apply
from ..ir.block import Block, Indexed, Input, Product, Sum
from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError, error
from ..ir.domain import FiniteDomain, Variable, first_value
from ..ir.evaluate import Evidence, evaluate, forward_by, multiply
from ..ir.expression import (
    Constant,
    Divide,
    Expression,
    InputValue,
    Join,
    Parameter,
    Plus,
    Share,
    Times,
    Total,
    Value,
    constant,
    in_order,
)
from ..ir.family import Binomial, InputProduct
from ..ir.linear import expressions
from ..ir.numbers import Numbers
from ..ir.products import singles_of
from ..ir.semirings import Array, Modular
from ..ir.store import Store
from .operators.operands import needs, require_circuits

WANTED = 1e-9

_LOW, _HIGH = 1 << 30, 1 << 31
# There are 50,697,537 primes between 2³⁰ and 2³¹.
_PRIMES = 50_697_537
_MOST_POINTS = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """The outcome: whether both sides agreed at all points, and the error probability if they did.

    `degree` bounds the polynomials', `bits` their coefficients'. `assignment` is where two functions differ, by value.
    """

    holds: bool
    degree: int
    bits: int
    points: int
    error_probability: float
    assignment: dict[Variable, float] | None = None

    def __str__(self) -> str:
        if self.holds:
            return f"holds at {self.points} points, degree {self.degree}, error below {self.error_probability:.1e}"
        return f"differs, degree {self.degree}"


def verify_product(product: Circuit, *factors: Circuit, seed: int = 0) -> Identity:
    """Whether a circuit computes the product of others, as an identity of computation.

    Raises: DanausError `irrational` where weights are no rationals, `untested` where 64 points do not reach 1e-9.
    """
    require_circuits("verify_product", product, *factors)
    sizes = [_size_of(factor, _counted) for factor in factors]
    own = _size_of(product, _counted)
    degree, bits = (max(own[i], sum(size[i] for size in sizes)) for i in (0, 1))

    def agree(over: Modular, random: np.random.Generator) -> bool:
        known: dict[object, Array] = {}
        found = _at_inputs(product, over, random, known)
        wanted = 1
        for factor in factors:
            wanted = wanted * _at_inputs(factor, over, random, known) % over.prime
        return found == wanted

    return _tested(agree, degree, bits + 1, seed)


def equal_functions(p: Circuit, q: Circuit, seed: int = 0) -> Identity:
    """Whether two smooth, decomposable circuits over finite domains are one function of the union of their variables.

    Where they are not, with an assignment on which they differ.

    Raises: Refused with a witness; DanausError `two-domains`, `infinite-domain`, `irrational`, `untested`.
    """
    variables = _together(p, q)
    for circuit in (p, q):
        needs(circuit, "equal", "smooth", "decomposable")
    sizes = [_size_of(circuit, partial(_tabled, circuit.store)) for circuit in (p, q)]
    bits = max(bits for _, bits in sizes) + sum((variable.size or 0).bit_length() for variable in variables)

    def difference(over: Modular, random: np.random.Generator, known: dict[Variable, tuple[int, int]]) -> bool:
        weights = {v: _weights(v, over, random, known.get(v)) for v in variables}
        return _at_indicators(p, over, weights) != _at_indicators(q, over, weights)

    outcome = _tested(lambda over, random: not difference(over, random, {}), len(variables), bits + 1, seed)
    if outcome.holds:
        return outcome
    # Variable by variable, the value that leaves two different polynomials, modulo one prime.
    random = np.random.default_rng([seed, 1])
    for _ in range(_MOST_POINTS):
        found = _assignment(variables, difference, Modular(_prime(random)), random)
        if found is not None:
            return Identity(False, len(variables), bits, outcome.points, 0.0, found)
    raise error("untested", f'"{p.name}" and "{q.name}" differ, but no assignment was found')


def _assignment(
    variables: list[Variable],
    difference: Callable[[Modular, np.random.Generator, dict[Variable, tuple[int, int]]], bool],
    over: Modular,
    random: np.random.Generator,
) -> dict[Variable, float] | None:
    known: dict[Variable, tuple[int, int]] = {}
    for variable in variables:
        low, high = 0, variable.size or 0
        while high - low > 1:
            # Half of the values: where the polynomials agree on one half, they differ on the other.
            middle = (low + high) // 2
            known[variable] = (low, middle)
            low, high = (low, middle) if difference(over, random, known) else (middle, high)
        known[variable] = (low, high)
    if not difference(over, random, known):
        return None
    return {variable: float(first_value(variable.domain) + low) for variable, (low, _) in known.items()}


def _together(p: Circuit, q: Circuit) -> list[Variable]:
    require_circuits("equal", p, q)
    names: dict[str, Variable] = {}
    for variable in (*p.variables, *q.variables):
        if names.setdefault(variable.name, variable) != variable:
            raise error("two-domains", f'"{variable.name}" has one domain in "{p.name}" and another in "{q.name}"')
        if not isinstance(variable.domain, FiniteDomain):
            raise error(
                "infinite-domain", f'"{variable.name}" is {variable.domain}; equality is tested on finite domains'
            )
    return list(names.values())


def _weights(variable: Variable, over: Modular, random: np.random.Generator, among: tuple[int, int] | None) -> Array:
    """Random weights of a variable's values, zero but for those from one position to another."""
    size = variable.size or 0
    if among is not None and among[1] - among[0] == 1:
        return np.asarray(np.arange(size) == among[0], dtype=np.int64)
    weights = random.integers(over.prime, size=size)
    if among is not None:
        weights[: among[0]] = weights[among[1] :] = 0
    return weights


def _at_indicators(circuit: Circuit, over: Modular, weights: dict[Variable, Array]) -> int:
    """The circuit with weights on the values of its variables, times their sum for those that it lacks."""
    own = {variable: weights[variable] for variable in circuit.variables}
    nothing = Evidence.nothing(circuit.variables)
    value = int(evaluate(circuit, over, Evidence(circuit.variables, nothing.values, nothing.observed, own))[0])
    for variable, given in weights.items():
        if variable not in own:
            value = value * int(given.sum() % over.prime) % over.prime
    return value


def _at_inputs(circuit: Circuit, over: Modular, random: np.random.Generator, known: dict[object, Array]) -> int:
    """The circuit with an element for every distinct input node; `known` has those that were drawn."""
    numbers = Numbers(circuit.store)

    def drawn(block: Input) -> Array:
        out = np.ones((1, 1), dtype=np.int64)
        widths = block.family.widths if isinstance(block.family, InputProduct) else (block.width,)
        for (family, parameters), width in zip(singles_of(block), widths, strict=True):
            key = (family, block.variable, width, tuple(_identity(circuit.store, each) for each in parameters))
            if key not in known:
                known[key] = random.integers(over.prime, size=(width, 1))
            out = (out[:, None] * known[key][None] % over.prime).reshape(-1, 1)
        return out

    def element(block: Block, below: list[Array]) -> Array:
        match block:
            case Input():
                return drawn(block)
            case Product(_, form):
                return multiply(below, form, 1, over)
            case Sum(_, linear):
                return apply(linear, over.concatenate(below), over, numbers)

    (value,) = (int(found[0, 0]) for block, found in forward_by(circuit, element) if block is circuit.root)
    return value


def _identity(store: Store, expression: Expression) -> object:
    """What two expressions share only where they have the same numbers; a parameter is the constant of its value."""
    match expression:
        case Constant():
            return expression
        case Parameter():
            return constant(store[expression])
        case _:
            values = tuple(constant(store[step]) for step in in_order([expression]) if isinstance(step, Parameter))
            return expression, values


def _tested(agree: Callable[[Modular, np.random.Generator], bool], degree: int, bits: int, seed: int) -> Identity:
    """As many points, each modulo a prime of its own, as bring the error probability below 1e-9."""
    # A coefficient that is not zero has at most bits / 30 prime divisors above 2³⁰.
    each = degree / _LOW + bits / 30 / _PRIMES
    if each >= 1 or (points := max(1, math.ceil(math.log(WANTED) / math.log(each)))) > _MOST_POINTS:
        raise error(
            "untested", f"polynomials of degree {degree} with coefficients of {bits} bits are too large to test"
        )
    random = np.random.default_rng(seed)
    for _ in range(points):
        while True:
            over = Modular(_prime(random))
            try:
                same = agree(over, random)
            except DanausError as failure:
                if failure.diagnostics[0].code != "bad-prime":
                    raise
                continue  # it divides a denominator: another
            break
        if not same:
            return Identity(False, degree, bits, points, 0.0)
    return Identity(True, degree, bits, points, each**points)


def _prime(random: np.random.Generator) -> int:
    while True:
        number = int(random.integers(_LOW, _HIGH)) | 1
        if _is_prime(number):
            return number


def _is_prime(number: int) -> bool:
    """Miller and Rabin, certain below 3.4e14 with these bases."""
    if any(number % small == 0 for small in (2, 3, 5, 7, 11, 13, 17)):
        return number in (2, 3, 5, 7, 11, 13, 17)
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17):
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        if not any((x := x * x % number) == number - 1 for _ in range(twos - 1)):
            return False
    return True


def _counted(block: Input) -> tuple[int, int]:
    """An input as indeterminates: its degree, and no bits."""
    return len(singles_of(block)), 0


def _tabled(store: Store, block: Input) -> tuple[int, int]:
    """An input as a sum of indicators: degree 1, and the bits of its values."""
    return 1, _bits_of_input(store, block.family, block.parameters)


def _size_of(circuit: Circuit, leaf: Callable[[Input], tuple[int, int]]) -> tuple[int, int]:
    """Bounds of the degree of a circuit's polynomial and of the bits of its coefficients, over a common denominator."""
    known: dict[Block, tuple[int, int]] = {}
    bits = _Bits(circuit.store)
    for block in circuit.blocks:
        match block:
            case Input():
                known[block] = leaf(block)
            case Product(children, Indexed(offsets, members)):
                laid = [
                    np.concatenate([np.full(c.width, float(known[c][i])) for c in children] or [np.zeros(0)])
                    for i in (0, 1)
                ]
                running = [np.concatenate([[0.0], np.cumsum(each[members])]) for each in laid]
                most = [int((each[offsets[1:]] - each[offsets[:-1]]).max(initial=0)) for each in running]
                known[block] = (most[0], most[1])
            case Product(children):
                known[block] = (sum(known[c][0] for c in children), sum(known[c][1] for c in children))
            case Sum(children, linear):
                own = sum(bits.of(each) for each in expressions(linear)) + linear.inputs.bit_length()
                below = [known[c] for c in children]
                degree = max((d for d, _ in below), default=0)
                known[block] = (degree, max((b for _, b in below), default=0) + own)
    return known[circuit.root]


@dataclass(slots=True)
class _Bits:
    """How many bits the numbers of expressions have, numerators and a common denominator together."""

    store: Store
    known: dict[object, int] = field(default_factory=dict[object, int])

    def of(self, expression: Expression) -> int:
        for step in in_order([expression]):
            if id(step) not in self.known:
                self.known[id(step)] = self._step(step)
        return self.known[id(expression)]

    def _step(self, step: Expression) -> int:
        match step:
            case Parameter():
                return _bits_of_value(self.store[step])
            case Constant(value):
                return _bits_of_value(value)
            case Plus(left, right) | Times(left, right) | Divide(left, right) | Share(left, right):
                return self.known[id(left)] + self.known[id(right)] + 1
            case Join(parts):
                return max(self.known[id(part)] for part in parts)
            case Total(operand, axis):
                return self.known[id(operand)] + operand.shape[axis].bit_length()
            case InputValue(family, _, parameters, _, weights):
                return (
                    _bits_of_input(self.store, family, parameters) + (0 if weights is None else self.of(weights)) + 64
                )
            case _:
                return self.known[id(step.operand)]


def _bits_of_input(store: Store, family: object, parameters: tuple[Expression, ...]) -> int:
    bits = sum(_Bits(store).of(each) for each in parameters) + 1
    if isinstance(family, InputProduct):
        return sum(_bits_of_input(store, factor, own) for factor, own in family.split(parameters))
    return (bits + 2) * family.n if isinstance(family, Binomial) else bits


def _bits_of_value(value: Value) -> int:
    """The bits of the largest numerator and of the common denominator."""
    if value.rationals is not None:
        exact = value.rationals.ravel().tolist()
        common = math.lcm(*{number.denominator for number in exact})
        return common.bit_length() + max((int(abs(number * common)).bit_length() for number in exact), default=1)
    mantissa, exponent = np.frexp(value.floats[value.floats != 0])
    if not len(mantissa):
        return 1
    return 53 + 2 * max(0, 53 - int(exponent.min())) + max(0, int(exponent.max()))
