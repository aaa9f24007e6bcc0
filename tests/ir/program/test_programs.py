"""Programs as text, as data for files, and what is checked of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import danaus as dn
from danaus.compiler.pipeline import program_of
from danaus.ir.diagnostic import DanausError
from danaus.ir.program import serial
from danaus.ir.program.operation import Contract, Gather, Load, Multiply, Network, Repeat
from danaus.ir.program.program import Program
from danaus.ir.program.text import text
from danaus.ir.program.verify import verify
from small_circuits import random_circuit


def chain(steps: int = 6) -> Program:
    return program_of(dn.hmm(dn.Cat("x", 5, shape=steps), states=4))


def network() -> Program:
    programs = (program_of(random_circuit(seed)) for seed in range(30))
    return next(program for program in programs if program.layouts)


def test_text_of_a_chain() -> None:
    assert text(chain()) == (
        "program: 6 columns, 3 tables, buffers of 4, 4 nodes\n"
        "  b0[4] = load t0[6, 4] at column 5\n"
        "  repeat 5 times, i = 0 … 4 {\n"
        "    b1[4] = contract b0[4] with t1[1, 4, 4], 1 × 4 × 4\n"
        "    b0[4] = load t0[6, 4] at column (4 − i)\n"
        "    b0[4] = multiply b0[4], b1[4]\n"
        "  }\n"
        "  b1[1] = contract b0[4] with t2[1, 1, 4], 1 × 1 × 4\n"
        "  return b1\n"
    )


def test_text_of_a_monarch_chain() -> None:
    program = program_of(dn.hmm(dn.Cat("x", 2, shape=2), states=4, transition=dn.monarch(2, 2)))
    assert "contract b0[4] with t1[2, 2, 2], 2 × 2 × 2, write i · 1 + j · 2\n" in text(program)


def test_text_of_a_network() -> None:
    program = network()
    layout = program.layouts[0]
    written = text(program)
    assert "  b0[1] = network n0, leaves t0[" in written
    assert f"  n0: {layout.nodes} nodes (" in written and f"{layout.edges} edges, {layout.size} slots\n" in written


@pytest.mark.parametrize("seed", range(30))
def test_a_program_is_itself_again(seed: int) -> None:
    program = program_of(random_circuit(seed))
    data, arrays = serial.written(program)
    again = serial.read(json.loads(json.dumps(data)), arrays)
    verify(again)
    assert replace(again, indices=(), layouts=()) == replace(program, indices=(), layouts=())
    for mine, other in zip(again.indices, program.indices, strict=True):
        np.testing.assert_array_equal(mine, other)
    for one, two in zip(again.layouts, program.layouts, strict=True):
        for name in ("kinds", "slots", "offsets", "members", "weights", "leaf_columns", "leaf_offsets", "size"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("root"),
        lambda data: data["operations"].append({"kind": "Divide"}),
        lambda data: data["operations"].append(3),
        lambda data: data["operations"][0].update(column="0"),
        lambda data: data["operations"][0].update(column=True),
        lambda data: data.update(buffers=4),
        lambda data: data.update(indices=1),
    ],
)
def test_what_is_no_program_is_refused(change) -> None:
    data, arrays = serial.written(chain())
    change(data)
    with pytest.raises(DanausError, match="invalid-program"):
        serial.read(data, arrays)


def loop_with(program: Program, **changes: object) -> Program:
    first, loop, *rest = program.operations
    assert isinstance(loop, Repeat)
    return replace(program, operations=(first, replace(loop, **changes), *rest))


def appended(program: Program, *operations) -> Program:
    return replace(program, operations=(*program.operations, *operations))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: replace(p, operations=p.operations[1:]), "operation 0, turn 0, 0, Contract: buffer 0 is read"),
        (lambda p: replace(p, root=0), "the root"),
        (lambda p: replace(p, buffers=(3, 4)), "operation 0, Load: 4 nodes do not fit"),
        (lambda p: replace(p, columns=(5, 5, 5, 5, 5, 4)), "operation 0, Load: 6 rows"),
        (lambda p: replace(p, columns=p.columns[:5]), "there is no column 5"),
        (lambda p: replace(p, tables=p.tables[:2]), "there is no table 2"),
        (lambda p: replace(p, tables=(*p.tables[:2], (1, 4, 1))), "operation 2, Contract: its table is"),
        (lambda p: loop_with(p, count=7), "there is no column -2"),
        (lambda p: loop_with(p, columns=(0,)), "not one step per operation"),
        (lambda p: loop_with(p, count=0), "without turns"),
        (lambda p: replace(p, columns=(5, 5, 6, 5, 5, 5)), "its columns differ"),
        (lambda p: appended(p, Gather(0, 1, 0)), "there is no index 0"),
        (lambda p: replace(appended(p, Gather(0, 1, 0)), indices=(np.array([1]),)), "index 0 is out of 1 nodes"),
        (lambda p: appended(p, Load(2, 0, 0)), "there is no buffer 2"),
        (lambda p: appended(p, Multiply(1, (0, 1))), "buffer 1 is written while it is read"),
        (lambda p: appended(p, Network(1, 0, 0, 0)), "there is no network 0"),
    ],
)
def test_verify_names_the_operation(change, said: str) -> None:
    program = chain()
    verify(program)
    with pytest.raises(DanausError) as caught:
        verify(change(program))
    assert said in str(caught.value)


def test_verify_looks_into_contractions() -> None:
    program = chain()
    last = program.operations[-1]
    assert isinstance(last, Contract)
    for strides in ("read", "write"):
        wrong = replace(last, rows=4, out=1, **{strides: replace(last.read, block=2, node=2)})
        tables = (*program.tables[:2], (1, 4, 4))
        with pytest.raises(DanausError, match="each node once"):
            verify(replace(program, operations=(*program.operations[:-1], wrong), tables=tables))


@pytest.mark.parametrize("name", ["slots", "members", "leaf_columns", "leaf_offsets", "weights"])
@pytest.mark.parametrize("by", [-1000, 1000])
def test_verify_looks_into_networks(name: str, by: int) -> None:
    program = network()
    layout = program.layouts[0]
    wrong = replace(layout, **{name: getattr(layout, name) + by})
    with pytest.raises(DanausError, match=r"network n0|Network"):
        verify(replace(program, layouts=(wrong,)))


def test_a_slot_is_written_before_it_is_read() -> None:
    program = network()
    layout = program.layouts[0]
    wrong = replace(layout, size=layout.size + 1, members=np.where(layout.weights >= 0, layout.size, layout.members))
    with pytest.raises(DanausError, match="network n0"):
        verify(replace(program, layouts=(wrong,)))
