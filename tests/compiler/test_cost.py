"""Costs as formulas, against Programs that are run number by number with every multiplication and addition counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
import pytest

import danaus as dn
from danaus.cli import main
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.program.execute import execute
from danaus.ir.program.operation import (
    AllPairs,
    Contract,
    Fill,
    Gather,
    Join,
    Load,
    Multiply,
    Network,
    Repeat,
    Scale,
    Step,
    Strides,
    unrolled,
)
from danaus.ir.program.program import LEAF, PRODUCT, Program
from danaus.ir.semirings import LINEAR
from small_circuits import random_circuit

sympy = pytest.importorskip("sympy")

ROWS = 3
Vector = list["Number"]


@dataclass(frozen=True)
class Number:
    """A number that counts what is done to it."""

    value: float
    done: list[int]

    def __mul__(self, other: Number) -> Number:
        self.done[0] += 1
        return Number(self.value * other.value, self.done)

    def __add__(self, other: Number) -> Number:
        self.done[0] += 1
        return Number(self.value + other.value, self.done)


@dataclass
class Run:
    """One row of data, run number by number: `moved` are the numbers that operations read and write, tables apart."""

    program: Program
    tables: list[np.ndarray]
    codes: list[int]
    done: list[int]
    moved: int = 0
    exponentials: int = 0

    def number(self, value: float) -> Number:
        return Number(float(value), self.done)

    def root(self) -> float:
        buffers: dict[int, Vector] = {}
        for step in unrolled(self.program.operations):
            made = list(self.step(step, buffers))
            self.moved += len(made)
            buffers[step.out] = made
        return buffers[self.program.root][0].value

    def step(self, step: Step, buffers: dict[int, Vector]) -> Iterator[Number]:
        def read(buffer: int) -> Vector:
            self.moved += len(buffers[buffer])
            return buffers[buffer]

        match step:
            case Load(_, table, column):
                row = self.tables[table][self.codes[column]]
                self.moved += len(row) + 2  # a code has 8 bytes
                yield from map(self.number, row)
            case Fill(_, table):
                yield from map(self.number, self.tables[table])
            case Multiply(_, factors):
                found = [read(factor) for factor in factors]
                wide = max(map(len, found))
                ones = [each for each in found if len(each) == 1]
                # those of one node are multiplied with one another until a wider one comes
                if wide > 1 and len(found[0]) == 1:
                    first = next(i for i, each in enumerate(found) if len(each) > 1)
                    found = [[reduce(Number.__mul__, (each[0] for each in found[:first]))], *found[first:]]
                assert wide == 1 or len(ones) < len(factors)
                for i in range(wide):
                    yield reduce(Number.__mul__, (each[i if len(each) > 1 else 0] for each in found))
            case AllPairs(_, factors):
                made = read(factors[0])
                for factor in factors[1:]:
                    made = [a * b for a, b in product(made, read(factor))]
                yield from made
            case Join(_, parts):
                for part in parts:
                    yield from read(part)
            case Gather(_, source, index):
                held = read(source)
                yield from (held[i] for i in self.program.indices[index].tolist())
            case Scale(_, source, table):
                pairs = zip(self.tables[table].tolist(), read(source), strict=True)
                yield from (self.number(weight) * x for weight, x in pairs)
            case Contract(_, source, table):
                yield from self.contract(step, read(source), self.tables[table])
            case Network(_, layout, leaves, weights):
                yield self.network(layout, self.tables[leaves], self.tables[weights])

    def contract(self, step: Contract, x: Vector, matrix: np.ndarray) -> Vector:
        out: Vector = [self.number(0)] * (step.blocks * step.rows)
        self.exponentials += len(x) + len(out)
        for block, row in product(range(step.blocks), range(step.rows)):
            total = self.number(0)
            for column in range(step.columns):
                weight = self.number(matrix[block if len(matrix) > 1 else 0, row, column])
                total = total + weight * x[block * step.read.block + column * step.read.node]
            out[block * step.write.block + row * step.write.node] = total
        return out

    def network(self, number: int, leaves: np.ndarray, weights: np.ndarray) -> Number:
        layout = self.program.layouts[number]
        slots: dict[int, Number] = {}
        last = self.number(1)
        for node in range(layout.nodes):
            span = slice(layout.offsets[node], layout.offsets[node + 1])
            members, names = layout.members[span].tolist(), layout.weights[span].tolist()
            if layout.kinds[node] == LEAF:
                self.moved += 2
                code = self.codes[layout.leaf_columns[members[0]]]
                last = self.number(leaves[layout.leaf_offsets[members[0]] + code])
            elif not members:
                last = self.number(layout.kinds[node] == PRODUCT)
            elif layout.kinds[node] == PRODUCT:
                last = reduce(Number.__mul__, (slots[member] for member in members))
            else:
                terms = [
                    slots[member] if name < 0 else self.number(weights[name]) * slots[member]
                    for member, name in zip(members, names, strict=True)
                ]
                last = reduce(Number.__add__, terms)
            slots[int(layout.slots[node])] = last
        return last


def check(circuit: Circuit) -> None:
    check_program(program_of(circuit))


def check_program(program: Program) -> None:
    from danaus.compiler.cost import costs

    if 0 in program.columns:
        return  # inputs on infinite domains are filled in from outside
    random = np.random.default_rng(0)
    tables = [random.uniform(0.5, 1, shape) for shape in program.tables]
    codes = np.array([random.integers(0, size, ROWS) for size in program.columns]).reshape(-1, ROWS)
    done = [0]
    runs = [Run(program, tables, codes[:, row].tolist(), done) for row in range(ROWS)]
    roots = [run.root() for run in runs]
    np.testing.assert_allclose(roots, execute(program, tables, codes, LINEAR), rtol=1e-9)
    read = 0  # numbers of tables that operations read whatever the row
    for step in unrolled(program.operations):
        match step:
            case Fill(_, table) | Scale(_, _, table) | Contract(_, _, table):
                read += tables[table].size
            case Network(_, _, leaves, weights):
                read += tables[leaves].size + tables[weights].size
            case _:
                pass
    found = costs(program)
    expected = (
        done[0],
        sum(run.exponentials for run in runs),
        4 * (sum(run.moved for run in runs) + read),
        sum(1 for _ in unrolled(program.operations)),
    )
    assert found.at(ROWS) == expected
    assert int(found.tables.subs(found.sizes)) == 4 * sum(table.size for table in tables)


@pytest.mark.parametrize("seed", range(25))
def test_random_circuits_cost_what_is_counted(seed: int) -> None:
    check(random_circuit(seed))


def test_every_kind_of_operation_costs_what_is_counted() -> None:
    plain = Strides(3, 1)
    turn = (Load(11, 0, 1), Multiply(12, (11, 2)), Contract(13, 12, 5, 1, 1, 3, plain, plain))
    operations = (
        Load(0, 0, 0),  # of 3 nodes
        Fill(1, 1),  # of 3
        Fill(2, 2),  # of 1
        Multiply(3, (0, 1)),
        Multiply(4, (2, 2, 3, 2)),
        AllPairs(5, (4, 0, 3)),  # of 27
        Scale(6, 5, 3),
        Gather(7, 6, 0),  # of 6
        Join(8, (7, 4)),  # of 9
        Contract(9, 8, 4, 3, 2, 3, plain, Strides(1, 3)),  # of 6
        Repeat(4, turn, (0, 0, 0), (0, 0, 1)),
    )
    tables = ((4, 3), (3,), (1,), (27,), (3, 2, 3), *[(1, 1, 3)] * 4)
    index = np.array([0, 26, 5, 5, 1, 2])
    check_program(Program(operations, 13, (27,) * 14, tables, (4, 4), (index,)))


MODELS = {
    "chain": "circuit p = hmm(x, states = 4)",
    "Monarch chain": "circuit p = hmm(x, states = 12, transition = monarch(3, 4))",
    "squared": "circuit q = hmm(x, states = 3)\ncircuit p = power(q, 2)",
    "mixture": """circuit q = hmm(x, states = 3)
