"""DIMACS CNF to a spec: compiled to an SDD by PySDD, in a process of its own, and read back.

An unweighted formula becomes its indicator, 1 on models, not smoothed. Weights of literals make a smooth circuit, the
product of the weights on models: a branch that leaves a variable out is multiplied by the sum of its two weights, so
that the total is the weighted count.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ...ir.diagnostic import DanausError, error
from ...ir.domain import Variable
from ...ir.span import Span
from ..spec import Spec
from .cnf_circuit import circuit_of
from .dimacs import Cnf, parse_cnf
from .elimination import min_fill
from .options import ForeignOptions
from .single import boolean_variables, single, variable_count
from .text import foreign_source
from .vtree_text import balanced_vtree, read_vtree_text

SECONDS = 120.0
"""Time that a compilation may take."""

_LONGEST = 60
"""Clauses of more literals do not shape the vtree."""


def read_cnf(path: Path, options: ForeignOptions, known: Mapping[str, Variable], seconds: float = SECONDS) -> Spec:
    """The formula of a `.cnf`, `.dimacs` or gzipped file, as the circuit "circuit" over x1 … xn.

    Raises: DanausError with the place of a mistake; `missing-package` without PySDD; `too-large` where the compilation
    ends at its time or memory.
    """
    source = foreign_source(path)
    cnf = parse_cnf(source)
    count = variable_count(cnf.variables, cnf.variables, options)
    variables = boolean_variables(count, options, known)
    span = Span(source, 1)
    if not all(cnf.clauses):
        sdd, vtree = "F 0", ""
    elif not cnf.clauses:
        sdd, vtree = "T 0", ""
    else:
        sdd, vtree = _compiled(cnf, options, span, seconds)
    packed = circuit_of(sdd, read_vtree_text(vtree), cnf.weights, variables, span)
    return single(path, variables, packed.root, packed.values, cnf.warnings)


def _compiled(cnf: Cnf, options: ForeignOptions, span: Span, seconds: float) -> tuple[str, str]:
    """The SDD and its vtree, as libsdd writes them."""
    if importlib.util.find_spec("pysdd") is None:
        hint = 'pip install "danaus[cnf]"'
        raise error("missing-package", "a CNF is compiled by PySDD, which is not installed", span, hint)
    with tempfile.TemporaryDirectory() as folder:
        formula, start, vtree, sdd = (Path(folder) / name for name in ("cnf", "start", "vtree", "sdd"))
        formula.write_text(_text(cnf))
        start.write_text(_start(cnf) if options.vtree is None else foreign_source(options.vtree).text)
        minimise = "1" if options.vtree is None else "0"
        script = Path(__file__).with_name("sdd_process.py")
        command = [sys.executable, "-P", str(script), str(formula), str(start), str(vtree), str(sdd), minimise]
        try:
            done = subprocess.run(
                [*command, str(options.memory)], capture_output=True, timeout=seconds, check=False, cwd=folder
            )
        except subprocess.TimeoutExpired:
            raise _gave_up(cnf, f"does not end within {seconds:g} seconds", span) from None
        if done.returncode or not sdd.exists() or not vtree.exists():
            if options.vtree is not None and b"MemoryError" not in done.stderr:
                message = f'the formula could not be compiled along the vtree "{options.vtree}"'
                raise error("wrong-vtree", message, span, f"it has the leaves 1 … {cnf.variables}, each once")
            raise _gave_up(cnf, f"needs more than the {options.memory / 1e9:.3g} GB that may be used", span)
        return sdd.read_text(), vtree.read_text()


def _gave_up(cnf: Cnf, why: str, span: Span) -> DanausError:
    what = f"compiling {len(cnf.clauses)} clauses over {cnf.variables} variables"
    return error("too-large", f"{what} {why}", span, "compile it with d4 or c2d, and read the .nnf file")


def _text(cnf: Cnf) -> str:
    lines = (" ".join(map(str, (*clause, 0))) for clause in cnf.clauses)
    return "\n".join([f"p cnf {cnf.variables} {len(cnf.clauses)}", *lines, ""])


def _start(cnf: Cnf) -> str:
    """A balanced vtree over a min-fill order of the variables that share clauses.

    On mc2024_track4_039 that takes 2 s, the order of the file 5 s, the shape of the elimination tree more than 20 s.
    """
    scopes = [sorted({abs(literal) for literal in clause}) for clause in cnf.clauses if len(clause) <= _LONGEST]
    order = min_fill([2] * (cnf.variables + 1), scopes).variables
    listed = set(order)
    return balanced_vtree([*order, *(each for each in range(1, cnf.variables + 1) if each not in listed)])
