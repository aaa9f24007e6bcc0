"""`danaus compile`: a bundle, or a stage of the line as text."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..backends.triton.policy import precision_named
from ..backends.triton.targets import is_gpu
from ..compiler.able import Type, packages
from ..compiler.bundling import kernels_of, report_of
from ..compiler.compile_spec import asked_of, bundle_of_spec
from ..compiler.driver import syntax
from ..compiler.judge import judge
from ..compiler.needs import require
from ..compiler.pipeline import program_of
from ..frontend.print_syntax import print_syntax
from ..frontend.spec import Spec
from ..ir.circuit import Circuit
from ..ir.diagnostic import DanausError, DanausWarning, Diagnostic, error, nearest
from ..ir.printer import print_circuit
from ..ir.program.text import text
from ..runtime.package import require_place
from .options import read_spec, say, working


def run(file: Path, **options: Any) -> int:
    """Prints the stage that `--emit` names, or writes the bundle."""
    if options["emit"] == "syntax":
        click.echo(print_syntax(syntax(file)), nl=False)
        return 0
    spec = read_spec(file, options)
    circuits = _chosen(spec, options["circuit"])
    dtype: Type = "float64" if options["dtype"] == "float64" else "float32"
    targets: tuple[str, ...] = options["target"] or ("cpu",)
    queries = _queries(options["queries"], targets)
    tune = _tuned(options["tune"], targets)
    precision = _precision(options["precision"], targets)
    match options["emit"]:
        case "circuit":
            status = _judged(spec)
            if status < 2:
                _print(print_circuit(circuit) for circuit in circuits)
            return status
        case "program":
            _print(_named(circuit, text(program_of(circuit)), "#") for circuit in circuits)
            return 0
        case "kernels":
            for target in targets:
                sign = "#" if is_gpu(target) else ";"
                _print(
                    _named(circuit, kernels_of(circuit, dtype, target, kinds, tune, precision), sign)
                    for circuit in circuits
                    for kinds in [_kinds(spec, circuit, queries)]
                )
            return 0
        case _:
            if options["report"]:
                kinds = [_kinds(spec, circuit, queries) for circuit in circuits]
                _report(circuits, kinds, dtype, targets, options["batch"] or 1024, tune, precision)
                if options["output"] is None:
                    return 0
            elif options["batch"] is not None:
                raise error(
                    "wrong-option", "--batch has no part without --report", hint="add --report, or leave it out"
                )
            return _bundle(spec, options["circuit"], dtype, targets, queries, tune, precision, options["output"])


def _queries(text: str | None, targets: tuple[str, ...]) -> tuple[str, ...] | None:
    """The kinds of `--queries`; None where they are the file's.

    Raises: DanausError `wrong-option` without a GPU, `unknown-query`.
    """
    if text is None:
        return None
    if not any(map(is_gpu, targets)):
        hint = "a CPU answers every query; name a GPU with --target, such as cuda:sm_90"
        raise error("wrong-option", "--queries is on kernels for GPUs", hint=hint)
    with packages():
        from ..backends.triton.answering import answering
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    answering(kinds)
    return kinds


def _tuned(tune: bool, targets: tuple[str, ...]) -> bool:
    """Whether tiles are tried.

    Raises: DanausError `wrong-option` without a GPU.
    """
    if tune and not any(map(is_gpu, targets)):
        hint = "name a GPU with --target, such as cuda:sm_90"
        raise error("wrong-option", "--tune is on kernels for GPUs", hint=hint)
    return tune


def _precision(name: str | None, targets: tuple[str, ...]) -> str | None:
    """How GPUs multiply; None where none is named.

    Raises: DanausError `wrong-option` without a GPU, `unknown-precision`.
    """
    if name is None:
        return None
    if not any(map(is_gpu, targets)):
        hint = "on a CPU it is --dtype; name a GPU with --target, such as cuda:sm_90"
        raise error("wrong-option", "--precision is on kernels for GPUs", hint=hint)
    return precision_named(name)


def _kinds(spec: Spec, circuit: Circuit, queries: tuple[str, ...] | None) -> Sequence[str]:
    """What kernels of a circuit are to answer: what is named, or what the file asks of it."""
    if queries is not None:
        return queries
    return [kind for name, own in spec.circuits.items() if own is circuit for kind in asked_of(spec, name)]


def _report(
    circuits: Iterable[Circuit],
    kinds: Iterable[Sequence[str]],
    dtype: Type,
    targets: tuple[str, ...],
    rows: int,
    tune: bool,
    precision: str | None,
) -> None:
    gpus = [target for target in targets if is_gpu(target)]
    if not gpus:
        raise error(
            "wrong-option", "--report is on kernels for GPUs", hint="name one with --target, such as cuda:sm_90"
        )
    for circuit, own in zip(circuits, kinds, strict=True):
        with working(f"compiling {circuit.name}"):
            found = report_of(circuit, dtype, gpus, rows, own, tune, precision)
        _print([_named(circuit, found, "#")])


def _bundle(
    spec: Spec,
    only: str | None,
    dtype: Type,
    targets: tuple[str, ...],
    queries: tuple[str, ...] | None,
    tune: bool,
    precision: str | None,
    output: Path | None,
) -> int:
    if output is None:
        raise error("wrong-option", "there is nothing to do", hint="-o BUNDLE writes a bundle; --emit prints a stage")
    require_place(output)
    status = _judged(spec)
    if status:
        return status
    with warnings.catch_warnings(record=True) as caught, working(f"compiling {only or spec.name}"):
        warnings.simplefilter("always", DanausWarning)
        bundle, left_out = bundle_of_spec(spec, only, dtype, targets, queries, tune, precision)
    for sentence in (*left_out, *(str(each.message) for each in caught if each.category is DanausWarning)):
        say(Diagnostic("not-in-bundle", sentence, severity="warning"))
    from ..runtime.bundle import save_bundle

    save_bundle(bundle, output)
    return 0


def _chosen(spec: Spec, name: str | None) -> list[Circuit]:
    """The circuits of a spec, or the one that is named."""
    if name is None:
        return list(spec.circuits.values())
    if name not in spec.circuits:
        hint = nearest(name, spec.circuits) or f"its circuits are {', '.join(spec.circuits)}"
        raise error("unknown-circuit", f'{spec.name} has no circuit "{name}"', hint=hint)
    return [spec.circuits[name]]


def _judged(spec: Spec) -> int:
    """The exit status that the spec's queries and assertions ask for, and what is said of them."""
    found: list[Diagnostic] = []
    for query in spec.queries.values():
        try:
            require(query)
        except DanausError as failure:
            found += failure.diagnostics
    verdicts = [verdict.diagnostic for verdict in judge(spec)]
    failing = [diagnostic for diagnostic in verdicts if diagnostic is not None]
    for diagnostic in (*found, *failing):
        say(diagnostic)
    return 2 if found else 1 if failing else 0


def _named(circuit: Circuit, written: str, sign: str) -> str:
    return f"{sign} circuit {circuit.name}\n{written}"


def _print(texts: Iterable[str]) -> None:
    click.echo("\n".join(each.rstrip() + "\n" for each in texts), nl=False)
