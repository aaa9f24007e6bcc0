"""The printed forms of circuits and of syntax: one line per block or node, the same text every time."""

from __future__ import annotations

import pytest

from danaus.compiler.driver import parse
from danaus.compiler.operators import evidence, integrate, restrict, smooth
from danaus.frontend.parse import parse as parse_syntax
from danaus.frontend.print_syntax import print_syntax
from danaus.ir.circuit import Circuit
from danaus.ir.diagnostic import Gatherer
from danaus.ir.domain import Bool, Variable
from danaus.ir.printer import print_circuit
from danaus.ir.scopenames import names_of
from danaus.ir.span import Source
from danaus.ir.store import Store
from small_circuits import random_circuit

TEXT = """
var x[3] : bool
var y : cat("low", "high")
var r : real
var n : int(0, 4)
param A[2, 2] : simplex = [[0.5, 0.5], [1/3, 2/3]]
const B[2, 2, 2] = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
circuit p {
  a = bernoulli(x[0], [0.1, 1/3]) * bernoulli(x[1], [0.5, 0.25])
  b = kron(a, gaussian(r, [0, 1], [1, 2]))
  c = sum(b, B, B, map=monarch(2, 2))
  d = sum(concat(c, c), width=4, map=compose(dense, permute([7, 6, 5, 4, 3, 2, 1, 0])))
  e = product(concat(d, [y = "high"]), [[0, 4], [], [1]])
  f = sum(e[0..2], A, map=dense)
  g = gather(concat(f, binomial(n, [0.5])), [2, 0, 2])
  h = sum(g, width=3, map=diagonal)
  i = sum(sum(concat(h, h[1]), A, A, map=kron), B, map=block_diagonal(2))
  return sum(i, width=1, map=sparse([0, 0], [0, 3]))
}
"""

PRINTED = """\
circuit p
  var x[0..2] : bool
  var y : cat("low", "high")
  var r : real
  var n : int(0, 4)
  const B[2, 2, 2]
  param "p.d"[4, 8] : simplex
  param A[2, 2] : simplex
  param "p.h"[3] : positive
  param "p.return"[2] : positive
  %0 = bernoulli(x[0], [0.1, 0.3333333333333333]) : 2 {x[0]}
  %1 = bernoulli(x[1], [0.5, 0.25]) : 2 {x[1]}
  %2 = hadamard(%0, %1) : 2 {x[0..2]}
  %3 = gaussian(r, [0, 1], [1, 2]) : 2 {r}
  %4 = kron(%2, %3) : 4 {x[0..2], r}
  %5 = sum(%4, monarch(2, 2) B, B) : 4 {x[0..2], r}
  %6 = sum(%5, %5, compose(dense p.d, permute([7, 6, 5, 4, 3, 2, 1, 0]))) : 4 {x[0..2], r}
  %7 = [y = 1] : 1 {y}
  %8 = product(%6, %7, [[0, 4], [], [1]]) : 3 {3 scopes of 0 to 4 variables}
  %9 = select(%8, [0, 1]) : 2 {2 scopes of 0 to 4 variables}
  %10 = sum(%9, dense A) : 2 {x[0..2], y, r}
  %11 = binomial(n, 4, [0.5]) : 1 {n}
  %12 = select(%10, %11, [2, 0, 2]) : 3 {2 scopes of 1 to 4 variables}
  %13 = sum(%12, diagonal p.h) : 3 {2 scopes of 1 to 4 variables}
  %14 = select(%13, [1]) : 1 {x[0..2], y, r}
  %15 = sum(%13, %14, kron(dense A, dense A)) : 4 {x[0..2], y, r, n}
  %16 = sum(%15, block_diagonal(2) B) : 4 {x[0..2], y, r, n}
  %17 = sum(%16, sparse([0, 0], [0, 3]) p.return) : 1 {x[0..2], y, r, n}
  return %17
"""


def test_every_kind_of_block_and_map() -> None:
    assert print_circuit(parse(TEXT).circuit) == PRINTED


DERIVED = """\
circuit p
  var y : cat(2)
  param W[2] : unit
  $0 = value(bernoulli(x, W), x = 1) : [2, 1]
  $1 = value(gaussian(r, [0, 1], [1, 2]), sum over r) : [2, 1]
  $2 = reshape($1) : [2]
  $3 = value(table(y, [[1, 2], [3, 4]]), sum over y, weights [0.5, 0.25]) : [2, 1]
  $4 = reshape($3) : [2]
  $5 = times($2, $4) : [2]
  %0 = product([[]]) : 1 {}
  %1 = sum(%0, dense $0) : 2 {}
  %2 = table(y, [[0, 1], [1, 0]]) : 2 {y}
  %3 = hadamard(%1, %2) : 2 {y}
  %4 = sum(%3, diagonal $5) : 2 {y}
  %5 = sum(%4, dense [[1, 1]]) : 1 {y}
  return %5
"""


