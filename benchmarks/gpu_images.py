"""The workloads of GPUs beyond chains: images of 28 × 28 pixels as hidden Chow–Liu trees and Poon–Domingos circuits, as
Programs without numbers, and decision circuits of scalar nodes.

A Program of K states is one of few states and two values whose sizes are scaled: no number of it is made on the host.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import danaus as dn
from danaus.compiler.pipeline import program_of
from danaus.ir.circuit import Circuit
from danaus.ir.program.operation import Contract, Load, Repeat, Step, Strides
from danaus.ir.program.program import Program

FEW = 13
"""States of the circuit that is scaled: a divisor of no other size in it."""


def scaled(program: Program, states: int, values: int) -> Program:
    """The same Program with so many states in place of FEW, and so many values of a pixel in place of two."""
    inputs = {step.table for each in program.operations for step in _steps(each) if isinstance(step, Load)}

    def size(number: int) -> int:
        return number // FEW * states if number % FEW == 0 else number

    def step(each: Any) -> Step:
        if not isinstance(each, Contract):
            return each
        read, write = (Strides(size(way.block), size(way.node)) for way in (each.read, each.write))
        sizes = {"blocks": size(each.blocks), "rows": size(each.rows), "columns": size(each.columns)}
        return replace(each, **sizes, read=read, write=write)

    return replace(
        program,
        operations=tuple(
            replace(each, body=tuple(map(step, each.body))) if isinstance(each, Repeat) else step(each)
            for each in program.operations
        ),
        buffers=tuple(map(size, program.buffers)),
        tables=tuple(
            (values + 1, size(shape[1])) if number in inputs else tuple(map(size, shape))
            for number, shape in enumerate(program.tables)
        ),
        columns=(values,) * len(program.columns),
    )


def _steps(operation: Any) -> tuple[Step, ...]:
    return operation.body if isinstance(operation, Repeat) else (operation,)


def images(rows: int, side: int, values: int = 256) -> np.ndarray:
    """Images of a bright blob somewhere, so that neighbouring pixels have something to say of each other."""
    random = np.random.default_rng(0)
    centre, width = random.uniform(0, side, (2, rows, 1)), random.uniform(side / 8, side / 2, (rows, 1))
    y, x = (axis.ravel() for axis in np.mgrid[:side, :side])
    bright = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width**2) + random.normal(0, 0.05, (rows, side**2))
    return np.clip(bright * (values - 1), 0, values - 1).astype(np.int64)


@cache
def _small(kind: str, side: int) -> Program:
    x = dn.Cat("x", 2, shape=side * side)
    if kind == "HCLT":
        return program_of(dn.hclt(images(2000, side, 2), x, states=FEW))
    delta = max(1, side // 4)
    return program_of(dn.poon_domingos(x, shape=[side, side], delta=delta, states=FEW))


def image_program(kind: str, states: int, side: int = 28, values: int = 256) -> Program:
    """An "HCLT", or a "PD" whose cuts are a quarter of the side apart, over images of so many pixels and values."""
    return scaled(_small(kind, side), states, values)


def image_peer(kind: str, states: int, device: torch.device, side: int = 28, values: int = 256) -> Any:
    """The like of it in PyJuice; None where that is not installed."""
    try:
        import pyjuice as juice
    except ImportError:
        return None
    if kind == "HCLT":
        data = torch.from_numpy(images(2000, side, values)).float().to(device)
        given = {"input_node_params": {"num_cats": values}}
        nodes = juice.structures.HCLT(data, num_latents=states, **given)
    else:
        given = {"split_intervals": max(1, side // 4), "input_node_params": {"num_cats": values}}
        nodes = juice.structures.PD((side, side), num_latents=states, **given)
    return juice.compile(nodes).to(device)


def decisions(variables: int, width: int) -> Circuit:
    """A d-DNNF: an ordered decision diagram of so many nodes a level, whose branches are drawn, as c2d's text."""
    random = np.random.default_rng(variables)
    lines = [f"L {sign * (i + 1)}" for i in range(variables) for sign in (1, -1)]
    edges = 0
    below: list[int] = []
    for level in reversed(range(variables)):
        own: list[int] = []
        for _ in range(width if level else 1):
            if not below:
                own.append(2 * level + int(random.integers(2)))
                continue
            branches: list[int] = []
            for sign, child in enumerate(random.choice(below, 2)):
                lines.append(f"A 2 {2 * level + sign} {child}")
                branches.append(len(lines) - 1)
            lines.append(f"O {level + 1} 2 {branches[0]} {branches[1]}")
            own.append(len(lines) - 1)
            edges += 6
        below = own
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "decisions.nnf"
        file.write_text("\n".join([f"nnf {len(lines)} {edges} {variables}", *lines]) + "\n")
        return dn.load(file).circuit
