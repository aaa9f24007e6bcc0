"""`danaus fit`: a circuit's parameters from data, to a file that `--params` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from ..fitting import Learning, learned
from ..frontend.spec import Spec
from ..frontend.tensors import write_tensors
from ..ir.circuit import Circuit
from ..ir.data import Data, read_data
from ..ir.diagnostic import error, nearest
from ..progress import shown
from .options import read_spec, working


def run(file: Path, **options: Any) -> int:
    """Learns a circuit of a file; an interruption leaves the checkpoint, and the status 130."""
    output, checkpoint = _paths(options)
    spec = read_spec(file, options)
    circuit = _chosen(spec, options["circuit"])
    with working("reading data"):
        train = _rows(spec, circuit, options["data"])
        valid = None if options["valid"] is None else _rows(spec, circuit, options["valid"])
        test = None if options["test"] is None else _rows(spec, circuit, options["test"])
    names = (
        "method",
        "epochs",
        "batch",
        "step",
        "momentum",
        "tolerance",
        "patience",
        "pseudocount",
        "seed",
        "dtype",
        "device",
    )
    chosen = {name: options[name] for name in names}
    if options["resume"] and not checkpoint.exists() and not options["quiet"]:
        click.echo(f"note: there is no {checkpoint} to resume from; learning begins", err=True)
    done = 0
    with shown(options["epochs"], not options["quiet"]) as show:

        def progress(epoch: Any) -> None:
            nonlocal done
            done = epoch.epoch
            if show is not None:
                show(epoch)

        held = None if valid is None else (valid.values, valid.observed)
        learning = Learning(chosen, checkpoint, options["resume"], progress)
        try:
            found = learned(circuit, (train.values, train.observed), held, learning)
        except KeyboardInterrupt:
            said = f"interrupted after {done} epochs; {checkpoint} holds them: go on with --resume"
            click.echo(said if checkpoint.exists() else "interrupted before learning began", err=True)
            return 130
    store = found.circuit.store
    known = {parameter: name for name, parameter in spec.parameters.items()}
    learnt = {known.get(each, each.name): store[each].floats for each in circuit.parameters if each.learnable}
    write_tensors(output, learnt)
    if not options["quiet"]:
        click.echo(_summary(found, test), nl=False)
    return 0


def _paths(options: dict[str, Any]) -> tuple[Path, Path]:
    """Where the parameters and the checkpoint go.

    Raises: DanausError `needs-data`, `wrong-option`, `unknown-format`, `unwritable-file`: before any work is done.
    """
    if options["data"] is None:
        raise error("needs-data", "fit needs rows to learn from", hint="give them with --data FILE")
    if options["output"] is None:
        raise error("wrong-option", "there is no place for what is learnt", hint="-o PARAMS.safetensors writes it")
    output: Path = options["output"]
    checkpoint: Path = options["checkpoint"] or output.with_suffix(".checkpoint.safetensors")
    for path in (output, checkpoint):
        if path.suffix != ".safetensors":
            hint = "parameters and checkpoints are .safetensors files"
            raise error("unknown-format", f"{path} has not the suffix .safetensors", hint=hint)
        if not path.parent.is_dir():
            raise error("unwritable-file", f"{path} cannot be written: there is no folder {path.parent}")
    if output.resolve() == checkpoint.resolve():
        raise error("wrong-option", f"{output} cannot be both the checkpoint and what is learnt")
    return output, checkpoint


def _chosen(spec: Spec, name: str | None) -> Circuit:
    if name is None:
        if len(spec.circuits) > 1:
            names = ", ".join(spec.circuits)
            raise error(
                "ambiguous", f"{spec.name} has several circuits: {names}", hint="choose one with --circuit NAME"
            )
        return spec.circuit
    if name not in spec.circuits:
        hint = nearest(name, spec.circuits) or f"its circuits are {', '.join(spec.circuits) or 'none'}"
        raise error("unknown-circuit", f'{spec.name} has no circuit "{name}"', hint=hint)
    return spec.circuits[name]


def _rows(spec: Spec, circuit: Circuit, path: Path) -> Data:
    found = read_data(path, spec.variables, circuit.variables)
    if not found.rows:
        raise error("no-data", f"{path} has no rows")
    return found


def _summary(found: Any, test: Data | None) -> str:
    """How it ended, and the mean log-likelihoods of the parameters that were kept."""
    best, last = found.best, found.history[-1]
    reason = {"epochs": "all used", "converged": "converged", "patience": "nothing better came"}[found.ended]
    lines = [
        f"{found.circuit.name}: {last.epoch} epochs of {found.method}, {reason}; kept: epoch {best.epoch}",
        "mean log-likelihood per row:",
        f"  train {best.train:.6f}",
    ]
    if best.valid is not None:
        lines.append(f"  valid {best.valid:.6f}")
    if test is not None:
        mean = float(np.mean(found.model.log_rows(test.values, test.observed))) - found.mass
        lines.append(f"  test  {mean:.6f}")
    return "\n".join(lines) + "\n"
