"""`danaus check`: every assert, every circuit's properties, and what else the files get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..checking.baseline import baseline_text
from ..checking.formats.format import formatted
from ..checking.run import Choices, check
from ..ir.diagnostic import error

_READING = ("init_seed", "params", "variables", "vtree", "evidence", "memory", "verify")


def run(files: tuple[Path, ...], **options: Any) -> int:
    """Checks files and reports; gives the largest of their exit statuses."""
    record: Path | None = options["write_baseline"]
    if options["baseline"] is not None and record is not None:
        raise error("wrong-option", "it is either --baseline or --write-baseline")
    choices = Choices(
        required=tuple(name.strip() for name in options["require"].split(",") if name.strip()),
        options={name: _plain(options.get(name)) for name in _READING},
        jobs=options["jobs"],
        cached=not options["no_cache"],
        cache=options["cache_dir"],
        baseline=options["baseline"],
        against_baseline=record is None,
    )
    outcome = check(files, choices)
    if record is not None:
        _write(record, baseline_text(record, outcome.reports))
        click.echo(outcome.summary)
        return 0
    text = formatted(outcome, options["form"])
    if options["output"] is None:
        click.echo(text, nl=False)
    else:
        _write(options["output"], text)
    if options["output"] is not None or options["form"] not in ("text", "github"):
        for line in outcome.mended_lines:
            click.echo(line, err=True)
    return outcome.status


def _plain(value: object) -> str | int | float | None:
    return str(value) if isinstance(value, Path) else value if isinstance(value, int | float) else None


def _write(path: Path, text: str) -> None:
    from ..ir.data.container import write_bytes  # it imports numpy, which a report on the output does without

    write_bytes(path, text.encode("utf-8", "surrogateescape"))
