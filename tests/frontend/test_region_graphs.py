"""`rat`, `poon_domingos`, `quad_tree`, `quad_graph`: structure, and values by the definition of their layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from danaus.frontend import templates
from danaus.frontend.templates.region import Layer
from danaus.ir.block import Block, Input, Product
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Bool, Cat, Count, Int, Real, Variable
from danaus.ir.query import log_likelihood
from templates_made import (
    array,
    assignments,
    made,
    probabilities,
    require_normalized,
    require_smooth_and_decomposable,
    shapes,
    values,
)

LAYERS: list[Layer] = ["cp", "tucker"]


def image(template: Callable[..., Block], height: int, width: int, states: int = 2, **options: object) -> Circuit:
    return made(template, array(height * width, Bool()), (height, width), states, ..., **options)


def rectangles(height: int, width: int, delta: int, states: int = 2, **options: object) -> Circuit:
    pixels = array(height * width, Bool())
    return made(templates.poon_domingos, pixels, (height, width), delta, states, ..., **options)


def rat(count: int, depth: int, repetitions: int, states: int = 2, **options: object) -> Circuit:
    return made(templates.rat, array(count, Bool()), depth, repetitions, states, ..., **options)


MAKERS: dict[str, Callable[..., Circuit]] = {
    **{
        f"{template.__name__} {h}x{w}": lambda t=template, h=h, w=w, **o: image(t, h, w, **o)
        for template in (templates.quad_tree, templates.quad_graph)
        for h, w in ((1, 1), (1, 2), (5, 1), (2, 2), (3, 2), (2, 5), (3, 3), (4, 2))
    },
    **{
        f"poon_domingos {h}x{w} by {d}": lambda h=h, w=w, d=d, **o: rectangles(h, w, d, **o)
        for h, w, d in ((1, 1, 1), (1, 4, 1), (2, 2, 1), (3, 3, 1), (3, 4, 2), (3, 3, 5), (2, 5, 3))
    },
    **{
        f"rat {n} to {d}, {r} times": lambda n=n, d=d, r=r, **o: rat(n, d, r, **o)
        for n, d, r in ((1, 1, 1), (2, 1, 1), (2, 9, 3), (5, 1, 2), (5, 2, 2), (7, 3, 4), (3, 10**9, 1))
    },
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("states", [1, 3])
@pytest.mark.parametrize("name", MAKERS)
def test_a_region_graph_is_a_smooth_decomposable_distribution(name: str, states: int, layer: Layer) -> None:
    circuit = MAKERS[name](states=states, layer=layer)
    require_smooth_and_decomposable(circuit)
    require_normalized(circuit)
    assert math.isclose(probabilities(circuit).sum(), 1, rel_tol=1e-12)


class Definition:
    """The layers written out for one assignment of 0 and 1: vectors of K numbers from the parameters by name."""

    def __init__(self, circuit: Circuit, row: np.ndarray, layer: Layer) -> None:
        self.numbers, self.row, self.layer = values(circuit), row, layer
        self.used: dict[str, int] = {}

    def take(self, name: str) -> np.ndarray:
        number = self.used.get(name, 0)
        self.used[name] = number + 1
        return self.numbers[f"{name}#{number}" if number else name]

    def pixel(self, i: int) -> np.ndarray:
        p = self.take(f"x[{i}]")
        return p if self.row[i] else 1 - p

    def join(self, *parts: tuple[str, np.ndarray]) -> np.ndarray:
        """A partition of named regions."""
        if self.layer == "tucker":
            out = np.ones(1)
            for _, part in parts:
                out = np.kron(out, part)
            return out
        return np.prod([self.take(name) @ part for name, part in parts], axis=0)

    def region(self, name: str, *joined: np.ndarray) -> np.ndarray:
        """An inner region of its partitions."""
        if self.layer == "tucker":
            return self.take(name) @ np.concatenate(joined)
        if len(joined) == 1:
            return joined[0]
        weights = self.take(f"{name}.mix")[:, 0, :]
        return np.array([weights[k] @ [part[k] for part in joined] for k in range(len(weights))])

    def root(self, *joined: np.ndarray) -> float:
        return float((self.take("root") @ np.concatenate(joined))[0])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_quad_tree_is_halved_across_then_down(layer: Layer) -> None:
    circuit = image(templates.quad_tree, 3, 2, states=3, layer=layer)

    def expected(row: np.ndarray) -> float:
        d = Definition(circuit, row, layer)
        pixels = {i: (f"{i // 2}..{i // 2 + 1},{i % 2}..{i % 2 + 1}", d.pixel(i)) for i in range(6)}
        left = ("0..2,0..1", d.region("0..2,0..1", d.join(pixels[0], pixels[2])))
        right = ("0..2,1..2", d.region("0..2,1..2", d.join(pixels[1], pixels[3])))
        upper = ("0..2,0..2", d.region("0..2,0..2", d.join(left, right)))
        lower = ("2..3,0..2", d.region("2..3,0..2", d.join(pixels[4], pixels[5])))
        return d.root(d.join(upper, lower))

    np.testing.assert_allclose(probabilities(circuit), [expected(row) for row in assignments(circuit)], rtol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("template", ["quad_graph", "poon_domingos"])
def test_a_two_by_two_image_is_cut_both_ways(template: str, layer: Layer) -> None:
    circuit = (
        image(templates.quad_graph, 2, 2, states=3, layer=layer)
        if template == "quad_graph"
        else rectangles(2, 2, 1, states=3, layer=layer)
    )

    def expected(row: np.ndarray) -> float:
        d = Definition(circuit, row, layer)
        pixels = [(f"{i // 2}..{i // 2 + 1},{i % 2}..{i % 2 + 1}", d.pixel(i)) for i in range(4)]
        halves = {}
        for name, i, j in (("0..1,0..2", 0, 1), ("0..2,0..1", 0, 2), ("0..2,1..2", 1, 3), ("1..2,0..2", 2, 3)):
            halves[name] = (name, d.region(name, d.join(pixels[i], pixels[j])))
        across = d.join(halves["0..1,0..2"], halves["1..2,0..2"])
        down = d.join(halves["0..2,0..1"], halves["0..2,1..2"])
        return d.root(across, down)

    np.testing.assert_allclose(probabilities(circuit), [expected(row) for row in assignments(circuit)], rtol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_region_of_several_partitions_mixes_them(layer: Layer) -> None:
    """A strip of four: [0, 3) is cut after 1 and after 2, and so is [1, 4); the whole in three places."""
    circuit = rectangles(1, 4, 1, layer=layer)

    def expected(row: np.ndarray) -> float:
        d = Definition(circuit, row, layer)
        found = {(i, i + 1): (f"0..1,{i}..{i + 1}", d.pixel(i)) for i in range(4)}
        for size, start in ((2, 0), (2, 1), (2, 2), (3, 0), (3, 1)):
            end, name = start + size, f"0..1,{start}..{start + size}"
            joined = [d.join(found[start, cut], found[cut, end]) for cut in range(start + 1, end)]
            found[start, end] = (name, d.region(name, *joined))
        return d.root(*(d.join(found[0, cut], found[cut, 4]) for cut in (1, 2, 3)))

    np.testing.assert_allclose(probabilities(circuit), [expected(row) for row in assignments(circuit)], rtol=1e-12)


def test_the_parameters_have_documented_names_and_shapes() -> None:
    assert shapes(image(templates.quad_graph, 1, 2, states=3)) == {
        "x[0]": (3,),
        "x[1]": (3,),
        "0..1,0..1": (3, 3),
        "0..1,1..2": (3, 3),
        "root": (1, 3),
    }
    assert shapes(image(templates.quad_graph, 2, 2, states=3, layer="tucker")) == {
        **{f"x[{i}]": (3,) for i in range(4)},
        **{name: (3, 9) for name in ("0..1,0..2", "1..2,0..2", "0..2,0..1", "0..2,1..2")},
        "root": (1, 18),
    }
    strip = shapes(rectangles(1, 3, 1, states=2))
    assert {name: shape for name, shape in strip.items() if "#" in name} == {
        "0..1,0..1#1": (2, 2),
        "0..1,1..2#1": (2, 2),
        "0..1,2..3#1": (2, 2),
    }
    assert strip["root"] == (1, 4)
    assert shapes(rectangles(1, 4, 1, states=2))["0..1,0..3.mix"] == (2, 1, 2)
    assert shapes(rat(2, 1, 2, states=3, layer="tucker")) == {
        **{name: (3,) for name in ("x[0]", "x[0]#1", "x[1]", "x[1]#1")},
        "root": (1, 18),
    }
    assert {"0:0", "0:1", "0:00", "1:11"} <= set(shapes(rat(8, 2, 2)))
    assert all(parameter.learnable for parameter in rat(4, 2, 2).parameters)


def splits(circuit: Circuit) -> set[frozenset[frozenset[str]]]:
    """The scopes of the children of each product."""
    return {
        frozenset(frozenset(v.name for v in circuit.scopes.node(child, 0)) for child in block.children)
        for block in circuit.blocks
        if isinstance(block, Product)
    }


def test_random_splits_are_balanced_and_reproducible() -> None:
    circuit = rat(20, 2, 5)
    halves = [parts for parts in splits(circuit) if len(frozenset().union(*parts)) == 20]
    assert len(halves) == 5
    for parts in splits(circuit):
        sizes = sorted(map(len, parts))
        assert sizes in ([10, 10], [5, 5], [1] * 5)
    assert splits(rat(20, 2, 5)) == splits(circuit)
    assert splits(made(templates.rat, array(20, Bool()), 2, 5, 2, ..., seed=1)) == splits(circuit)


def test_a_repetition_has_each_variable_once() -> None:
    circuit = rat(9, 2, 3)
    inputs = [block.variable.name for block in circuit.blocks if isinstance(block, Input)]
    assert len(inputs) == 27 and len(set(inputs)) == 9


def test_cuts_are_at_multiples_of_delta() -> None:
    circuit = rectangles(3, 5, 2)
    scopes = {frozenset(v.name for v in circuit.scopes.node(block, 0)) for block in circuit.blocks}
    cells = [
        {f"x[{row * 5 + column}]" for row in rows for column in columns}
        for rows in (range(2), range(2, 3))
        for columns in (range(2), range(2, 4), range(4, 5))
    ]
    assert all(cell in scopes for cell in cells)
    single = {frozenset([f"x[{i}]"]) for i in range(15)}
    assert {scope for scope in scopes if scope not in single} == {
        frozenset(f"x[{row * 5 + column}]" for row in range(a, b) for column in range(c, d))
        for a, b in itertools.combinations((0, 2, 3), 2)
        for c, d in itertools.combinations((0, 2, 4, 5), 2)
        if (b - a) * (d - c) > 1
    }


def test_only_the_quad_tree_has_nested_or_disjoint_scopes() -> None:
    def laminar(circuit: Circuit) -> bool:
        scopes = {frozenset(v.name for v in circuit.scopes.node(block, 0)) for block in circuit.blocks}
        return all(a <= b or b <= a or not a & b for a, b in itertools.combinations(scopes, 2))

    assert laminar(image(templates.quad_tree, 5, 6))
    assert not laminar(image(templates.quad_graph, 5, 6))


def test_variables_of_any_domain_have_its_family() -> None:
    pixels = [Variable("b", Bool()), Variable("c", Cat(3)), Variable("r", Real()), Variable("k", Count())]
    for circuit in (
        made(templates.quad_graph, pixels, (2, 2), 3, ..., layer="tucker"),
        made(templates.rat, [*pixels, Variable("i", Int(2, 4))], 2, 2, 3, ...),
    ):
        require_normalized(circuit)
        assert np.isfinite(log_likelihood(circuit, np.array([[1, 2, 0.5, 3, 4]])[:, : len(circuit.variables)])).all()
        assert values(circuit)["r"].shape == values(circuit)["r#1"].shape == (3,)


def refusal(template: object, *arguments: object, **options: object) -> tuple[str, str]:
    assert callable(template)
    with pytest.raises(DanausError) as caught:
        made(template, *arguments, **options)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


def test_a_shape_that_the_variables_do_not_fill_is_refused_with_both_numbers() -> None:
    pixels = array(5, Bool())
    said = ("wrong-shape", "shape=[2, 3] has 6 pixels, but there are 5 variables")
    assert refusal(templates.quad_tree, pixels, (2, 3), 2, ...) == said
    assert refusal(templates.quad_graph, pixels, (2, 3), 2, ...) == said
    assert refusal(templates.poon_domingos, pixels, (2, 3), 1, 2, ...) == said


def test_what_is_too_small_or_too_large_is_refused() -> None:
    pixels = array(4, Bool())
    assert refusal(templates.quad_tree, pixels, (2, 2), 0, ...)[0] == "wrong-size"
    assert refusal(templates.poon_domingos, pixels, (2, 2), 0, 2, ...)[0] == "wrong-size"
    assert refusal(templates.rat, pixels, 0, 1, 2, ...)[0] == "wrong-size"
    assert refusal(templates.rat, pixels, 1, 0, 2, ...)[0] == "wrong-size"
    assert refusal(templates.rat, pixels, 2, 10**12, 2, ...)[0] == "too-large"
    for layer in LAYERS:
        for states in (10**12, 10**5):
            assert refusal(templates.quad_graph, pixels, (2, 2), states, ..., layer=layer)[0] == "too-large"
    assert refusal(templates.quad_tree, pixels[:0], (0, 0), 2, ...)[0] == "wrong-arguments"
    assert refusal(templates.rat, [pixels[0], pixels[0]], 1, 1, 2, ...)[0] == "duplicate-name"
    large = array(100 * 100, Bool())
    assert refusal(templates.poon_domingos, large, (100, 100), 1, 2, ...)[0] == "too-large"
