"""What the DSL says of a mistake: its code, its sentence, its hint, and the line of the caller's file."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import danaus.frontend.dsl as dn
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError, Diagnostic
from danaus.ir.span import Span
from danaus.ir.store import Store, initial_value

d: Any = dn  # calls that a type checker would refuse
x, y, u, n = dn.Bool("x"), dn.Bool("y"), dn.Real("u"), dn.Count("n")
z, k = dn.Cat("z", 3, shape=4), dn.Int("k", 0, 5)
size = dn.Cat("size", "small", "large")
a2 = dn.bernoulli(x, [0.25, 0.75])
a3 = dn.categorical(z[0], [[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]])
W = dn.param("W", [3, 4])
U = dn.param("U", [2], "unit", [0.5, 1])
H = dn.param("H", [2], None, [0.5, 7])
I2 = dn.index("I2", [2, 2], [[0, 1], [-1, 1]])
p = dn.Circuit(a2[0], name="p")
circle: list[Any] = []
circle.append(circle)

Mistake = tuple[Callable[[], object], str, str, str]
MISTAKES: list[Mistake] = [
    # variables
    (lambda: dn.Bool(""), "wrong-name", "the name of the variable is ''", "not empty"),
    (lambda: dn.Bool('"'), "wrong-name", "the name of the variable is '\"'", "no double quotes"),
    (lambda: d.Bool(3), "wrong-name", "the name of the variable is the number 3, not a name", "names are text"),
    (lambda: dn.Cat("c"), "wrong-arguments", "Cat has no values", 'dn.Cat("x", 3)'),
    (lambda: dn.Cat("c", 0), "wrong-size", "the number of values is 0", "at least 1"),
    (lambda: d.Cat("c", 2.5), "not-an-integer", "the number of values is the number 2.5, not an integer", ""),
    (lambda: dn.Cat("c", "a", "a"), "duplicate-name", "two values of the domain have one name", ""),
    (lambda: dn.Cat("c", 10**12), "too-large", "a domain of 1000000000000 values", "16777216"),
    (lambda: dn.Int("i", 3, 1), "wrong-domain", "int(3, 1) has no values", "included"),
    (lambda: dn.Int("i", 2**60, 2**60), "too-large", "the bounds do not fit in 53 bits", ""),
    (lambda: dn.Real("v", shape=10**12), "too-large", "1000000000000 variables", "1000000"),
    (lambda: d.Real("v", shape=[2, 3]), "not-an-integer", "the number of variables is a list, not an integer", ""),
    (lambda: z[4], "wrong-index", "index 4 is out of range", "0 to 3"),
    (lambda: z[-1], "wrong-index", "index -1 is out of range", "0 to 3"),
    (lambda: z[2:2], "wrong-index", "the slice 2:2 is empty", ""),
    (lambda: z[2:9], "wrong-index", "the slice 2:9 is out of range 0:4", ""),
    (lambda: z[::2], "wrong-index", "a slice with a step", "dn.gather"),
    # families
    (lambda: dn.bernoulli(z[0], [0.5]), "wrong-domain", 'needs a variable of domain bool; "z[0]" is cat(3)', "categor"),
    (lambda: d.bernoulli(z, [0.5]), "not-a-variable", '"z" stands for 4 variables, and one is needed', "z[0]"),
    (lambda: d.bernoulli("x", [0.5]), "not-a-variable", "the text 'x' is not a variable", 'dn.Bool("x")'),
    (lambda: d.bernoulli(a2, [0.5]), "not-a-variable", "<block of width 2> is not a variable", ""),
    (lambda: dn.bernoulli(x, [0.5, 1.5]), "wrong-value", "in the probabilities, entry [1] is 1.5, not in [0, 1]", ""),
    (lambda: dn.bernoulli(x, [[0.5]]), "wrong-shape", "the probabilities of bernoulli have shape [1, 1], not [1]", ""),
    (lambda: dn.bernoulli(x, 0.5), "wrong-shape", "the probabilities of bernoulli have shape [], not [K]", "one numb"),
    (lambda: dn.bernoulli(x, []), "wrong-width", "a block of width 0", "at least one node"),
    (lambda: dn.bernoulli(x, [np.nan]), "wrong-number", "entry [0] is not finite", ""),
    (lambda: dn.bernoulli(x, [Fraction(1, 2), np.nan]), "wrong-number", "entry [1] is not finite", ""),
    (lambda: d.bernoulli(x, ["0.5"]), "wrong-number", "the text '0.5' is no real number", ""),
    (lambda: d.bernoulli(x, [a2]), "wrong-number", "<block of width 2> is no real number", ""),
    (lambda: d.bernoulli(x, [0.5, U]), "wrong-number", "Parameter('U', [2]) is no real number", ""),
    (lambda: d.bernoulli(x, {0.5}), "wrong-number", "{0.5} is no real number", ""),
    (lambda: d.bernoulli(x, [1j]), "wrong-number", "the number 1j is no real number", ""),
    (lambda: d.bernoulli(x, circle), "wrong-shape", "a list of more than 32 levels", ""),
    (lambda: dn.bernoulli(x, [0.5], width=1), "wrong-arguments", "a width and values of parameters together", "one of"),
    (lambda: dn.bernoulli(x), "wrong-arguments", "bernoulli takes 1 array of parameters, not 0", "width=K"),
    (lambda: dn.bernoulli(x, width=0), "wrong-size", "the width is 0", "at least 1"),
    (lambda: dn.bernoulli(x, width=10**12), "too-large", "has 1000000000000 numbers", "at most"),
    (lambda: dn.gaussian(u, [0]), "wrong-arguments", "gaussian takes 2 arrays of parameters, not 1", "[means], [devi"),
    (lambda: dn.gaussian(u, [0], [0]), "wrong-value", "in the deviations, entry [0] is 0, not positive", ""),
    (lambda: dn.gaussian(u, [0, 1], [1]), "wrong-shape", "deviations of gaussian have shape [1], not [2]", "per node"),
    (lambda: dn.categorical(z[0], [[0.5, 0.5]]), "wrong-shape", "have shape [1, 2], not [1, 3]", "one row per node"),
    (lambda: dn.categorical(x, [[0.5, 0.6]]), "wrong-value", "row [0] sums to 1.1, not 1", "divide rows"),
    (lambda: dn.categorical(x, [[1, 0], [1]]), "wrong-shape", "row 1 has 1 item, the first one 2", "equally long"),
    (lambda: dn.categorical(x, [[1, 0], 1]), "wrong-shape", "numbers and rows stand in one list", ""),
    (lambda: dn.categorical(x, U), "wrong-constraint", '"U" is unit, but this use needs simplex', '"simplex"'),
    (lambda: dn.bernoulli(x, H), "wrong-value", '"H" is unit, as its use asks, but entry [1] is 7', ""),
    (lambda: dn.binomial(k, 4, [0.5]), "wrong-domain", 'binomial with n = 4 needs int(0, 4); "k" is int(0, 5)', ""),
    (lambda: dn.binomial(k, 5), "wrong-arguments", "binomial takes 1 array of parameters, not 0", "width=K"),
    (lambda: dn.indicator(x, 2), "wrong-value", '"x" is bool and has no value 2', "0 to 1"),
    (lambda: d.indicator(x, 0.5), "wrong-value", '"x" is bool and has no value 0.5', ""),
    (lambda: d.indicator(n, 1e400), "wrong-value", 'the number inf is no value of "n" (count)', ""),
    (lambda: d.indicator(x, None), "wrong-value", 'None is no value of "x" (bool)', ""),
    (lambda: dn.indicator(u, 1), "wrong-domain", 'indicator needs a variable of domain', "gaussian"),
    (lambda: dn.indicator(size, "lrge"), "unknown-value", '"size" has no value named "lrge"', 'did you mean "large"?'),
    (lambda: dn.indicator(x, "yes"), "unknown-value", '"x" has no value named "yes"', "it has no names"),
    # blocks and operators
    (lambda: a2 * a3, "wrong-width", "a product of blocks of widths 2 and 3", "kron"),
    (lambda: a2 * a2[0] * a3, "wrong-width", "a product of blocks of widths 2, 1 and 3", "kron"),
    (lambda: d.product([2, a2]), "not-a-block", "the number 2 is not a block", "dn.sum(a, [[w]])"),
    (lambda: 2 * d.product([a2]), "not-a-block", "the number 2 is not a block", "dn.sum(a, [[w]])"),
    (lambda: d.product([a2]) * 0.5, "not-a-block", "the number 0.5 is not a block", "dn.sum(a, [[w]])"),
    (lambda: np.ones(2) * d.product([a2]), "not-a-block", "an array of shape [2] is not a block", "dn.sum(a, [[w]])"),
    (lambda: d.product([a2]) * np.ones(2), "not-a-block", "an array of shape [2] is not a block", "dn.sum(a, [[w]])"),
    (lambda: a2 + a2, "not-a-block", "blocks are not joined by `+`", "dn.concat(a, b), [[1, 1]]"),
    (lambda: sum(d.concat(a2, a2)), "not-a-block", "blocks are not joined by `+`", "dn.concat(a, b), [[1, 1]]"),
    (lambda: a2 - a2, "not-a-block", "blocks are not joined by `-`", "[[1, -1]]"),
    (lambda: a2 / a2, "not-a-block", "blocks are not joined by `/`", "divides circuits"),
    (lambda: d.concat(x, a2), "not-a-block", 'the variable "x" is not a block', "dn.bernoulli(x, …)"),
    (lambda: d.concat(z, a2), "not-a-block", 'the array "z" of variables is not a block', "z[0]"),
    (lambda: d.concat(W), "not-a-block", 'the parameter "W" is not a block', "dn.sum(a, W)"),
    (lambda: d.concat([a2, a3]), "not-a-block", "a list is not a block", "dn.concat(*blocks)"),
    (lambda: d.concat(p.root), "not-a-block", "a block of the IR stands here", "give the circuit"),
    (lambda: dn.concat() * a2, "wrong-width", "a block of width 0", "at least one node"),
    (lambda: a2[2], "wrong-index", "index 2 is out of range", "0 to 1"),
    (lambda: a2[-1], "wrong-index", "index -1 is out of range", "0 to 1"),
    (lambda: a2[True], "not-an-integer", "the index is the number True, not an integer", ""),
    (lambda: d.product([a2])["0"], "not-an-integer", "the index is the text '0', not an integer", ""),
    (lambda: a3[1:1], "wrong-index", "the slice 1:1 is empty", "not included"),
    (lambda: a3[1:9], "wrong-index", "the slice 1:9 is out of range 0:3", "not included"),
    (lambda: dn.kron(*[dn.bernoulli(x, width=4096)] * 3), "too-large", "a block of width 68719476736", "widest"),
    (lambda: d.product(a2), "wrong-arguments", "product takes a list of blocks, or a block and an index", "[a, b]"),
    (lambda: dn.product([]), "wrong-arguments", "product takes a list of blocks", "[a, b]"),
    (lambda: d.product(a2, a2), "wrong-arguments", "the second argument of product is an index", "[a, b]"),
    (lambda: dn.product(a2, [[0, 2]]), "wrong-index", "index 2 is out of range", "from 0 to 1"),
    (lambda: d.product(a2, [0, 1]), "wrong-shape", "row 0 is the number 0", "a list per node"),
    (lambda: dn.product(a2, I2), "wrong-index", "row 1 has -1 before its end", "padded"),
    (lambda: dn.product(a2, np.array([0, 1])), "wrong-shape", "the index has shape [2], not [nodes, factors]", ""),
    (lambda: dn.gather(a2, [0, 5]), "wrong-index", "index 5 is out of range", "from 0 to 1"),
    (lambda: dn.gather(a2, I2), "wrong-shape", '"I2" has shape [2, 2], not [n]', ""),
    (lambda: d.gather(a2, [0.5]), "not-an-integer", "an index is the number 0.5, not an integer", ""),
    (lambda: d.gather(a2, "01"), "not-an-index", "the text '01' is no list of integers", "[0, 2, 1]"),
    (lambda: d.gather(a2, a2), "not-an-index", "<block of width 2> is no list of integers", "[0, 2, 1]"),
    (lambda: dn.gather(a2, [2**70]), "wrong-index", "is out of range", ""),
    # sums and maps
    (lambda: dn.sum(a2), "wrong-arguments", "a sum needs weights or a width", "dn.sum(a, width=K)"),
    (lambda: dn.sum(a2, [0.5, 0.5]), "wrong-shape", "the weights have shape [2], not [m, 2]", "one row: [[…, …]]"),
    (lambda: dn.sum(a2, [[0.5]]), "wrong-shape", "the weights have shape [1, 1], not [m, 2]", "one row per output"),
    (lambda: dn.sum(a2, [[1, 2]], width=3), "wrong-shape", "the weights have shape [1, 2], not [3, 2]", ""),
    (lambda: dn.sum(a2, [[0, np.inf]]), "wrong-number", "entry [0, 1] is not finite", ""),
    (lambda: dn.sum(a3, W), "wrong-shape", "the weights take 4 nodes, but the block has 3", ""),
    (lambda: dn.sum(a2, W, W), "wrong-arguments", "the map takes 1 arrays, not 2", ""),
    (lambda: dn.sum(a2, [[1, 2]], map=dn.dense), "wrong-arguments", "a list is not a param or const", "dn.const"),
    (lambda: d.sum(a2, a2), "wrong-arguments", "<block of width 2> stands where the weights do", "dn.param"),
    (lambda: d.sum([a2, a2], width=1), "not-a-block", "a list is not a block", "dn.concat(a, b)"),
    (lambda: dn.sum(a2, width=3, map=dn.diagonal), "wrong-shape", "as many outputs as inputs, not 3 of 2", ""),
    (lambda: dn.sum(a2, width=2, map=dn.monarch(2, 2)), "wrong-shape", "monarch(2, 2) of 2 nodes", "whose product"),
    (lambda: dn.sum(a2, width=2, map=dn.kron), "wrong-arguments", "kron has no fresh parameters", "matrices"),
    (lambda: dn.monarch(8), "wrong-arguments", "monarch takes 2 or more sizes, not 1", "dn.monarch(8, 8)"),
    (lambda: dn.monarch(8, 0), "wrong-size", "a size of monarch is 0", "at least 1"),
    (lambda: dn.sum(a2, width=2, map=dn.monarch), "wrong-arguments", "monarch needs its arguments", "dn.monarch(…)"),
    (lambda: d.sum(a2, width=2, map="kron"), "unknown-map", "the text 'kron' is not a map", "write dn.kron"),
    (lambda: d.sum(a2, width=2, map="monarh"), "unknown-map", "the text 'monarh' is not a map", '"monarch"'),
    (lambda: d.sum(a2, width=2, map=dn.gather), "unknown-map", "the function gather is not a map", "dn.dense, dn."),
    (lambda: dn.compose(), "wrong-arguments", "compose takes 1 or more maps, not 0", ""),
    (lambda: dn.sum(a3, map=dn.permute([0, 0, 1])), "wrong-index", "permute needs each of the indices", "gather"),
    (lambda: dn.sum(a2, width=1, map=dn.sparse([0, 0], [1, 1])), "duplicate-entry", "stands twice", "each pair once"),
    # parameters
    (lambda: dn.param("", [2]), "wrong-name", "the name of the parameter is ''", ""),
    (lambda: dn.param("q", []), "wrong-shape", "an array without axes", "[3, 3]"),
    (lambda: dn.param("q", [0]), "wrong-size", "a size is 0", "at least 1"),
    (lambda: dn.param("q", [10**6, 10**6]), "too-large", '"q" has 1000000000000 numbers', ""),
    (lambda: d.param("q", [2], "simplx"), "unknown-constraint", 'no constraint "simplx"', 'did you mean "simplex"?'),
    (lambda: d.param("q", [2], [1, 2]), "unknown-constraint", "a list is not a constraint", "value=…"),
    (lambda: dn.param("q", [2], value=[1]), "wrong-shape", '"q" has shape [2], but its value has [1]', "per axis"),
    (lambda: dn.param("q", [2], "simplex", [1, 1]), "wrong-value", '"q" is simplex, but the row sums to 2', "divide"),
    (lambda: dn.const("q", [2]), "no-value", 'const "q" has no value', "value=[…]"),
    (lambda: d.index("q", [2], [0, 0.5]), "not-an-integer", 'index "q" holds a number that is no integer', ""),
    (lambda: dn.index("q", [2], [0]), "wrong-shape", '"q" has shape [2], but its value has [1]', ""),
    # circuits
    (lambda: dn.Circuit(a2), "wrong-width", 'the root of "circuit" has width 2, not 1', "a sum of one node"),
    (lambda: d.Circuit(x), "not-a-block", 'the variable "x" is not a block', ""),
    (lambda: dn.Circuit(a2[0], name=""), "wrong-name", "the name of the circuit is ''", ""),
    (lambda: dn.Circuit(dn.sum(a2, width=1), seed=-1), "wrong-value", "the seed -1 is out of range", ""),
    (lambda: d.Circuit(a2[0], seed=0.5), "not-an-integer", "the seed is the number 0.5, not an integer", ""),
]  # fmt: skip


def mistake(run: Callable[[], object]) -> Diagnostic:
    with pytest.raises(DanausError) as caught:
        run()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(("run", "code", "message", "hint"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_a_mistake_is_named_on_its_line(run: Callable[[], object], code: str, message: str, hint: str) -> None:
    found = mistake(run)
    assert found.code == code
    assert message in found.message
    assert hint in found.hint
    assert found.span == Span(__file__, run.__code__.co_firstlineno)


def test_an_error_prints_the_line() -> None:
    with pytest.raises(DanausError) as caught:
        dn.sum(a2, [0.3, 0.7])
    line = test_an_error_prints_the_line.__code__.co_firstlineno + 2
    assert str(caught.value) == (
        f"{__file__}:{line}: error[wrong-shape]: the weights have shape [2], not [m, 2]\n"
        "    dn.sum(a2, [0.3, 0.7])\n"
        "  hint: a sum of one node has one row: [[…, …]]"
    )


def test_a_wrong_use_of_a_parameter_notes_where_it_was_declared() -> None:
    (note,) = mistake(lambda: dn.categorical(x, U)).notes
    assert note.message == "declared here"
    assert note.span is not None and note.span.text == 'U = dn.param("U", [2], "unit", [0.5, 1])'


def test_two_variables_of_one_name_are_two_variables() -> None:
    block = dn.indicator(dn.Bool("v"), 1) * dn.indicator(dn.Cat("v", 3), 1)
    found = mistake(lambda: dn.Circuit(block))
    assert found.code == "two-domains"
    assert found.span is not None and found.span.file == __file__


def test_two_parameters_of_one_name_do_not_stand_in_one_circuit() -> None:
    A, B = dn.param("A", [1, 2]), dn.param("A", [1, 2])
    found = mistake(lambda: dn.Circuit(dn.sum(a2, A) * dn.sum(a2, B)))
    assert (found.code, found.message) == ("duplicate-name", 'two parameters of "circuit" have the name "A"')
    assert len(found.notes) == 2
    p, q = (dn.Circuit(dn.bernoulli(v, width=1)) for v in (x, y))
    assert mistake(lambda: dn.Circuit(dn.product([p, q]))).code == "duplicate-name"


def test_a_parameter_in_a_circuit_keeps_its_constraint() -> None:
    A = dn.param("A", [1, 2])
    dn.Circuit(dn.sum(a2, A))
    found = mistake(lambda: dn.categorical(x, A))
    assert (found.code, found.hint) == ("wrong-constraint", 'declare it with the constraint "simplex"')


def test_circuits_of_two_states_of_training_do_not_stand_in_one() -> None:
    p = dn.Circuit(dn.bernoulli(x, width=1), name="p")
    q = p.over(Store({parameter: initial_value(parameter, 1) for parameter in p.parameters}))
    assert mistake(lambda: dn.Circuit(dn.sum(dn.concat(p, q), [[1, 1]]))).code == "two-values"


def test_a_parameter_of_a_file_comes_with_its_circuit() -> None:
    from danaus.ir.block import weighted
    from danaus.ir.linear import Dense
    from danaus.ir.parameter import Parameter

    foreign = Parameter("foreign", (1, 2))
    found = mistake(lambda: dn.Circuit(dn.sum(a2, foreign)))
    assert found.code == "no-value" and "the circuits that hold them" in found.hint
    held = Circuit(weighted([a2.built], Dense(foreign)), Store({foreign: initial_value(foreign)}))
    assert dn.Circuit(dn.sum(dn.concat(held, dn.sum(a2, foreign)), [[1, 1]])).parameters == (foreign,)


def test_a_mistake_leaves_parameters_as_they_were() -> None:
    A, B = dn.param("A", [1, 2]), dn.param("A", [1, 2])
    a = dn.bernoulli(x, width=2)
    mistake(lambda: dn.Circuit(dn.sum(a, A) * dn.sum(a, B), name="wrong"))
    assert [parameter.name for parameter in dn.Circuit(dn.sum(a, A), name="right").parameters] == [
        "right.bernoulli",
        "A",
    ]
