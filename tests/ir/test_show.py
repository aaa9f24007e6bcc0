"""Summaries and pictures say what a circuit is, whatever its size and whatever its names."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from danaus.compiler.driver import parse
from danaus.ir.block import hadamard, input_block, weighted
from danaus.ir.circuit import Circuit
from danaus.ir.domain import Cat, Variable
from danaus.ir.family import Indicator, Table
from danaus.ir.linear import Dense
from danaus.ir.parameter import constant
from danaus.ir.show import dot, picture, summary, svg
from danaus.ir.show.layout import layout
from danaus.ir.store import Store
from small_circuits import random_circuit

RAIN = """
var rain : bool
var sprinkler : bool
var wet : cat(3)
circuit p {
  r = bernoulli(rain, [0.2, 0.9])
  s = bernoulli(sprinkler, [0.4, 0.01])
  w = categorical(wet, width=2)
  return sum(r * s * w, [[0.3, 0.7]])
}
"""
CHAIN = "var x[{0}] : bool; circuit h = hmm(x, states=4)"


def test_the_summary_of_a_small_circuit() -> None:
    assert (
        summary(parse(RAIN).circuit)
        == """\
p: 3 variables, 9 nodes in 5 blocks, 8 edges, depth 3
  variables   rain, sprinkler : bool; wet : cat(3)
  parameters  6 learnable numbers in 1 param; 6 constant numbers
  inputs      2 bernoulli, categorical
  products    elementwise
  sums        dense
  widths      1 to 2"""
    )


def test_the_picture_of_a_small_circuit() -> None:
    assert (
        picture(parse(RAIN).circuit)
        == """\
sum dense 1 × 2 : 1
└─ product elementwise : 2
   ├─ bernoulli rain : 2
   ├─ bernoulli sprinkler : 2
   └─ categorical wet : 2"""
    )


def test_a_shared_block_is_drawn_once() -> None:
    circuit = parse("""
        var x : bool; var y : bool
        circuit p {
          a = bernoulli(x, [0.5, 0.25])
          b = sum(a, [[1, 2]])
          c = sum(concat(b, a, a[0]), [[1, 2, 3, 4]])
          return c * [y = 0] * c
        }
    """).circuit
    assert (
        picture(circuit)
        == """\
product elementwise : 1
├─ sum dense 1 × 4 : 1  #1
│  ├─ sum dense 1 × 2 : 1
│  │  └─ bernoulli x : 2  #2
│  ├─ ↑ #2
│  └─ select : 1
│     └─ ↑ #2
├─ indicator y = 0 : 1
└─ ↑ #1"""
    )
    assert ">×2<" in svg(circuit)


def test_the_picture_of_a_large_circuit_is_cut() -> None:
    lines = picture(parse(CHAIN.format(2000)).circuit).splitlines()
    assert len(lines) <= 42
    assert lines[-1].startswith("… and ") and lines[-1].endswith(" more blocks")
    assert max(map(len, lines)) < 120


def nodes_and_edges(text: str) -> tuple[int, int]:
    lines = text.splitlines()
    return sum("[label=" in line for line in lines), sum(" -> " in line for line in lines)


def test_graphviz_has_every_block_and_every_edge() -> None:
    circuit = parse(RAIN).circuit
    text = dot(circuit)
    assert text.startswith('digraph "p" {\n') and text.endswith("}\n")
    assert nodes_and_edges(text) == (5, 4)
    assert 'b4 [label="sum\\ndense 1 × 2\\n1 node"' in text


ODD = 'a"b\\c<&>\x07'


@pytest.fixture
def odd() -> Circuit:
    """A circuit all of whose names want escaping."""
    variable = Variable(ODD, Cat(2, ("no", "</svg>")))
    inputs = [input_block(Indicator(1), variable), input_block(Table(), Variable("y" * 99, Cat(1)), [constant([[1]])])]
    return Circuit(weighted([hadamard(inputs)], Dense(constant([[1]]))), Store(), ODD)


def test_names_are_escaped(odd: Circuit) -> None:
    text = dot(odd)
    assert text.startswith('digraph "a\\"b\\\\c<&>\ufffd" {')
    root = ElementTree.fromstring(svg(odd))
    texts = [element.text for element in root.iter() if element.text]
    assert 'a"b\\c<&>\ufffd' in texts and any("</svg>" in text for text in texts)
    assert max(len(text) for text in texts if text.startswith("y")) < 30


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_a_drawing_has_every_block_and_no_two_overlap(seed: int) -> None:
    circuit = random_circuit(seed)
    root = ElementTree.fromstring(svg(circuit))
    groups = root.findall("{*}g")
    assert len(groups) == len(circuit.blocks)
    boxes = [box for box in (group.find("{*}rect") for group in groups) if box is not None]
    places = [[float(box.get(side, "nan")) for side in ("x", "y", "width", "height")] for box in boxes]
    width, height = (float(root.get(side, "nan")) for side in ("width", "height"))
    for number, (x, y, w, h) in enumerate(places):
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for left, top, wide, high in places[:number]:
            assert x + w <= left or left + wide <= x or y + h <= top or top + high <= y


def test_a_drawing_of_a_large_circuit_is_of_its_top() -> None:
    text = svg(parse(CHAIN.format(2000)).circuit)
    assert "drawn are the 300 blocks nearest to the root" in text
    assert len(ElementTree.fromstring(text).findall("{*}g")) == 300


def test_a_drawing_of_one_block() -> None:
    assert len(ElementTree.fromstring(svg(parse("var x : bool; circuit p { return [x = 1] }").circuit))) > 4


def test_layers_follow_the_longest_way_and_edges_go_down() -> None:
    found = layout([[1, 2, 3], [2], [3], []], [40.0, 60.0, 40.0, 20.0], 10.0)
    assert list(found.layer) == [0, 1, 2, 3]
    assert {(edge.upper, edge.lower): len(edge.points) for edge in found.edges}[0, 3] == 4
    assert min(x - w / 2 for x, w in zip(found.x, [40, 60, 40, 20], strict=True)) >= 0
