"""Which kernels a query may launch, whatever the batch: what code made ahead of time has to hold.

What enters is a Program with its numbers; what leaves are kernels by what they answer. Those of likelihoods and of
derivatives of vectors follow from the Program; those of walks and of networks are the same for all Programs of a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from .shapes import Shaping, kernel_shaped
from .steps import steps
from .targets import Gpu
from .tiled import NONE, Choices

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

UNTUNED: Mapping[int, Choices] = {}
"""No tiles but the policy's, by what stands for a class of batches: its largest, or the lanes of a network's tiles."""


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


def reverse_for(
    walked: Walked, precision: Precision, rows: int, gpu: Gpu, choices: Choices = NONE
) -> tuple[Drawn, Course]:
    """The plan of a Program of vectors all of whose buffers stay, and its reverse, for batches of about so many rows
    on a GPU, with tiles chosen in place of the policy's.

    Raises: DanausError `not-on-device`.
    """
    made = drawn(walked.program, precision, rows, True, choices, gpu)
    return made, course(made, precision, walked.wanted)


def of_vectors(
    walked: Walked, what: Answering, precision: Precision, gpu: Gpu, tiles: Mapping[int, Choices] = UNTUNED
) -> tuple[Kernel, ...]:
    """The kernels of a query of a Program of vectors beyond its likelihood, with the `tiles` chosen for some."""
    if what != "flows":
        return _once([_kernel(each, tiles) for each in shapings_of_vectors(walked, what, gpu)])
    found: list[Kernel] = []
    for rows in classes(gpu):
        made, way = reverse_for(walked, precision, rows, gpu, tiles.get(rows, NONE))
        found += [launch.kernel for launch in made.plan.launches]
        found += way.kernels
    return _once(found)


def of_network(
    walked: Walked, what: Answering, numbers: Numbers, gpu: Gpu, tiles: Mapping[int, Choices] = UNTUNED
) -> tuple[Kernel, ...]:
    """The kernels of a query of a network of scalar nodes; `numbers` are those of its likelihoods."""
    return _once([_kernel(each, tiles) for each in shapings_of_network(walked, what, numbers, gpu)])


def _kernel(shaping: Shaping, tiles: Mapping[int, Choices]) -> Kernel:
    return kernel_shaped(tiles.get(shaping.shape.lanes, NONE), shaping.make, shaping.shape)


def shapings_of_vectors(walked: Walked, what: Answering, gpu: Gpu) -> list[Shaping]:
    """What makes the kernels of walks of a query over a Program of vectors, each with the policy's shape."""
    shapes = [sparse_policy.walk_shape(rows, False, gpu.backend == "hip") for rows in sparse_policy.LANES]
    found: list[Callable[[Shape], Kernel]] = []
    match what:
        case "sample":
            found = [partial(steps_kernels.fill, "log")]
            found += [partial(steps_descent.descend, True, single) for single in (False, True)]
        case "map":
            found = [partial(steps_kernels.fill, "max"), partial(steps_descent.descend, False, False)]
        case "evidence":
            found = [partial(steps_kernels.fill, "log", weighted=True)]
        case "hamming":
            return [Shaping(steps_ones.step_of_ones, sparse_policy.shape(walked.variables + 1, gpu.backend == "hip"))]
        case "likelihood" | "flows":
            pass
    return [Shaping(make, shape) for make in found for shape in shapes]


def shapings_of_network(walked: Walked, what: Answering, numbers: Numbers, gpu: Gpu) -> list[Shaping]:
    """What makes the kernels of a query of a network, each with the policy's shape."""
    drain = gpu.backend == "hip"
    forward = [sparse_policy.shape(rows, drain) for rows in sparse_policy.LANES]
    kept, most = Numbers(walked.form, 8), Numbers("max", 8)
    match what:
        case "likelihood":
            return _up(numbers, forward)
        case "flows":
            found = _back(walked, Numbers(numbers.form, 8) if numbers.form == "log" else numbers, drain)
            for rows in sparse_policy.LANES:  # what comes through the leaves of each row, in float64
                shape = sparse_policy.reverse_shape(rows, kept.form, drain)
                found.append(Shaping(partial(network.level, kept), shape))
                found.append(Shaping(partial(network_reverse.reverse_level, kept), shape))
            return found
        case "sample":
            return [*_up(kept, forward), *(each for single in (False, True) for each in _down(kept, single, drain))]
        case "map":
            return [*_up(most, forward), *_down(most, None, drain)]
        case "evidence":
            return _up(kept, forward, True)
        case "hamming":
            make = partial(network_ones.level_of_ones, kept)
            return [Shaping(make, sparse_policy.shape(walked.variables + 1, drain))]


def _up(numbers: Numbers, shapes: list[Shape], weighted: bool = False) -> list[Shaping]:
    """All levels at once, and one of them."""
    makes = [partial(make, numbers, weighted=weighted) for make in (network.whole, network.level)]
    return [Shaping(make, shape) for shape in shapes for make in makes]


def _back(walked: Walked, numbers: Numbers, drain: bool) -> list[Shaping]:
    """Up and back at once, or level by level."""
    leaves, weights = walked.parts
    found: list[Shaping] = []
    for rows in sparse_policy.LANES:
        shape = sparse_policy.reverse_shape(rows, numbers.form, drain)
        makes: list[Callable[[Shape], Kernel]] = [
            partial(network_reverse.derive, numbers, weights=weights, leaves=leaves),
            partial(network.level, numbers),
            partial(network_reverse.reverse_level, numbers),
        ]
        makes += [
            partial(network_reverse.sums, numbers, weights=heavy) for heavy in (False, True) if walked.parts[heavy]
        ]
        found += [Shaping(make, shape) for make in makes]
    return found


def _down(numbers: Numbers, single: bool | None, drain: bool) -> list[Shaping]:
    """The way down: samples, over values of `single` rows or of each; the most probable values where that is None."""
    sampled, one = single is not None, bool(single)
    found: list[Shaping] = []
    for rows in sparse_policy.LANES:
        shape = sparse_policy.walk_shape(rows, False, drain)
        whole = partial(network_descent.descend, numbers, sampled=sampled, single=one)
        found.append(Shaping(whole, sparse_policy.walk_shape(rows, sampled, drain)))
        found.append(Shaping(partial(network_descent.descend_level, numbers, sampled=sampled, single=one), shape))
        found.append(Shaping(partial(network_descent.descend_leaves, numbers, sampled=sampled), shape))
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
