"""`danaus bench`: the time of each circuit's queries on this machine, beside what the machine can do at most."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ..compiler.compile import compile
from ..compiler.pipeline import program_of
from ..frontend.spec import Spec
from ..ir.circuit import Circuit
from ..ir.data import read_data
from ..ir.diagnostic import DanausWarning, Refused, error
from ..ir.domain import FiniteDomain, Variable, first_value
from ..ir.program.work import operations_per_row
from .options import read_spec, working

Rows = NDArray[np.float64]

_LEAST_SECONDS, _LEAST_RUNS, _MOST_RUNS = 0.3, 5, 200
_MISSING = 0.5


@dataclass(frozen=True, slots=True)
class Timing:
    """A query of a circuit: rows, median seconds of a call, operations per row, and rows that were computed again."""

    circuit: str
    query: str
    rows: int
    seconds: float
    operations: int
    recomputed: int

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations * self.rows / self.seconds


def run(file: Path, **options: Any) -> int:
    """Times the queries of a file's circuits."""
    spec = read_spec(file, options)
    circuits = _chosen(spec, options["circuit"])
    backend = _backend()
    with working("measuring the machine"):
        machine = backend.limits()
    timings: list[Timing] = []
    compiling: dict[str, float] = {}
    for name, circuit in circuits.items():
        with working(f"timing {name}"):
            start = time.perf_counter()
            model = compile(circuit, options["dtype"])
            compiling[name] = time.perf_counter() - start
            with backend.threads(options["threads"]):
                timings += _timings(name, circuit, model, *_data(spec, circuit, options))
    rates = asdict(machine)
    if options["form"] == "json":
        rows = [{**asdict(timing), "operations_per_second": timing.rate} for timing in timings]
        found = {"limits": rates, "compile_seconds": compiling, "threads": options["threads"], "timings": rows}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(_table(timings, compiling, rates), nl=False)
    return 0


def _backend() -> ModuleType:
    """What measures the machine.

    Raises: DanausError `missing-package` without torch and llvmlite.
    """
    try:
        from ..backends.cpu import limits
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint='pip install "danaus[cpu]"'
        ) from failure
    return limits


def _chosen(spec: Spec, name: str | None) -> dict[str, Circuit]:
    if name is None:
        return dict(spec.circuits)
    if name not in spec.circuits:
        hint = f"its circuits are {', '.join(spec.circuits) or 'none'}"
        raise error("unknown-circuit", f'{spec.name} has no circuit "{name}"', hint=hint)
    return {name: spec.circuits[name]}


def _data(spec: Spec, circuit: Circuit, options: dict[str, Any]) -> tuple[Rows, NDArray[np.bool_]]:
    """Rows of the file, again and again up to the number asked for; without one, rows at random."""
    count: int | None = options["rows"]
    if options["data"] is None:
        return _drawn(circuit.variables, count or 128, options["seed"])
    data = read_data(options["data"], spec.variables, circuit.variables)
    if not data.rows:
        raise error("needs-data", f"{options['data']} has no rows")
    index = np.arange(count or data.rows) % data.rows
    return data.values[index], data.observed[index]


def _drawn(variables: tuple[Variable, ...], rows: int, seed: int) -> tuple[Rows, NDArray[np.bool_]]:
    random = np.random.default_rng(seed)
    values = np.empty((rows, len(variables)))
    for i, variable in enumerate(variables):
        if isinstance(variable.domain, FiniteDomain):
            values[:, i] = first_value(variable.domain) + random.integers(0, variable.domain.size, rows)
        else:
            values[:, i] = np.floor(random.exponential(3, rows))
    return values, np.ones(values.shape, dtype=bool)


def _timings(name: str, circuit: Circuit, model: Any, values: Rows, observed: NDArray[np.bool_]) -> list[Timing]:
    """Likelihood, where no value is missing, and marginal, of which half of the values are where none was."""
    operations = operations_per_row(program_of(circuit))
    some = observed & (np.random.default_rng(0).random(observed.shape) >= _MISSING) if observed.all() else observed
    calls: dict[str, Callable[[], object]] = {}
    if observed.all():
        calls["likelihood"] = lambda: model.log_likelihood(values)
    calls["marginal"] = lambda: model.marginal(values, some)
    found = []
    for query, call in calls.items():
        before = model.recomputed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DanausWarning)  # that a value is negative is no matter here
            try:
                call()  # once to warm up, and to count
            except Refused:
                continue  # nothing can be summed out of a circuit that is not smooth
            again = model.recomputed - before
            found.append(Timing(name, query, len(values), _seconds(call), operations, again))
    return found


def _seconds(call: Callable[[], object]) -> float:
    taken: list[float] = []
    while len(taken) < _LEAST_RUNS or (sum(taken) < _LEAST_SECONDS and len(taken) < _MOST_RUNS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _table(timings: list[Timing], compiling: dict[str, float], limits: dict[str, float]) -> str:
    head = ["circuit", "query", "rows", "ms", "rows/s", "GFLOP/s", "of vector", "of matrix", "again"]
    lines = [head] + [
        [
            timing.circuit,
            timing.query,
            str(timing.rows),
            f"{timing.seconds * 1e3:.3f}",
            f"{timing.rows / timing.seconds:.3g}",
            f"{timing.rate / 1e9:.2f}",
            f"{timing.rate / limits['vector']:.1%}",
            f"{timing.rate / limits['matrix']:.1%}",
            str(timing.recomputed),
        ]
        for timing in timings
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    spaced = (
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    first = (
        f"one thread of this machine: vector {limits['vector'] / 1e9:.1f} GFLOP/s, "
        f"matrix {limits['matrix'] / 1e9:.1f} GFLOP/s, memory {limits['memory'] / 1e9:.1f} GB/s"
    )
    made = ", ".join(f"{name} {seconds * 1e3:.0f} ms" for name, seconds in compiling.items())
    return "\n".join([first, f"compiled: {made}", "", *(line.rstrip() for line in spaced), ""])
