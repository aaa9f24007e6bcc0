"""Measures jobs one after another in a process of its own, which gpu_supervised.py starts and ends.

A line of JSON enters, with the options and the jobs; for each job a line leaves when it begins, and one with its cells.
What a peer prints goes to the standard error. A GPU that answers nothing any more ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import asdict

import numpy as np
from gpu_jobs import Job, cases_of
from gpu_measured import run
from gpu_meter import Meter


def main() -> None:
    """Reads jobs, and measures them."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    given = json.loads(sys.stdin.readline())
    meter = Meter.of(given["device"], given["precision"], given["turn"])
    cases = cases_of(given["rows"], given["only"], given["dry"])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for number, job in given["jobs"]:
            print(json.dumps({"job": number}), file=lines, flush=True)
            cells = run(Job(**job), cases, meter)
            found = {name: asdict(cell) for name, cell in cells.items()}
            print(json.dumps({"job": number, "cells": found}), file=lines, flush=True)


if __name__ == "__main__":
    main()
