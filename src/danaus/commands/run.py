"""`danaus run`: the answer of a query, as csv on the output or in a file."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..compiler.needs import require
from ..compiler.operators import smooth
from ..compiler.queries import OPTIONAL_DATA, WITH_DATA, Answer, answer, given
from ..frontend.elaborate.demands import QUERIES
from ..frontend.spec import Query, Spec
from ..ir.data import Data, read_data, write_columns
from ..ir.data.container import write_bytes
from ..ir.diagnostic import Diagnostic, Refused, error, nearest
from .options import read_spec, say, working

# A name or a value in double quotes may hold commas and equals signs.
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_ASSIGNMENT = re.compile(r'(?P<name>"[^"]+"|[^"=]*[^"=\s])\s*=\s*(?P<value>"[^"]*"|.*\S)')


def run(file: Path, query: str, **options: Any) -> int:
    """Answers a query of a file."""
    if options["device"] != "cpu":
        hint = "compile it with --target, and run the bundle on the device"
        raise error("not-yet", "queries of a file are answered on the CPU", hint=hint)
    spec = read_spec(file, options)
    asked = find(spec, query)
    if options["smooth"]:
        asked = replace(asked, circuits=tuple(smooth(circuit) for circuit in asked.circuits))
    asked = _required(asked, options["given"])
    _require_used(asked, options)
    data = _data(spec, asked, options["data"])
    with warnings.catch_warnings(record=True) as caught, working(f"answering {query}"):
        warnings.simplefilter("always")
        found = answer(asked, data, options["seed"], 1 if options["count"] is None else options["count"])
    for warning in caught:
        say(Diagnostic("warning", str(warning.message), severity="warning"))
    write_answer(found, options["output"])
    return 0


def _required(query: Query, fixed: str) -> Query:
    """The query under `--given`; what it needs is proved of its circuits, or of them as they are restricted.

    A restriction keeps every property that a query needs, and may bring one.
    """
    asked = given(query, assignments(fixed))
    try:
        require(query)
    except Refused:
        if asked is query:
            raise
        require(asked)
    return asked


def find(spec: Spec, name: str) -> Query:
    """The query of a name, of `circuit.kind`, or of a bare kind where the file holds one circuit.

    Raises: DanausError `unknown-query`, `ambiguous`.
    """
    if name in spec.queries:
        return spec.queries[name]
    circuit, _, kind = name.rpartition(".")
    if kind in QUERIES and (not circuit or circuit in spec.circuits):
        chosen = spec.circuits[circuit] if circuit else spec.circuit
        wanted, rest = QUERIES[kind]
        if wanted > 1 or rest:
            raise error("wrong-arguments", f"{kind} takes more than a circuit", hint="declare it with `query NAME = …`")
        return Query(name, kind, (chosen,))
    known = [*spec.queries, *(f"{found}.{sort}" for found in spec.circuits for sort in QUERIES)]
    hint = nearest(name, known) or f"its queries are {', '.join(spec.queries) or 'none'}"
    raise error("unknown-query", f'{spec.name} has no query "{name}"', hint=hint)


def assignments(text: str) -> list[tuple[str, str]]:
    """The variables and values of `--given "rain=1, wet=2"`.

    Raises: DanausError `wrong-option`.
    """
    found: list[tuple[str, str]] = []
    for item in _COMMA.split(text) if text.strip() else []:
        parts = _ASSIGNMENT.fullmatch(item.strip())
        if parts is None:
            raise error(
                "wrong-option", f'--given "{text}": "{item.strip()}" gives no value', hint='write "rain=1, wet=2"'
            )
        name = parts["name"].strip('"')
        if name in dict(found):
            raise error("wrong-option", f'--given "{text}" gives "{name}" twice', hint="one value per variable")
        found.append((name, parts["value"].strip('"')))
    return found


def _require_used(query: Query, options: dict[str, Any]) -> None:
    """Raises DanausError `wrong-option` for an option that the query would ignore."""
    if options["count"] is not None and (query.kind != "sample" or options["data"] is not None):
        hint = "one sample completes each row of the data" if query.kind == "sample" else "--count is for samples"
        raise error("wrong-option", f"--count has no part in the query {query.kind} here", hint=hint)
    if options["data"] is not None and query.kind not in (*WITH_DATA, *OPTIONAL_DATA):
        raise error("wrong-option", f"the query {query.kind} takes no data", hint="leave --data out")


def _data(spec: Spec, query: Query, path: Path | None) -> Data | None:
    if query.kind in WITH_DATA and path is None:
        raise error("needs-data", f"the query {query.kind} needs rows of data", hint="give them with --data FILE")
    if path is None:
        return None
    return read_data(path, spec.variables, query.circuits[0].variables)


def write_answer(found: Answer, output: Path | None) -> None:
    """Writes an answer as csv: to a file, or on the output."""
    if found.number is not None:
        text = f"{found.number!r}\n"
        if output is None:
            click.echo(text, nl=False)
        else:
            write_bytes(output, text.encode())
    elif output is None:
        stream = io.StringIO()
        write_columns(stream, found.columns)
        click.echo(stream.getvalue(), nl=False)
    else:
        write_columns(output, found.columns)
