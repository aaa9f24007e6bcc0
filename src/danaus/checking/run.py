"""A run of `danaus check`: from the arguments of a command to what it comes to.

    arguments ─ files ─► paths ─ configuration ─► tasks ─ cache, or processes ─► reports ─ baseline ─► outcome

What the cache answers needs neither the compiler nor numpy; they are imported when there is something to examine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from .baseline import compare, read_baseline
from .cache import Cache, default_folder
from .configuration import Configuration, configuration
from .files import found
from .outcome import Outcome
from .report import Report
from .task import Done, Task

_FOREIGN = ("variables", "vtree", "evidence")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a caller may ask of a run: requirements, how specs are read, processes, the cache, the baseline."""

    required: tuple[str, ...] = ()
    options: Mapping[str, str | int | float | None] = field(default_factory=dict[str, str | int | float | None])
    jobs: int | None = None
    cached: bool = True
    cache: Path | None = None
    baseline: Path | None = None
    against_baseline: bool = True


def check(arguments: tuple[Path, ...], choices: Choices) -> Outcome:
    """The reports of all files, in the order of the arguments, whatever the number of processes.

    Raises: DanausError for what is wrong with the run itself: a requirement, a configuration, a baseline.
    """
    here = configuration(Path(os.path.abspath(".")))
    path = choices.baseline or here.baseline
    known = read_baseline(path) if path is not None and choices.against_baseline else None
    files = found(arguments)
    settings = {file: _settings(file) for file in files}
    tasks = [_task(file, settings[file], choices, len(files)) for file in files]
    cache = Cache(choices.cache or default_folder()) if choices.cached else None
    keys = [cache.key(task.file, task.required, task.options) if cache else None for task in tasks]
    reports: list[Report | None] = cache.get(keys) if cache else [None] * len(tasks)
    missing = [number for number, report in enumerate(reports) if report is None]
    if missing or not files:
        _examine(missing, tasks, keys, reports, cache, choices, list(settings.values()))
    complete = [report for report in reports if report is not None]
    return Outcome(complete, None if known is None or path is None else compare(path, known, complete))


def _examine(
    missing: Sequence[int],
    tasks: Sequence[Task],
    keys: Sequence[str | None],
    reports: list[Report | None],
    cache: Cache | None,
    choices: Choices,
    settings: Sequence[Configuration],
) -> None:
    """Examines what the cache does not answer, and keeps it."""
    from ..commands.options import working
    from .parallel import perform
    from .requirements import validate

    import_module(".examine", __package__)  # the compiler, before the work is timed
    validate(choices.required, settings)

    def receive(number: int, done: Done) -> None:
        reports[number] = Report.of_plain(done.report)
        key = keys[number]
        if cache is not None and key is not None:
            cache.put(key, done.report, done.read)

    try:
        with working(f"checking {len(missing)} of {len(tasks)} files"):
            perform([(number, tasks[number]) for number in missing], choices.jobs or _cores(), receive)
    finally:  # what was found before an interruption is kept
        if cache is not None:
            cache.write()


def _settings(file: str) -> Configuration:
    """The configuration for a file: the nearest one upwards from it."""
    return configuration(Path(os.path.dirname(os.path.abspath(file))))


def _task(file: str, settings: Configuration, choices: Choices, files: int) -> Task:
    required = list(dict.fromkeys([*choices.required, *settings.required(file)]))
    options = dict(choices.options)
    if files > 1 and file.endswith(".circuit"):  # the options for other formats are for the other files
        options |= dict.fromkeys(_FOREIGN)
    return Task(file, required, options)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
