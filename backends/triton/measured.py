"""Tiles measured on a device: each launch alone, on memory of its plan, recorded and replayed in turns with the others.

What enters is a device; what leaves is what the tuner asks of it: seconds of launches. How they are timed is given, so
that the search runs without a device too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

import numpy as np
import torch

from . import policy
from .candidates import MOST, Shaped, Trial
from .device import gpu_of, interpreted, on, target_of
from .graphs import captured
from .launch import Launch
from .module import function, options_of
from .network import Shape
from .plan import Plan
from .policy import Precision
from .reverse import Swept, Turn
from .roofline import seconds_of
from .roofline_reverse import back_seconds
from .scalar import ShapeTuner
from .shapes import Shaping, shaped
from .targets import MODEL, Gpu
from .tune import Judge, Reversed, Subject, Tuner, Walking, ahead_tuned, tuned_shapes

Run = Callable[[], None]
Timer = Callable[[Sequence[Run]], Sequence[float]]
"""Seconds of each of some runs, taken in turns."""

REPEATS, TURNS = 20, 9
"""A recording holds so many launches, since one is shorter than events tell apart; and each is replayed so often, in
turns with the others, of which the median counts: a clock that changes meanwhile changes for all."""

HELD = 4 << 30
"""Bytes of buffers that a launch is measured on at most."""


def by_events(device: torch.device) -> Timer:
    """A timer by events on a GPU, over launches recorded as a graph: calls from Python would hide what they take."""

    def timed(runs: Sequence[Run]) -> list[float]:
        with on(device):  # events are of the current one
            return taken(runs)

    def taken(runs: Sequence[Run]) -> list[float]:
        replays = [captured(device, partial(_repeated, run)) for run in runs]
        found: list[list[float]] = [[] for _ in runs]
        for turn in range(TURNS + 1):
            for replay, own in zip(replays, found, strict=True):
                made: Any = torch.cuda.Event  # which carries no types
                start, end = made(enable_timing=True), made(enable_timing=True)
                start.record()
                replay()
                end.record()
                end.synchronize()
                if turn:  # the first warms up
                    own.append(start.elapsed_time(end) / 1e3 / REPEATS)
        return [statistics.median(own) for own in found]

    return timed


def _repeated(run: Run) -> None:
    for _ in range(REPEATS):
        run()


@dataclass(slots=True, eq=False)
class Bench:
    """Memory that the launches of a plan run on, for a batch that stands for its class; no number of it matters."""

    plan: Plan
    device: torch.device
    precision: Precision
    timer: Timer
    gpu: Gpu = MODEL
    stride: int = field(init=False)
    given: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        plan, device = self.plan, self.device
        rows = min(policy.typical(plan.most, self.gpu), HELD // (4 * max(1, plan.rows)))
        self.stride = max(1, rows // MOST) * MOST  # of which every batch tile is a divisor
        values = torch.zeros((max(1, plan.rows), self.stride), dtype=torch.float32, device=device)
        tables = torch.zeros(max(1, plan.tables), dtype=torch.float32, device=device)
        kind = torch.bfloat16 if self.precision.startswith("bf16") else torch.float32
        weights = torch.ones(max(1, plan.weights), dtype=kind, device=device)
        codes = torch.zeros((max(1, plan.columns), self.stride), dtype=torch.int32, device=device)
        indices, places = torch.from_numpy(plan.indices).to(device), torch.from_numpy(plan.places).to(device)
        flags = torch.zeros(self.stride, dtype=torch.int32, device=device)
        self.given = (values, tables, weights, codes, indices, places, flags)

    def seconds(self, trials: Sequence[Trial]) -> list[float]:
        """Seconds of each; infinite for one that the device refuses."""
        return timed_runs([partial(self.run, trial) for trial in trials], self.timer)

    def run(self, launch: Trial) -> None:
        """Launches once."""
        assert isinstance(launch, Launch)
        kernel = launch.kernel
        arguments = (*self.given, launch.first, self.stride)
        options = dict(kernel.constants) | options_of(kernel)
        with on(self.device), np.errstate(all="ignore"):  # the interpreter is numpy
            function(kernel)[(launch.grid(self.stride),)](*arguments, **options)


def timed_runs(runs: Sequence[Run], timer: Timer) -> list[float]:
    """Seconds of each of some runs; infinite for one that the device refuses."""
    able = [runs_at_all(run) for run in runs]
    found = iter(timer([run for run, fine in zip(runs, able, strict=True) if fine]))
    return [next(found) if fine else inf for fine in able]


def runs_at_all(run: Run) -> bool:
    """Whether Triton compiles a kernel, and the device takes it: too much shared memory is told at its first launch."""
    from triton.compiler.errors import CompilationError
    from triton.runtime.errors import OutOfResources, PTXASError

    try:
        run()
    except (CompilationError, OutOfResources, PTXASError):
        return False
    return True


@dataclass(slots=True, eq=False)
class BackBench:
    """The same for the launches of a reverse; flows and values are such that none of them is left out."""

    reversed: Reversed
    bench: Bench
    places: Any = field(init=False)
    buffers: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        way, device, stride = self.reversed.course, self.bench.device, self.bench.stride
        self.places = torch.from_numpy(way.places).to(device)
        flows = torch.ones((max(1, way.rows), stride), dtype=torch.float32, device=device)
        largest = torch.zeros((max(1, way.blocks), stride), dtype=torch.float32, device=device)
        self.buffers = (flows, largest)

    def run(self, launch: Trial) -> None:
        """Launches once."""
        assert isinstance(launch, Turn | Swept)
        values, tables, weights, codes, indices, _, flags = self.bench.given
        stride, device = self.bench.stride, self.bench.device
        size = max(1, self.reversed.course.size)
        if isinstance(launch, Swept):
            size = len(launch.sums) * (stride // launch.batch) * sum(launch.sizes)
        sums = torch.zeros(size, dtype=torch.float32, device=device)
        given = (values, tables, weights, codes, indices, self.places, flags, *self.buffers, sums)
        options = dict(launch.kernel.constants) | options_of(launch.kernel)
        with on(device), np.errstate(all="ignore"):  # as above
            function(launch.kernel)[(launch.grid(stride),)](*given, launch.first, stride, **options)

    def seconds(self, trials: Sequence[Trial]) -> list[float]:
        """Seconds of each; infinite for one that the device refuses."""
        return timed_runs([partial(self.run, trial) for trial in trials], self.bench.timer)


def tuner_on(device: torch.device, precision: Precision, timer: Timer | None = None) -> Tuner:
    """What tunes for a device that is here; for Triton's interpreter, which has no times, an H200's roofline does."""
    if timer is None and interpreted():
        return Tuner(MODEL, "roofline", lambda subject: _roofline(subject, precision))
    time, gpu = timer or by_events(device), gpu_of(device)

    def judge(subject: Subject) -> Judge:
        match subject:
            case Plan():
                return Bench(subject, device, precision, time, gpu).seconds
            case Reversed():
                bench = Bench(subject.drawn.plan, device, precision, time, gpu)
                return BackBench(subject, bench).seconds
            case Walking():
                raise AssertionError("networks and walks are measured where they run: shape_tuner")

    return Tuner(gpu, "measured", judge)


def shape_tuner(device: torch.device, timer: Timer | None = None) -> ShapeTuner | None:
    """What finds shapes of networks and walks on a device, by what launches them; None for the interpreter, which has
    no times."""
    if timer is None and interpreted():
        return None
    time, gpu, known = timer or by_events(device), gpu_of(device), dict[tuple[str, str], Shape]()

    def find(shaping: Shaping, about: str, probe: Callable[[Shape], None]) -> Shape:
        digest = shaping.make(shaping.shape).digest
        if (digest, about) not in known:

            def judged(trials: Sequence[Trial]) -> list[float]:
                shapes = [trial.shaping.shape for trial in trials if isinstance(trial, Shaped)]
                return timed_runs([partial(probe, shape) for shape in shapes], time)

            walking = Walking(about, shaping.shape.lanes, lambda kernels: {})
            found = tuned_shapes([shaping], walking, "ieee", Tuner(gpu, "measured", lambda subject: judged))
            known[digest, about] = shaped(found, shaping.make, shaping.shape)
        return known[digest, about]

    return find


def _roofline(subject: Subject, precision: Precision) -> Judge:
    """Seconds by the roofline alone."""

    def judged(trials: Sequence[Trial]) -> list[float]:
        found: list[float] = []
        for trial in trials:
            match subject, trial:
                case Plan(), Launch():
                    found.append(seconds_of(trial, policy.typical(subject.most), MODEL, precision))
                case Reversed(), Turn() | Swept():
                    rows = policy.typical(subject.drawn.plan.most)
                    found.append(back_seconds(trial, rows, MODEL, precision))
                case _:
                    raise AssertionError("the interpreter tunes no networks and walks")
        return found

    return judged


def tuner_for(gpu: Gpu, precision: Precision) -> Tuner:
    """What tunes for a GPU: the device of this machine where it is of that kind, else machine code."""
    if torch.cuda.is_available() and not interpreted():
        here = torch.device("cuda", torch.cuda.current_device())
        if target_of(here) == gpu.name:
            return tuner_on(here, precision)
    return ahead_tuned(gpu, precision)
