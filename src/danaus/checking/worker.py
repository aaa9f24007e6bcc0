"""A process that examines files for another: tasks as lines of JSON on its input, answers as lines on its output."""

from __future__ import annotations

import json
import os
import signal
import sys

from .task import Task, do


def main() -> None:
    """Answers until the input ends; what code prints on the way goes to the errors, not among the answers."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that asked speaks for both
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        done = do(Task(**json.loads(line)))
        answers.write(json.dumps({"report": done.report, "read": dict(done.read)}) + "\n")
        answers.flush()
