"""Which kernels a query may launch, whatever the batch: what code made ahead of time has to hold.

What enters is a Program with its numbers; what leaves are kernels by what they answer. Those of likelihoods and of
derivatives of vectors follow from the Program; those of walks and of networks are the same for all Programs of a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...ir.diagnostic import error, nearest
from ...ir.program.descent import Sites
from ...ir.program.program import Program
from ...ir.program.tabled import Tabled
from ...runtime.fed import Fed
from . import (
    network,
    network_descent,
    network_ones,
    network_reverse,
    sparse_policy,
    steps_descent,
    steps_kernels,
    steps_ones,
)
from .kernel import Kernel
from .network import Form, Numbers, Shape
from .plan import Drawn, drawn
from .policy import Precision, classes
from .reverse import Course, course
from .steps import steps
from .targets import Gpu

Answering = Literal["likelihood", "flows", "sample", "map", "evidence", "hamming"]
"""What kernels answer: likelihoods and marginals, derivatives and what comes through inputs, samples, the most
probable values, marginals under virtual evidence, and the masses of numbers of ones."""

ANSWERING: tuple[Answering, ...] = ("likelihood", "flows", "sample", "map", "evidence", "hamming")

NEEDS: Mapping[str, tuple[Answering, ...]] = {
    "likelihood": (),
    "marginal": (),
    "partition": (),
    "flows": ("flows",),
    "sample": ("sample",),
    "map": ("map",),
    "evidence": ("evidence",),
    "hamming": ("hamming",),
    "conditional": ("flows",),
    "marginal_map": (),
    "count": (),
    "moment": (),
    "decode": ("map",),
    "posterior": ("flows",),
}
"""What the kinds of queries take beyond kernels of likelihoods; those that take nothing are answered by these, or
on the CPU."""

FLOATS = Numbers("linear", 4)


@dataclass(frozen=True, slots=True)
class Walked:
    """A Program whose buffers are filled once, as walks and derivatives take it.

    `wanted` are its tables whose derivatives are asked for. Of a network `form` is that of its float64 numbers,
    `parts` says whether its leaves' and its weights' derivatives are asked for, and `variables` counts the circuit's.
    `able` says which queries a device answers.
    """

    program: Program
    able: tuple[Answering, ...]
    wanted: frozenset[int] = frozenset()
    form: Form = "linear"
    parts: tuple[bool, bool] = (False, False)
    variables: int = 0


def reverse_for(walked: Walked, precision: Precision, rows: int, gpu: Gpu) -> tuple[Drawn, Course]:
    """The plan of a Program of vectors all of whose buffers stay, and its reverse, for batches of about so many rows
    on a GPU.

    Raises: DanausError `not-on-device`.
    """
    made = drawn(walked.program, precision, rows, True, gpu=gpu)
    return made, course(made, precision, walked.wanted)


def of_vectors(walked: Walked, what: Answering, precision: Precision, gpu: Gpu) -> tuple[Kernel, ...]:
    """The kernels of a query of a Program of vectors beyond its likelihood."""
    drain = gpu.backend == "hip"
    shapes = [sparse_policy.walk_shape(rows, False, drain) for rows in sparse_policy.LANES]
    found: list[Kernel] = []
    match what:
        case "flows":
            for rows in classes(gpu):
                made, way = reverse_for(walked, precision, rows, gpu)
                found += [launch.kernel for launch in made.plan.launches]
                found += way.kernels
        case "sample":
            found += [steps_kernels.fill("log", shape) for shape in shapes]
            found += [steps_descent.descend(True, single, shape) for single in (False, True) for shape in shapes]
        case "map":
            found += [steps_kernels.fill("max", shape) for shape in shapes]
            found += [steps_descent.descend(False, False, shape) for shape in shapes]
        case "evidence":
            found += [steps_kernels.fill("log", shape, True) for shape in shapes]
        case "hamming":
            found.append(steps_ones.step_of_ones(sparse_policy.shape(walked.variables + 1, drain)))
        case "likelihood":
            pass
    return _once(found)


def of_network(walked: Walked, what: Answering, numbers: Numbers, drain: bool) -> tuple[Kernel, ...]:
    """The kernels of a query of a network of scalar nodes; `numbers` are those of its likelihoods."""
    forward = [sparse_policy.shape(rows, drain) for rows in sparse_policy.LANES]
    kept, most = Numbers(walked.form, 8), Numbers("max", 8)
    match what:
        case "likelihood":
            found = _up(numbers, forward)
        case "flows":
            found = _back(walked, Numbers(numbers.form, 8) if numbers.form == "log" else numbers, drain)
            for rows in sparse_policy.LANES:  # what comes through the leaves of each row, in float64
                shape = sparse_policy.reverse_shape(rows, kept.form, drain)
                found += [network.level(kept, shape), network_reverse.reverse_level(kept, shape)]
        case "sample":
            found = [*_up(kept, forward), *(each for single in (False, True) for each in _down(kept, single, drain))]
        case "map":
            found = [*_up(most, forward), *_down(most, None, drain)]
        case "evidence":
            found = _up(kept, forward, True)
        case "hamming":
            found = [network_ones.level_of_ones(kept, sparse_policy.shape(walked.variables + 1, drain))]
    return _once(found)


def _up(numbers: Numbers, shapes: list[Shape], weighted: bool = False) -> list[Kernel]:
    """All levels at once, and one of them."""
    return [make(numbers, shape, weighted) for shape in shapes for make in (network.whole, network.level)]


def _back(walked: Walked, numbers: Numbers, drain: bool) -> list[Kernel]:
    """Up and back at once, or level by level."""
    leaves, weights = walked.parts
    found: list[Kernel] = []
    for rows in sparse_policy.LANES:
        shape = sparse_policy.reverse_shape(rows, numbers.form, drain)
        found += [network_reverse.derive(numbers, shape, weights, leaves), network.level(numbers, shape)]
        found.append(network_reverse.reverse_level(numbers, shape))
        found += [network_reverse.sums(numbers, shape, heavy) for heavy in (False, True) if walked.parts[heavy]]
    return found


def _down(numbers: Numbers, single: bool | None, drain: bool) -> list[Kernel]:
    """The way down: samples, over values of `single` rows or of each; the most probable values where that is None."""
    sampled, one = single is not None, bool(single)
    found: list[Kernel] = []
    for rows in sparse_policy.LANES:
        shape = sparse_policy.walk_shape(rows, False, drain)
        found.append(network_descent.descend(numbers, sparse_policy.walk_shape(rows, sampled, drain), sampled, one))
        found += [network_descent.descend_level(numbers, shape, sampled, one)]
        found += [network_descent.descend_leaves(numbers, shape, sampled)]
    return found


def _once(kernels: list[Kernel]) -> tuple[Kernel, ...]:
    """Each once, in the order in which they come."""
    return tuple({kernel.digest: kernel for kernel in kernels}.values())


def walked(tabled: Tabled, sites: Sites, fed: Sequence[Fed], variables: int) -> Walked:
    """What walks and derivatives take of a Program with present tables; `fed` are parameters in them."""
    program = tabled.program
    wanted = frozenset(each.table for each in fed)
    if not program.layouts:
        able = ANSWERING[1:] if steps(program, sites) is not None else ANSWERING[1:2]
        if any(values != 2 for values in program.columns[:variables]):
            able = tuple(each for each in able if each != "hamming")
        return Walked(program, able, wanted, variables=variables)
    form: Form = "linear" if tabled.plain() else "log"
    return Walked(program, ANSWERING[1:], wanted, form, (0 in wanted, 1 in wanted), variables)


def answering(kinds: Iterable[str]) -> tuple[Answering, ...]:
    """What kernels have to answer, for queries by their kinds; "all" is all of it.

    Raises: DanausError `unknown-query`.
    """
    wanted: set[Answering] = {"likelihood"}
    for kind in kinds:
        if kind == "all":
            wanted |= set(ANSWERING)
        elif kind in NEEDS:
            wanted |= set(NEEDS[kind])
        else:
            known = (*NEEDS, "all")
            hint = nearest(kind, known) or f"there are {', '.join(known)}"
            raise error("unknown-query", f'no kernels answer "{kind}"', hint=hint)
    return tuple(each for each in ANSWERING if each in wanted)
