"""`danaus.compile` and `danaus.load_bundle`: circuits and bundles to what runs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from .arguments import wants
from .backends.triton.policy import Precision, precision_named
from .compiler.compile import compile as compile_circuit
from .compiler.compile_spec import compile_spec
from .frontend.spec import Spec
from .ir.circuit import Circuit
from .ir.diagnostic import error, placed
from .ir.span import caller

if TYPE_CHECKING:
    from .runtime.bundled import Bundled
    from .runtime.collection import Collection, Loaded
    from .runtime.executable import Executable


@overload
def compile(
    target: Circuit, device: str = ..., dtype: str = ..., precision: str | None = ..., tune: bool = ...
) -> Executable: ...
@overload
def compile(
    target: Spec, device: str = ..., dtype: str = ..., precision: str | None = ..., tune: bool = ...
) -> Collection: ...
def compile(
    target: Circuit | Spec,
    device: str = "cpu",
    dtype: str = "float32",
    precision: str | None = None,
    tune: bool = False,
) -> Executable | Collection:
    """A circuit compiled to native code: a `torch.nn.Module` with `log_likelihood`, `marginal` and the other queries.

    Of a spec, all its circuits, by name (`model["p"]`), and its queries: `model.run("name", x)`.

    `dtype` is "float32" or "float64": the numbers that it computes with; answers are float64. `device` is "cpu", or a
    GPU such as "cuda", for which Triton makes the kernels, in float32; `precision` then says how its tensor cores
    multiply: "bf16x3" if not given, "tf32x3", "tf32", "bf16", or "ieee", which is float32 without tensor cores. With
    `tune`, tiles of its kernels are measured when a size of batches first comes, and kept on disk.

    >>> from danaus import parse
    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }").circuit
    >>> compile(p).log_likelihood([[0], [1]]).exp()
    tensor([0.7500, 0.2500], dtype=torch.float64)

    Raises: DanausError `missing-package` without torch and llvmlite, or Triton, `unknown-device`, `no-device`,
    `unknown-type`, `unknown-precision`, `wrong-option`, `not-on-device`.
    """
    wants((Circuit, Spec), "a circuit or a spec", target)
    wants(str, "a name", device, dtype)
    wants(bool, "true or false", tune)
    if tune and device == "cpu":
        raise error("wrong-option", "tuning is for GPUs", caller(), hint='device="cuda"')
    if dtype not in ("float32", "float64"):
        raise error("unknown-type", f'there is no type "{dtype}"', caller(), hint="there are float32 and float64")
    numbers: Literal["float32", "float64"] = "float32" if dtype == "float32" else "float64"
    mode = _precision(precision, device)
    if device != "cpu" and numbers == "float64":
        raise error("unknown-type", "kernels for GPUs compute in float32", caller(), hint='dtype="float32"')
    if isinstance(target, Spec):
        return compile_spec(target, numbers, device, mode, tune)
    return compile_circuit(target, numbers, device, mode, tune)


def _precision(name: str | None, device: str) -> Precision | None:
    """How a GPU multiplies, by name."""
    if name is None:
        return None
    wants(str, "a name", name)
    if device == "cpu":
        raise error("unknown-precision", "precision is for GPUs; on the CPU it is dtype", caller())
    with placed(caller()):
        return precision_named(name)


def load_bundle(path: str | Path, device: str = "cpu") -> Bundled | Loaded:
    """A compiled circuit that `model.save` or `danaus compile -o` wrote: `log_likelihood`, `marginal`, `partition`.

    Of several, all circuits by name (`loaded["p"]`), and their queries: `loaded.run("name", x)`.

    It needs neither the circuit nor the compiler. Every file is checked against its hash. Code for another processor,
    or from another version of Danaus, is made again from the Program. A bundle holds machine code: load only what comes
    from where you trust.

    On a `device` such as "cuda" it runs the machine code that the bundle has for it, through the driver: neither Triton
    nor a compiler is needed there.

    Raises: DanausError `unreadable-file`, `damaged-bundle`, `bundle-version`, `missing-package`, `unsupported-cpu`; for
    a GPU `unknown-device`, `no-device`, `no-driver`, `wrong-device`, `not-in-bundle` without code for it.
    """
    wants((str, Path), "a path", path)
    wants(str, "a name", device)
    from .bundles import load

    return load(Path(path), device)
