"""The autotuner: tiles around the policy's, tried one step at a time, of which the fastest are kept.

What enters are a Program, a precision and a class of batches; what leaves are choices: tiles in place of the policy's,
for those launches where others are faster. What is tried is measured where there is a device (`measured.py`), and else
estimated from the machine code of each (`ahead_tuned`). What was found is kept on disk by content, so that a kernel is
tuned once for a target and a version of Triton.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ...ir.program.program import Program
from ..kept import keep, kept, place_of
from . import policy
from .ahead import attempted, triton_version
from .candidates import MOST, Shaped, Trial, around
from .estimate import estimated, estimated_back, estimated_shape
from .kernel import Kernel
from .launch import Launch
from .plan import Drawn, Plan, drawn, plan
from .policy import Precision, Tiles
from .resources import Resources
from .reverse import Course, Swept, Turn, course
from .shapes import Shaping
from .targets import Gpu
from .tiled import NONE, Choices

ROUNDS = 3
"""So often the neighbours of what is fastest are tried: from one end of the range of a size to the other are three
doublings, and each round is as many kernels to compile as a launch has neighbours, at most ten."""

MARGIN = 0.03
"""Another choice must be faster by this share: what differs less is the noise of a measurement."""

_FORMAT = 1  # of what is kept

Judge = Callable[[Sequence[Trial]], Sequence[float]]
"""Seconds of launches, which differ in their tiles alone; infinite for one that cannot run, or spills."""

Seconds = Callable[[Sequence[Kernel]], Mapping[str, float]]
"""Predicted seconds of kernels of a network or a walk for a batch, by their digests."""


@dataclass(frozen=True, slots=True, eq=False)
class Reversed:
    """A plan all of whose buffers stay, and its reverse."""

    drawn: Drawn
    course: Course


@dataclass(frozen=True, slots=True, eq=False)
class Walking:
    """A network or a walk for batches of so many lanes: its content, and what predicts its kernels' times."""

    about: str
    lanes: int
    seconds: Seconds


Subject = Plan | Reversed | Walking


@dataclass(frozen=True, slots=True)
class Tuner:
    """What is tuned for: a GPU, how (`measured` or `estimated`), and what judges launches of a plan, of its reverse, or
    of a network or a walk."""

    gpu: Gpu
    how: str
    judge: Callable[[Subject], Judge]


def tuned(program: Program, precision: Precision, rows: int, tuner: Tuner) -> Choices:
    """Tiles for the launches of a Program's plan, in place of the policy's where they are faster.

    What was measured for a target stands before what is estimated.

    Raises: DanausError as `plan` and as the judge.
    """
    made = plan(program, precision, rows, gpu=tuner.gpu)
    return _found(made, made.launches, made.most, precision, tuner)


def tuned_back(
    program: Program,
    precision: Precision,
    rows: int,
    tuner: Tuner,
    wanted: frozenset[int],
    summed: bool = True,
    known: Choices = NONE,
) -> Choices:
    """The same for its derivatives, up and back: `wanted` and `summed` as a course has them. Tiles that are `known`, of
    likelihoods, stay; the others are added to them."""
    plain = drawn(program, precision, rows, True, gpu=tuner.gpu)
    launches = [launch for launch in plain.plan.launches if launch.kernel.digest not in known]
    found = {**known, **_found(plain.plan, launches, plain.plan.most, precision, tuner)}
    made = drawn(program, precision, rows, True, found, tuner.gpu)
    way = course(made, precision, wanted, summed)
    own = [launch for act in way.acts for launch in act.launches]
    return found | _found(
        Reversed(made, way), own, made.plan.most, precision, tuner, made.plan.batch, f"of {made.plan.batch}"
    )


def tuned_shapes(shapings: Sequence[Shaping], walking: Walking, precision: Precision, tuner: Tuner) -> Choices:
    """The same for kernels of a network or of a walk."""
    trials = [Shaped(each, each.make(each.shape)) for each in shapings]
    return _found(walking, trials, walking.lanes, precision, tuner, about=walking.about)


