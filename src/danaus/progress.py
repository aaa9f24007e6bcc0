"""The progress of learning on a terminal: the epoch, both mean log-likelihoods, the time taken and the time to go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runtime.learning.result import Epoch


@contextmanager
def shown(epochs: int, wanted: bool = True) -> Iterator[Callable[[Epoch], None] | None]:
    """A function that shows an epoch; None where it is not wanted, or standard error is no terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[means]}"),
        TimeElapsedColumn(),
        TextColumn("at most"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task("", total=epochs, means="before learning")

        def show(epoch: Epoch) -> None:
            held = "" if epoch.valid is None else f"  valid {epoch.valid:.4f}"
            display.update(task, completed=epoch.epoch, means=f"train {epoch.train:.4f}{held}")

        yield show
