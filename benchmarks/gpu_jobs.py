"""What is measured on a GPU, in which order: the rows that say most first, so that a run that is ended has those.

What enters are options; what leaves are cases by table, and jobs: one kind of measurement of one case.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu_models import MODELS, Model

IMAGES = (("HCLT", 64), ("HCLT", 256), ("HCLT", 512), ("HCLT", 1024), ("PD", 64), ("PD", 256))
SENTENCES = ((200, 10), (400, 40), (1000, 170))  # about 10⁴, 10⁵ and 10⁶ edges
BATCHES = (1, 32, 128, 4096)
PARITY = (Model(64, 32, 27), Model(33, 8, 5), Model(256, 32, 27, (16, 16)), Model(4096, 4, 27, (64, 64)))
PEERS = (Model(64, 32, 27), Model(256, 32, 27, (16, 16)), Model(512, 8, 27))
"""Models on which what peers compute is compared with the float64 evaluator."""

HOST = 1 << 26
"""Numbers of a model that is also made on the host, in float64, for what a user calls."""


KERNELS = ("forward", "both")
"""Kinds of measurements of kernels of ours."""


@dataclass(frozen=True, slots=True)
class Cases:
    """The rows of each table; images have `side` × `side` pixels of so many values."""

    rows: int
    chains: tuple[Model, ...]
    pictures: tuple[tuple[str, int], ...]
    diagrams: tuple[tuple[int, int, int], ...]
    parity: tuple[Model, ...]
    peers: tuple[Model, ...]
    side: int = 28
    values: int = 256


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of measurement of one case of a table; after `limit` seconds the process that makes it is ended.

    These are also seconds in which it waits for the GPU, where processes share it.
    """

    table: str
    case: int
    kind: str
    limit: float = 180


def cases_of(rows: int, only: str, dry: bool) -> Cases:
    """All cases, those whose name holds `only`, or small ones."""
    if dry:
        small = (Model(5, 4, 3), Model(6, 3, 3, (2, 3)))
        return Cases(rows, small, (("HCLT", 2), ("PD", 2)), ((6, 3, 1), (6, 3, 2)), small[:1], small[:1], 2, 3)
    diagrams = tuple((*size, batch) for size in SENTENCES for batch in BATCHES)
    return Cases(
        rows,
        tuple(model for model in MODELS if only in label(model)),
        tuple(each for each in IMAGES if only in f"{each[0]} {each[1]}"),
        diagrams if only in "d-DNNF" else (),
        PARITY,
        PEERS,
    )


def label(model: Model) -> str:
    """A model's name and sizes."""
    return f"{model.name} {model.states} T={model.steps} V={model.values}"


def jobs_of(cases: Cases) -> list[Job]:
    """All jobs, the most telling first: ours, eager torch, PyJuice, and calls, rank by rank."""
    ranked: list[tuple[int, int, int, Job]] = []

    def add(rank: int, order: int, job: Job) -> None:
        ranked.append((rank, order, len(ranked), job))

    for case, _ in enumerate(cases.parity):
        add(0, 0, Job("parity", case, "ours"))
    for case, _ in enumerate(cases.peers):
        add(1, 1, Job("peers", case, "eager"))
        add(1, 2, Job("peers", case, "PyJuice", 300))  # which compiles its extensions
    for case, model in enumerate(cases.chains):
        rank = _rank(model)
        for order, kind in enumerate(("forward", "both", "eager", "eager both")):
            add(rank, order, Job("chains", case, kind))
        add(rank + (3 if model.parts else 0), 4, Job("chains", case, "PyJuice", 240))  # it takes a minute to make some
        if model.numbers <= HOST:
            add(
                rank + (2 if model.numbers > 1 << 20 else 0), 5, Job("chains", case, "calls")
            )  # what they take is the host's
    for case, (kind, states) in enumerate(cases.pictures):
        rank = 2 if (kind, states) in (("HCLT", 256), ("PD", 64)) else 4
        for order, measured in enumerate(("forward", "both")):
            add(rank, order, Job("pictures", case, measured))
        add(rank, 4, Job("pictures", case, "PyJuice", 240))
        if kind == "PD" or states * cases.side**2 * (cases.values + states) <= HOST:
            add(5, 5, Job("pictures", case, "calls"))
    for case, (variables, _, batch) in enumerate(cases.diagrams):
        rank = 3 if batch == max(BATCHES) or variables == SENTENCES[0][0] else 5
        add(rank, 0, Job("diagrams", case, "ours"))
        add(rank if variables < SENTENCES[-1][0] else 6, 4, Job("diagrams", case, "PyJuice", 240))
    return [Job("limits", 0, "limits"), *(job for _, _, _, job in sorted(ranked, key=lambda each: each[:3]))]


def _rank(model: Model) -> int:
    """Long chains of few values first, then short ones, many values, and the largest."""
    if model.numbers > 1 << 28:
        return 6
    if model.values > 1000:
        return 4
    return 2 if model.steps > 100 else 3
