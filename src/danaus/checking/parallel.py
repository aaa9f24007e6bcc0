"""Many tasks, done by this process and, where there is more to do than starting them costs, by others beside it.

Nobody can say from its text how long a spec takes. So this process begins at once, and a thread beside it starts
helpers when what is left, at the pace so far, is worth it. Each has a thread here that hands it one task at a time.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from .fingerprint import identity
from .report import Finding, Report
from .task import Done, Task, do

START = 0.5
"""Seconds that a helper takes to start, about; measured 0.35 to 0.5 on two cores."""

_LOOK = 0.1  # seconds between two looks at the pace
_SWITCH = 0.0003  # seconds that a helper's thread waits for this one: the usual 0.005 are as long as a small spec takes
_MANY = 200  # so many files take longer than helpers to start, whatever they hold
_MAIN = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from danaus.checking.worker import main; main()"

Receiver = Callable[[int, Done], None]


@dataclass(slots=True)
class _Run:
    """The state that the threads of one run share, under a lock."""

    waiting: deque[tuple[int, Task]]
    receive: Receiver
    total: int
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    processes: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])
    failure: BaseException | None = None

    def next(self) -> tuple[int, Task] | None:
        with self.lock:
            return self.waiting.popleft() if self.waiting and self.failure is None else None

    def finish(self, number: int, done: Done) -> None:
        with self.lock:
            self.receive(number, done)
            self.done += 1


def perform(tasks: Iterable[tuple[int, Task]], jobs: int, receive: Receiver) -> None:
    """Does the tasks, in any order; each answer goes to `receive` with its task's number, one at a time."""
    waiting = deque(tasks)
    run = _Run(waiting, receive, len(waiting))
    helpers: list[threading.Thread] = []
    watcher = threading.Thread(target=_watch, args=(run, jobs - 1, helpers), daemon=True)
    if jobs > 1 and len(waiting) > 1:
        watcher.start()
    gc.freeze()  # what was imported stays: the collector need not walk it for each file
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        _work(run)
        run.over.set()
        if watcher.ident is not None:
            watcher.join()
        for helper in helpers:
            helper.join()
        _work(run)  # what a helper that did not start gave back
        if run.failure is not None:
            raise run.failure
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
        run.over.set()
        for process in run.processes:
            _end(process)


def _work(run: _Run) -> None:
    while (task := run.next()) is not None:
        run.finish(task[0], do(task[1]))


def _watch(run: _Run, most: int, helpers: list[threading.Thread]) -> None:
    """Starts helpers while what is left takes longer than they take to start."""
    while len(helpers) < most and not run.over.wait(_LOOK if helpers or len(run.waiting) < _MANY else 0):
        with run.lock:
            left, elapsed = len(run.waiting), time.monotonic() - run.began
            pace = elapsed / (run.done + 1)
        # It shares the work with those that there are; the first look comes after the compiler was imported.
        worth = min(left, most, int(left * pace / (2 * START))) if elapsed >= START else 0
        worth = min(left // _MANY, most) if left >= _MANY else worth
        while len(helpers) < worth:
            helper = threading.Thread(target=_serve, args=(run,), daemon=True)
            helpers.append(helper)
            helper.start()


def _serve(run: _Run) -> None:
    """Starts one helper, and hands it tasks while there are any."""
    process: subprocess.Popen[str] | None = None
    try:
        while (task := run.next()) is not None:
            if process is None:
                process = _start()
                run.processes.append(process)
            answer = _ask(process, task[1])
            run.finish(task[0], _crashed(task[1], process) if answer is None else answer)
            process = None if answer is None else process
    except Exception as failure:  # raised again by the thread that everybody waits for
        if process is None and isinstance(failure, OSError) and task is not None:  # this process does it all
            run.waiting.append(task)
        else:
            run.failure = failure


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", _MAIN, json.dumps(sys.path)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="surrogateescape"
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not read by who is gone
                pipe.close()


def _ask(process: subprocess.Popen[str], task: Task) -> Done | None:
    """The answer to a task; None where the process ended over it."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(task.to_plain()) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        return None
    return Done(**json.loads(line)) if line.endswith("\n") else None


def _crashed(task: Task, process: subprocess.Popen[str]) -> Done:
    """The report of a file whose examination ended its process, for want of memory perhaps."""
    message = f"the check of {task.file} ended its process, with status {process.wait()}"
    hint = f"see what happens alone: danaus check {task.file} --jobs 1"
    finding = Finding(
        "crashed",
        "error",
        message,
        None,
        hint,
        (),
        f"error[crashed]: {message}\n  hint: {hint}",
        identity("crashed", task.file),
    )
    return Done(Report(task.file, (finding,), {}, ()).to_plain(), {})