def _found(
    subject: Subject,
    launches: Sequence[Trial],
    rows: int,
    precision: Precision,
    tuner: Tuner,
    most: int = MOST,
    about: str = "",
) -> dict[str, Tiles]:
    """Tiles for launches, each kernel once: kept, or searched for."""
    found: dict[str, Tiles] = {}
    judge: Judge | None = None
    for launch in {launch.kernel.digest: launch for launch in launches}.values():
        places = [_place(launch, rows, tuner, how, about) for how in dict.fromkeys(("measured", tuner.how))]
        tiles = next((tiles for each in places if (tiles := _read(kept(each))) is not None), None)
        if tiles is None:
            judge = judge or tuner.judge(subject)
            tiles, seconds = searched(launch, precision, judge, most)
            keep(places[-1], _written(tiles, seconds, tuner))
        if tiles != launch.tiles:
            found[launch.kernel.digest] = tiles
    return found


def searched(launch: Trial, precision: Precision, judge: Judge, most: int = MOST) -> tuple[Tiles, float]:
    """The fastest tiles around a launch's own, and the seconds that it takes with them."""
    best, times = launch, dict[str, float]()
    for _ in range(ROUNDS):
        trials = [best, *(trial for trial in around(best, precision, most) if trial.kernel.digest not in times)]
        if len(trials) == 1:
            break
        # what is best so far is measured again beside the others: the device may have changed its clock
        found = judge(trials)
        times |= {trial.kernel.digest: seconds for trial, seconds in zip(trials, found, strict=True)}
        fastest = min(trials, key=lambda trial: times[trial.kernel.digest])
        if not times[fastest.kernel.digest] < times[best.kernel.digest] * (1 - MARGIN):
            break
        best = fastest
    return best.tiles, times.get(best.kernel.digest, inf)


def ahead_tuned(gpu: Gpu, precision: Precision) -> Tuner:
    """What tunes for a GPU that need not be here: by the machine code of each launch, for a batch of its class."""

    def judge(subject: Subject) -> Judge:
        def judged(trials: Sequence[Trial]) -> list[float]:
            code, _ = attempted([(trial.kernel, gpu) for trial in trials])
            taken = [code.get((trial.kernel.digest, gpu.name)) for trial in trials]
            return [
                inf if each is None else _estimated(trial, subject, gpu, precision, each.resources)
                for trial, each in zip(trials, taken, strict=True)
            ]

        return judged

    return Tuner(gpu, "estimated", judge)


def _estimated(trial: Trial, subject: Subject, gpu: Gpu, precision: Precision, taken: Resources) -> float:
    """Seconds of a launch for a batch that stands for its class."""
    match subject:
        case Plan():
            rows = policy.typical(subject.most, gpu)
        case Reversed():
            rows = policy.typical(subject.drawn.plan.most, gpu)
        case Walking():
            return estimated_shape(subject.seconds([trial.kernel])[trial.kernel.digest], gpu, taken)
    match trial:
        case Launch():
            return estimated(trial, rows, gpu, precision, taken)
        case Turn() | Swept():
            return estimated_back(trial, rows, gpu, precision, taken)
        case Shaped():
            raise AssertionError("a plan has no shapes")


def _place(launch: Trial, rows: int, tuner: Tuner, how: str, about: str) -> Path:
    """Where the choice for a launch is kept: by its text as the policy has it, and all that a choice hangs on."""
    programs = launch.programs if isinstance(launch, Launch | Turn) else 0
    told = [launch.kernel.digest, programs, rows, tuner.gpu.name, how, triton_version()]
    key = json.dumps([_FORMAT, *told, *([about] if about else [])])
    return place_of("tiles", f"{hashlib.sha256(key.encode()).hexdigest()}.json")


def _written(tiles: Tiles, seconds: float, tuner: Tuner) -> bytes:
    told = {"seconds": seconds} if isfinite(seconds) else {}
    return json.dumps({**asdict(tiles), "target": tuner.gpu.name, "how": tuner.how, **told}).encode()


def _read(held: bytes | None) -> Tiles | None:
    if held is None:
        return None
    said: dict[str, Any] = json.loads(held)
    return Tiles(*(int(said[name]) for name in ("rows", "inner", "batch", "warps", "stages")))