circuit r = hmm(x, states = 2)
circuit p = mixture([q, r], [0.5, 0.5])""",
}


@pytest.mark.parametrize("name", MODELS)
def test_models_cost_what_is_counted(name: str) -> None:
    check(dn.parse(f"var x[6] : cat(5)\n{MODELS[name]}\n").circuits["p"])


def test_formulas_of_a_chain() -> None:
    from danaus.compiler.cost import BATCH, costs

    found = costs(program_of(dn.parse("var x[9] : cat(5)\ncircuit p = hmm(x, states = 4)\n").circuits["p"]))
    k, v, t = sympy.symbols("K V T", positive=True, integer=True)
    assert found.sizes == {k: 4, v: 5, t: 8}
    b = BATCH
    assert sympy.expand(found.kinds["contract"].flops - (2 * b * k**2 * t + 2 * b * k)) == 0
    assert sympy.expand(found.total.operations - (3 * t + 2)) == 0
    assert sympy.expand(found.tables - 4 * (k**2 + (v + 1) * k + k)) == 0
    assert found.total.at({k: 4096, v: 27, t: 255}, 128)[0] == 128 * (255 * 4096 * (2 * 4096 + 1) + 2 * 4096)


def test_more_sizes_than_letters_stay_numbers() -> None:
    from danaus.compiler.cost import costs

    inner = "\n".join(f"  a{n} = categorical(x[{n}], width={n + 2})" for n in range(8))
    text = f"var x[8] : cat(5)\ncircuit p {{\n{inner}\n"
    tops = "\n".join(f"  s{n} = sum(a{n}, width=1)" for n in range(8))
    circuit = dn.parse(f"{text}{tops}\n  return {' * '.join(f's{n}' for n in range(8))}\n}}\n").circuit
    check(circuit)
    assert len([letter for letter in costs(program_of(circuit)).sizes if str(letter) in "KLMNPQ"]) == 6


def test_the_command_prints_formulas(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chain.circuit"
    file.write_text("var x[6] : cat(5)\ncircuit p = hmm(x, states = 4)\n")

    def said(*options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["show", str(file), *options])
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    status, out, _ = said("--cost")
    assert status == 0 and "K = 4, V = 5, T = 5" in out and "2·B·K²·T + B·K·T + 2·B·K" in out and "24,064 flops" in out
    found = json.loads(said("--cost", "--format", "json", "--batch", "2")[1])["p"]
    assert found["sizes"] == {"K": 4, "V": 5, "T": 5}
    assert int(sympy.sympify(found["all"]["flops"]).subs({"B": 2, **found["sizes"]})) == found["at"]["flops"] == 376
    for wrong in (["--batch", "2"], ["--format", "json"], ["--cost", "-o", "p.svg"]):
        status, _, err = said(*wrong)
        assert status == 2 and "error[wrong-option]" in err and "hint" in err
