"""The autotuner: tiles around the policy's, tried one step at a time, of which the fastest are kept.

What enters are a Program, a precision and a class of batches; what leaves are choices: tiles in place of the policy's,
for those launches where others are faster. What is tried is measured where there is a device (`measured.py`), and else
estimated from the machine code of each (`ahead_tuned`). What was found is kept on disk by content, so that a kernel is
tuned once for a target and a version of Triton.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ...ir.program.program import Program
from ..kept import keep, kept, place_of
from . import policy
from .ahead import attempted, triton_version
from .chain import ChainForm
from .estimate import estimated
from .launch import Launch
from .plan import Plan, plan
from .policy import VECTOR, Precision, Tiles
from .precision import PADDED
from .targets import Gpu
from .tiled import Choices, with_tiles
from .value import Form

ROUNDS = 3
"""So often the neighbours of what is fastest are tried: from one end of the range of a size to the other are three
doublings, and each round is as many kernels to compile as a launch has neighbours, at most ten."""

MARGIN = 0.03
"""Another choice must be faster by this share: what differs less is the noise of a measurement."""

MOST = 128
"""Tiles have at most so many rows, columns or rows of data: 128 by 128 of float32 sums are 128 registers of each of 128
threads, of which a thread has 255."""

_FORMAT = 1  # of what is kept

Judge = Callable[[Sequence[Launch]], Sequence[float]]
"""Seconds of launches, which differ in their tiles alone; infinite for one that cannot run, or spills."""


@dataclass(frozen=True, slots=True)
class Tuner:
    """What is tuned for: a GPU, how (`measured` or `estimated`), and what judges launches of a plan."""

    gpu: Gpu
    how: str
    judge: Callable[[Plan], Judge]


def tuned(program: Program, precision: Precision, rows: int, tuner: Tuner) -> Choices:
    """Tiles for the launches of a Program's plan, in place of the policy's where they are faster.

    What was measured for a target stands before what is estimated.

    Raises: DanausError as `plan` and as the judge.
    """
    made = plan(program, precision, rows, gpu=tuner.gpu)
    found: dict[str, Tiles] = {}
    judge: Judge | None = None
    for launch in {launch.kernel.digest: launch for launch in made.launches}.values():
        places = [_place(launch, made.most, tuner, how) for how in dict.fromkeys(("measured", tuner.how))]
        tiles = next((tiles for each in places if (tiles := _read(kept(each))) is not None), None)
        if tiles is None:
            judge = judge or tuner.judge(made)
            tiles, seconds = searched(launch, precision, judge)
            keep(places[-1], _written(tiles, seconds, tuner))
        if tiles != launch.tiles:
            found[launch.kernel.digest] = tiles
    return found


def searched(launch: Launch, precision: Precision, judge: Judge) -> tuple[Tiles, float]:
    """The fastest tiles around a launch's own, and the seconds that it takes with them."""
    best, times = launch, dict[str, float]()
    for _ in range(ROUNDS):
        trials = [best, *(trial for trial in around(best, precision) if trial.kernel.digest not in times)]
        if len(trials) == 1:
            break
        # what is best so far is measured again beside the others: the device may have changed its clock
        found = judge(trials)
        times |= {trial.kernel.digest: seconds for trial, seconds in zip(trials, found, strict=True)}
        fastest = min(trials, key=lambda trial: times[trial.kernel.digest])
        if not times[fastest.kernel.digest] < times[best.kernel.digest] * (1 - MARGIN):
            break
        best = fastest
    return best.tiles, times[best.kernel.digest]


def around(launch: Launch, precision: Precision) -> Iterator[Launch]:
    """The launch with each of its sizes halved or doubled, one at a time, as far as its form allows."""
    for tiles in neighbours(launch.form, launch.tiles):
        made = with_tiles(launch.form, tiles, precision)
        yield replace(
            launch, kernel=made.kernel, programs=made.programs * launch.groups, batch=tiles.batch, tiles=tiles
        )


def neighbours(form: Form | ChainForm, tiles: Tiles) -> Iterator[Tiles]:
    """Tiles that differ in one size by a factor of two, in warps likewise, or in one stage of the pipeline."""
    matrix = form.matrix if isinstance(form, Form) else None
    ranges = {"batch": (PADDED, MOST), "warps": (2, 8)}
    if matrix is not None and matrix.rows > VECTOR:
        ranges |= {"rows": (16, min(MOST, _size(matrix.rows))), "inner": (16, min(MOST, _size(matrix.columns)))}
    elif matrix is not None:  # of few rows, one at a time
        ranges |= {"inner": (16, min(4096, policy.power(matrix.columns)))}
    elif isinstance(form, Form):
        ranges |= {"rows": (1, policy.power(form.width))}
    if isinstance(form, Form) and form.writes is not None:  # what reads them knows of so many rows together
        ranges.pop("rows")
    for name, (least, most) in ranges.items():
        present = int(getattr(tiles, name))
        yield from (_with(tiles, name, size) for size in (present // 2, present * 2) if least <= size <= most)
    if not isinstance(form, Form) or (matrix is not None and matrix.columns > tiles.inner):  # with a loop to pipeline
        yield from (replace(tiles, stages=stages) for stages in (tiles.stages - 1, tiles.stages + 1) if 1 < stages < 5)


def _with(tiles: Tiles, name: str, size: int) -> Tiles:
    return Tiles(**(asdict(tiles) | {name: size}))


def _size(number: int) -> int:
    return max(16, policy.power(number))


def ahead_tuned(gpu: Gpu, precision: Precision) -> Tuner:
    """What tunes for a GPU that need not be here: by the machine code of each launch, for a batch of its class."""

    def judge(made: Plan) -> Judge:
        rows = policy.typical(made.most, gpu)

        def judged(trials: Sequence[Launch]) -> list[float]:
            code, _ = attempted([(trial.kernel, gpu) for trial in trials])
            taken = [code.get((trial.kernel.digest, gpu.name)) for trial in trials]
            return [
                inf if each is None else estimated(trial, rows, gpu, precision, each.resources)
                for trial, each in zip(trials, taken, strict=True)
            ]

        return judged

    return Tuner(gpu, "estimated", judge)


def _place(launch: Launch, most: int, tuner: Tuner, how: str) -> Path:
    """Where the choice for a launch is kept: by its text as the policy has it, and all that a choice hangs on."""
    about = [launch.kernel.digest, launch.programs, most, tuner.gpu.name, how, triton_version()]
    key = json.dumps([_FORMAT, *about])
    return place_of("tiles", f"{hashlib.sha256(key.encode()).hexdigest()}.json")


def _written(tiles: Tiles, seconds: float, tuner: Tuner) -> bytes:
    told = {"seconds": seconds} if isfinite(seconds) else {}
    return json.dumps({**asdict(tiles), "target": tuner.gpu.name, "how": tuner.how, **told}).encode()


def _read(held: bytes | None) -> Tiles | None:
    if held is None:
        return None
    said: dict[str, Any] = json.loads(held)
    return Tiles(*(int(said[name]) for name in ("rows", "inner", "batch", "warps", "stages")))
