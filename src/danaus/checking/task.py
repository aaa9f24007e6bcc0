"""One question of a run, and its answer: what goes to a process that examines files, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .reading import recording
from .report import Plain


@dataclass(frozen=True, slots=True)
class Task:
    """A file to be examined, what is required of it, and the options that it is read with."""

    file: str
    required: Sequence[str]
    options: Mapping[str, str | int | float | None]

    def to_plain(self) -> Plain:
        """The task as JSON holds it: `Task(**plain)` is it again."""
        return {"file": self.file, "required": list(self.required), "options": dict(self.options)}


@dataclass(frozen=True, slots=True)
class Done:
    """The report of a task, as plain values, and the digests of the files that it rests on."""

    report: Plain
    read: Mapping[str, str | None]


def do(task: Task) -> Done:
    """Examines a task's file in this process."""
    from .examine import examine  # here, so that a run from the cache does without the compiler

    with recording() as read:
        report = examine(task.file, task.required, task.options)
    return Done(report.to_plain(), read)
