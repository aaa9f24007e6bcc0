"""`danaus.fit`: rows and a circuit to learnt parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import wants, wants_circuit
from .compiler.compile import compile
from .compiler.needs import require
from .frontend.spec import Query
from .ir.circuit import Circuit
from .ir.data import validate_array
from .ir.diagnostic import error, nearest
from .ir.span import caller
from .progress import shown

if TYPE_CHECKING:
    from .runtime.learning.result import Epoch, Fitted

Rows = tuple[NDArray[np.float64], NDArray[np.bool_]]

METHODS = ("em", "minibatch-em", "adam")


def fit(
    circuit: Circuit,
    train: ArrayLike,
    valid: ArrayLike | None = None,
    method: str = "em",
    *,
    epochs: int = 100,
    batch: int = 256,
    step: float | None = None,
    momentum: float = 0.0,
    tolerance: float = 1e-6,
    patience: int = 5,
    pseudocount: float = 0.0,
    seed: int = 0,
    dtype: str | None = None,
    device: str = "cpu",
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool | Callable[[Epoch], None] = False,
) -> Fitted:
    """Learns a circuit's parameters from rows [batch, variables]: a result with `model`, `circuit` and `history`.

    NaN is missing, and summed out. `method` is "em", "minibatch-em" or "adam"; `step` is α of mini-batch EM (0.4) or
    Adam's rate (0.05); `momentum` is how much of earlier batches' counts mini-batch EM keeps. It ends after `epochs`,
    when EM gains less than `tolerance` nats per row, or when `patience` epochs have brought no better mean of the
    held-out rows; the best parameters are kept.

    `dtype` is that of the code, float64 unless set; on a GPU, such as the `device` "cuda", it is float32. There the
    parameters stay between the steps of EM, where all that learn are rows of weights or of categorical inputs.

    `checkpoint` is a .safetensors file that is written while it learns, and from which `resume=True` goes on, bit for
    bit as if it had never stopped; without such a file it begins. `progress` shows the epochs, or is called with each.

    Raises: DanausError `nothing-to-learn`, `no-data`, `impossible-row`, `no-closed-form`, `not-normalised`,
    `wrong-value` for an option, `unknown-format` for a checkpoint's name, `damaged-checkpoint`, `other-checkpoint`,
    and what `compile` raises.
    """
    wants_circuit(circuit)
    wants((str, Path), "a path", "" if checkpoint is None else checkpoint)
    if resume and checkpoint is None:
        raise error("wrong-arguments", "resume=True goes on from a checkpoint, and none is named", caller())
    if checkpoint is not None and Path(checkpoint).suffix != ".safetensors":  # else a spec may be written over
        hint = "a checkpoint is a .safetensors file"
        raise error("unknown-format", f"{checkpoint} has not the suffix .safetensors", caller(), hint=hint)
    rows = validate_array(train, circuit.variables, None, missing="nan")
    held = None if valid is None else validate_array(valid, circuit.variables, None, missing="nan")
    options = {
        "method": method,
        "epochs": epochs,
        "batch": batch,
        "step": step,
        "momentum": momentum,
        "tolerance": tolerance,
        "patience": patience,
        "pseudocount": pseudocount,
        "seed": seed,
        "dtype": dtype,
        "device": device,
    }
    options = {name: given.item() if isinstance(given, np.generic) else given for name, given in options.items()}
    path = None if checkpoint is None else Path(checkpoint)
    if not isinstance(progress, bool):
        return learned(circuit, rows, held, Learning(options, path, resume, progress))
    with shown(epochs, progress) as show:
        return learned(circuit, rows, held, Learning(options, path, resume, show))


@dataclass(frozen=True, slots=True)
class Learning:
    """How to learn: options by name, the checkpoint, whether to go on from it, and what is told of each epoch."""

    options: Mapping[str, Any]
    checkpoint: Path | None = None
    resume: bool = False
    progress: Callable[[Epoch], None] | None = None


def learned(circuit: Circuit, rows: Rows, held: Rows | None, how: Learning) -> Fitted:
    """Learns from rows that are checked, with the masks of what is observed.

    Raises: DanausError, as `fit`.
    """
    method, dtype, device = (how.options[name] for name in ("method", "dtype", "device"))
    if method not in METHODS:
        hint = nearest(str(method), METHODS) or 'there are "em", "minibatch-em" and "adam"'
        raise error("unknown-method", f'there is no method "{method}"', caller(), hint=hint)
    wants(str, "a name", device)
    if dtype is None:
        dtype = "float64" if device == "cpu" else "float32"
    if dtype not in ("float32", "float64"):
        raise error("unknown-type", f'there is no type "{dtype}"', caller(), hint="there are float32 and float64")
    if device != "cpu" and dtype == "float64":
        raise error("unknown-type", "kernels for GPUs compute in float32", hint="leave dtype out")
    require(Query("marginal", "marginal", (circuit,), span=caller()))
    model = compile(circuit, "float32" if dtype == "float32" else "float64", device)
    from .runtime.learning.options import Options
    from .runtime.learning.trainer import train

    return train(
        model, rows, held, Options(**{**how.options, "dtype": dtype}), how.checkpoint, how.resume, how.progress
    )