def test_derived_numbers_have_lines_of_their_own() -> None:
    p = parse("""
        var x : bool
        var y : cat(2)
        var r : real
        var z : cat(2)
        param W[2] : unit
        circuit p {
          a = bernoulli(x, W) * gaussian(r, [0, 1], [1, 2]) * table(z, [[1, 2], [3, 4]]) * table(y, [[0, 1], [1, 0]])
          return sum(a, [[1, 1]])
        }
    """).circuit
    made = integrate(evidence(restrict(p, {"x": 1}), {"z": [0.5, 0.25]}), ["r"])
    assert print_circuit(made).replace("z", "y") == DERIVED


def test_long_arrays_and_scopes_are_cut() -> None:
    text = print_circuit(
        parse("""
        var a : bool; var b : cat(20); var x[9] : bool; var c : bool; var d : bool; var e : bool; var f : bool
        var g : bool
        circuit p {
          l = categorical(b, [[1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20,
                               1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20, 1/20]])
          m = [a = 1]
          for i in 0..9 { m = m * [x[i] = 1] }
          return l * m * [c = 1] * [d = 1] * [e = 1] * [f = 1] * [g = 1]
        }
    """).circuit
    )
    assert "%0 = categorical(b, <1×20 numbers>) : 1 {b}" in text
    assert "{a, b, x[0..9], c, d, e, and 2 more}" in text


def test_names_of_variables() -> None:
    names = ["x[0]", "x[1]", "x[3]", "y", "y[1]", "x[10000000000]", "[1]", "z[01]"]
    assert names_of([Variable(name, Bool()) for name in names], 9) == (
        "x[0..2], x[3], y, y[1], x[10000000000], [1], z[01]"
    )
    assert names_of([]) == ""


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_the_same_circuit_prints_the_same(seed: int) -> None:
    circuit = random_circuit(seed)
    again = Circuit(circuit.root, circuit.store, circuit.name, circuit.free)
    text = print_circuit(circuit)
    assert text == print_circuit(again)
    assert len(text.splitlines()) >= len(circuit.blocks)


def test_a_constant_1_and_a_circuit_of_nothing_print() -> None:
    p = parse("var x : bool; var r : real; circuit p { return sum(concat([x = 1], gaussian(r, [0], [1])), [[1, 1]]) }")
    assert "one(r) : 1 {r}" in print_circuit(smooth(p.circuit))
    one = parse("circuit p { return product(concat(), [[]]) }").circuit
    assert print_circuit(one) == "circuit p\n  %0 = product([[]]) : 1 {}\n  return %0\n"
    assert print_circuit(Circuit(one.root, Store(), "q")).startswith("circuit q\n")


SYNTAX = """\
File "t.circuit"
  VarStatement 1:1
    name: Name x 1:5
    size: Number 3 1:7
    domain: Call 1:12
      name: Name cat 1:12
      arguments:
        Name "low" 1:16
        Name "high" 1:23
  ArrayStatement 2:1
    keyword: param
    name: Name W 2:7
    shape:
      Number 1 2:9
      Number 2 2:12
    constraint: Name simplex 2:17
    value: List 2:27
      List [3/10, -7/10] 2:28
  CircuitStatement 3:1
    name: Name p 3:9
    body:
      Loop 4:3
        variable: Name i 4:7
        lo: Number 0 4:21
        hi: Number 3 4:24
        reversed: True
        body:
          Binding 4:29
            name: Name a 4:29
            value: Bracket 4:33
              Assignment 4:34
                target: Subscript 4:34
                  base: Name x 4:34
                  index: Name i 4:36
                value: Name "low" 4:41
      Return 5:3
        value: Chain 5:10
          first: Name a 5:10
          *: Parenthesis 5:14
            inner: Subscript 5:15
              base: Name a 5:15
              index: Range 5:17
                lo: Number 0 5:17
                hi: Number 1 5:20
  AssertStatement 7:1
    predicate: Unary 7:8
      operator: not
      operand: Call 7:12
        name: Name smooth 7:12
        arguments:
          Name p 7:19
  LoadStatement 8:1
    path: Name "w.safetensors" 8:6
  ImportStatement 9:1
    path: Name "m.circuit" 9:8
    name: Name m 9:23
    options: none
"""


def test_syntax() -> None:
    text = """\
var x[3] : cat("low", "high")
param W[1, 2] : simplex = [[0.3, -0.7]]
circuit p {
  for i in reversed(0..3) { a = [x[i] = "low"] }
  return a * (a[0..1])
}
assert not smooth(p)
load "w.safetensors"
import "m.circuit" as m
"""
    gatherer = Gatherer()
    file = parse_syntax(Source("t.circuit", text), gatherer)
    assert not gatherer.errors
    assert print_syntax(file) == SYNTAX
