"""The workloads of GPUs in PyJuice 2.6.3: the same models, from the same numbers where such are given.

A structure enters and a circuit of PyJuice on a device leaves; None where PyJuice is not installed. Its calls were run
in Triton's interpreter beside the float64 evaluator (`forward` with `force_use_fp32`, since bf16 products are wrong
there): chains, images and d-DNNFs agree, and so do the parameters after a step of expectation maximisation.

PyJuice compiles CUDA extensions at their first use; those of sum layers take the package nvidia-cutlass, nvcc, ninja.
It recurses over circuits, two frames for each step of a chain and more where it compiles, past Python's limit of 1000.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import gcd
from typing import Any

import numpy as np
import torch
from gpu_images import Rectangle, drawn_branches, pixels, rectangles, tree_of
from gpu_meter import Cell, Meter, tried
from gpu_models import Model

FRAMES = 1 << 16
"""Frames that PyJuice may take: a chain of 256 steps comes close to 1000, one of 512 is beyond."""


def pyjuice() -> Any:
    """The package; None where it is not installed."""
    try:
        import pyjuice as juice
    except ImportError:
        return None
    return juice


@contextmanager
def _deep() -> Iterator[None]:
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def _compiled(juice: Any, nodes: Any, device: torch.device) -> Any:
    return juice.compile(nodes, verbose=False).to(device)


def chain(model: Model, device: torch.device, numbers: Sequence[np.ndarray] | None = None) -> Any:
    """A hidden Markov model; `numbers` are those of the initial state, the factors, and the emission [states, values].

    PyJuice's blocks are powers of two and no larger than the least factor's, so that a factor is a block-sparse layer.
    """
    juice = pyjuice()
    if juice is None:
        return None
    given = None if numbers is None else [torch.from_numpy(np.array(each, dtype=np.float32)) for each in numbers]
    with _deep():
        return _compiled(
            juice, _factorised(juice, model, given) if model.parts else _dense(juice, model, given), device
        )


def _dense(juice: Any, model: Model, given: list[torch.Tensor] | None) -> Any:
    numbers = {} if given is None else {"gamma": given[0][0], "alpha": given[1][0], "beta": given[2]}
    return juice.structures.HMM(
        seq_length=model.steps, num_latents=model.states, num_emits=model.values, homogeneous=True, **numbers
    )


def _factorised(juice: Any, model: Model, given: list[torch.Tensor] | None) -> Any:
    """A Monarch transition: each factor a block-diagonal sum, each permutation the edges of the product above it."""
    states = model.states
    size = _power(gcd(*model.parts))
    blocks = states // size
    order = list(reversed(range(len(model.parts))))  # the last factor is applied first

    def edges(part: int) -> torch.Tensor:
        """Each block of sums reads the blocks of its own matrix: [2, edges]."""
        wide = part // size
        ours = torch.arange(blocks).repeat_interleave(wide)
        return torch.stack([ours, ours // wide * wide + torch.arange(wide).repeat(blocks)])

    def matrices(number: int) -> torch.Tensor | None:
        """A factor [groups, rows, columns] as blocks, in the order of the edges."""
        if given is None:
            return None
        part = model.parts[number]
        wide = part // size
        cut = given[1 + number].reshape(-1, wide, size, wide, size)  # groups, row block, row, column block, column
        return cut.permute(0, 1, 3, 2, 4).reshape(-1, size, size).contiguous()

    def turned(part: int) -> torch.Tensor:
        """Which sum each node above reads: a factor leaves its digit slowest."""
        groups = states // part
        node = torch.arange(states)
        return node % groups * part + node // groups

    with juice.set_block_size(block_size=size):
        dist = juice.distributions.Categorical(num_cats=model.values)
        last = juice.inputs(model.steps - 1, num_node_blocks=blocks, dist=dist)
        if given is not None:
            last.set_params(given[-1])
        below, first = last, []
        for variable in range(model.steps - 2, -1, -1):
            read: torch.Tensor | None = None
            for turn, number in enumerate(order):
                part = model.parts[number]
                if read is not None:
                    below = juice.multiply(below, edge_ids=read[:, None], sparse_edges=size > 1)
                if turn == len(first):
                    made = juice.summate(below, num_node_blocks=blocks, edge_ids=edges(part))
                    if given is not None:
                        made.set_params(matrices(number))
                    first.append(made)
                else:
                    made = first[turn].duplicate(below, tie_params=True)
                below, read = made, turned(part)
            assert read is not None
            symbol = last.duplicate(variable, tie_params=True)
            both = torch.stack([torch.arange(states), read], dim=1)
            below = juice.multiply(symbol, below, edge_ids=both, sparse_edges=size > 1)
        root = juice.summate(below, num_node_blocks=1, block_size=1)
        if given is not None:
            root.set_params(given[0])
    return root


def _power(number: int) -> int:
    """The largest power of two that divides a number, 1024 at most."""
    return min(number & -number, 1024)


def picture(
    kind: str,
    states: int,
    device: torch.device,
    side: int = 28,
    values: int = 256,
    numbers: Mapping[Any, np.ndarray] | None = None,
) -> Any:
    """The "HCLT" and the "PD" of gpu_images.py. PyJuice's own builders leave out the sums of leaves, or most cuts."""
    juice = pyjuice()
    if juice is None:
        return None
    given = None if numbers is None else {key: torch.from_numpy(each).float() for key, each in numbers.items()}
    size = _power(states)

    def leaf(variable: int) -> Any:
        dist = juice.distributions.Categorical(num_cats=values)
        found = juice.inputs(variable, num_node_blocks=states // size, dist=dist)
        return _with(found, given, variable)

    def total(below: list[Any], key: Any, root: bool) -> Any:
        wide = {"num_node_blocks": 1, "block_size": 1} if root else {"num_node_blocks": states // size}
        return _with(juice.summate(*below, **wide), given, key)

    with _deep(), juice.set_block_size(block_size=size):
        made = _tree(juice, side, leaf, total) if kind == "HCLT" else _rectangles(juice, side, leaf, total)
        return _compiled(juice, made, device)


def _with(nodes: Any, given: Mapping[Any, torch.Tensor] | None, key: Any) -> Any:
    if given is not None:
        nodes.set_params(given[key])
    return nodes


def _tree(juice: Any, side: int, leaf: Callable[[int], Any], total: Callable[[list[Any], Any, bool], Any]) -> Any:
    tree = tree_of(side)
    children: list[list[Any]] = [[] for _ in tree.parents]
    for node in reversed(tree.order):
        own, parent = leaf(node), tree.parents[node]
        if children[node]:
            own = juice.multiply(own, *reversed(children[node]))
        made = total([own], (node,), parent < 0)
        if parent < 0:
            return made
        children[parent].append(made)
    raise AssertionError("a tree ends at its root")


def _rectangles(juice: Any, side: int, leaf: Callable[[int], Any], total: Callable[[list[Any], Any, bool], Any]) -> Any:
    nodes: dict[Rectangle, Any] = {}
    for rectangle, cuts in rectangles(side).items():
        below = [juice.multiply(nodes[first], nodes[second]) for first, second in cuts]
        if not cuts:
            leaves = [leaf(pixel) for pixel in pixels(rectangle, side)]
            below = [juice.multiply(*leaves)]
        nodes[rectangle] = total(below, rectangle, rectangle == (0, side, 0, side))
    return nodes[0, side, 0, side]


def diagram(variables: int, width: int, device: torch.device) -> Any:
    """The decision diagram of gpu_images.py, a layer for each level; sums have weights ½, where ours have 1."""
    juice = pyjuice()
    if juice is None:
        return None
    literals = torch.eye(2)[[1, 0]]  # the first is the positive one
    levels = drawn_branches(variables, width)
    with _deep(), juice.set_block_size(block_size=1):
        dist = juice.distributions.Categorical
        leaf = juice.inputs(variables - 1, num_node_blocks=len(levels[-1]), dist=dist(num_cats=2))
        leaf.set_params(literals[torch.from_numpy(levels[-1])])
        below = leaf
        for level in range(variables - 2, -1, -1):
            branches = torch.from_numpy(levels[level])  # [nodes, 2]: what follows a one, and a zero
            own = juice.inputs(level, num_node_blocks=2, dist=dist(num_cats=2))
            own.set_params(literals.clone())
            nodes = len(branches)
            pairs = torch.stack([torch.tensor([0, 1]).repeat(nodes), branches.reshape(-1)], dim=1)
            above = torch.stack([torch.arange(nodes).repeat_interleave(2), torch.arange(2 * nodes)])
            product = juice.multiply(own, below, edge_ids=pairs)
            below = juice.summate(product, num_node_blocks=nodes, edge_ids=above)
            below.set_params(torch.full((2 * nodes,), 0.5))
        return _compiled(juice, below, device)


def extensions(device: torch.device) -> dict[str, Cell]:
    """Compiles PyJuice's extensions, or waits for who does, and says how many of them there are."""
    if device.type != "cuda":
        return {}
    from pyjuice.layer.kernels import c
    from pyjuice.layer.kernels.c import input_layers

    builds = (c.is_available, c.ele_is_available, c.par_is_available, input_layers.cat_backward_is_available)
    found = [build() for build in builds]
    return {"PyJuice's extensions": Cell(None, f"{sum(found)} of {len(found)}")}


NAMES = ("PyJuice", "PyJuice both", "PyJuice step")


def measured(make: Callable[[], Any], codes: np.ndarray, meter: Meter, rows: int) -> dict[str, Cell]:
    """PyJuice's forward, forward and backward, and step of expectation maximisation: what was measured before a failure
    stays. Its launches of inner layers are recorded as graphs, which it does where it is asked to.

    Its circuit, which takes longest, is made while another process may measure.
    """
    circuit = make()
    if circuit is None:
        return {name: Cell(None, "none") for name in NAMES}
    extensions(meter.device)
    with meter.alone():
        found = _measured(circuit, torch.from_numpy(codes).to(meter.device), meter, rows)
        del circuit
    return found


def _measured(circuit: Any, codes: torch.Tensor, meter: Meter, rows: int) -> dict[str, Cell]:
    graph = meter.device.type == "cuda"
    part = len(codes)

    def forward() -> None:
        with torch.no_grad():
            circuit(codes, record_cudagraph=graph)

    def both() -> None:
        forward()
        circuit.backward(codes, flows_memory=0.0, allow_modify_flows=False, logspace_flows=True, record_cudagraph=graph)

    def step() -> None:
        both()
        circuit.mini_batch_em(step_size=1.0, pseudocount=1e-6)

    found: dict[str, Cell] = {}
    for name, run in zip(NAMES, (forward, both, step), strict=True):

        def timed(run: Callable[[], None] = run) -> Cell:
            words = f"{part} rows at a time" if part < rows else ""
            return Cell(meter.seconds(run) * rows / part, words)

        found |= tried(timed, name)
    return found


def numbers_of(circuit: Any, model: Model) -> list[np.ndarray]:
    """The numbers of a model of ours, as `chain` takes them."""
    found = {parameter.name.removeprefix("circuit."): value.floats for parameter, value in circuit.store.items()}
    width = model.states
    names = ["transition", *(f"transition#{number}" for number in range(1, len(model.parts)))]
    factors = [
        found[name].reshape(width // part, part, part)
        for name, part in zip(names, model.parts or (width,), strict=True)
    ]
    return [found["initial"], *factors, found["emission"]]
