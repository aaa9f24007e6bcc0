"""LLVM's code generator: from text to native code in this process, or to an object for another machine.

What is compiled once is kept on disk by content (text, target and version of LLVM), and loads in a millisecond.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from ...ir.diagnostic import error, nearest
from ..kept import keep, kept, place_of
from .vectors import Vectors


@dataclass(frozen=True, slots=True)
class Target:
    """A processor that code is generated for."""

    triple: str
    cpu: str
    features: str
    vector: int
    registers: int

    def vectors(self, size: int) -> Vectors:
        """Vectors of numbers of so many bytes."""
        return Vectors(size, self.vector // size, self.registers)


@functools.cache
def _ready() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@functools.cache
def host() -> Target:
    """The processor of this machine.

    Raises: DanausError `unsupported-cpu` where it has no fused multiply-add.
    """
    _ready()
    features = llvm.get_host_cpu_features()
    name, triple = llvm.get_host_cpu_name(), llvm.get_process_triple()
    if platform.machine().lower() in ("aarch64", "arm64"):
        return Target(triple, name, features.flatten(), 16, 32)
    if not features.get("fma") or not features.get("avx2"):
        raise error(
            "unsupported-cpu",
            f"this processor ({name}) has no AVX2 with fused multiply-add",
            hint="danaus.evaluate answers the same queries without compiling",
        )
    return of_x86(triple, name, features.flatten(), {each for each, there in features.items() if there})


def of_x86(triple: str, cpu: str, flat: str, features: set[str]) -> Target:
    """The target of a processor with these features: vectors of 64 bytes where it has all of AVX-512 that is used."""
    wide = {"avx512f", "avx512vl", "avx512dq"} <= features
    return Target(triple, cpu, flat, 64 if wide else 32, 32 if wide else 16)


NAMED = {
    "x86-64-v3": Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 32, 16),
    "x86-64-v4": Target("x86_64-unknown-linux-gnu", "x86-64-v4", "", 64, 32),
    "aarch64": Target("aarch64-unknown-linux-gnu", "generic", "", 16, 32),
}
"""Targets by the name that `--target cpu:NAME` takes."""


def named(name: str) -> Target:
    """The target of a name, as `--target` takes it: cpu, this machine's processor, or cpu:NAME.

    Raises: DanausError `unknown-target`.
    """
    if name == "cpu":
        return host()
    found = NAMED.get(name.removeprefix("cpu:")) if name.startswith("cpu:") else None
    if found is None:
        known = ["cpu", *(f"cpu:{each}" for each in NAMED)]
        hint = nearest(name, known) or f"processors are {', '.join(known)}; GPUs begin with cuda: or hip:"
        raise error("unknown-target", f'there is no target "{name}"', hint=hint)
    return found


@dataclass(frozen=True, slots=True)
class Library:
    """Compiled functions; they live as long as this does. `engine` waits for their code where it is being made."""

    engine: Callable[[], Any]
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])

    def call(self, name: str, *kinds: type[Any]) -> Callable[..., Any]:
        """The function of a name, which takes arguments of these ctypes; looked up when it is first called."""

        def function(*given: Any) -> Any:
            if name not in self.functions:
                address = self.engine().get_function_address(name)
                self.functions[name] = ctypes.CFUNCTYPE(None, *kinds)(address)
            return self.functions[name](*given)

        return function

    def address(self, name: str) -> int:
        """Where the function of a name begins, for code that calls it."""
        place: int = self.engine().get_function_address(name)
        return place

    def wait(self) -> None:
        """Returns when the code is there; raises what its making has raised."""
        self.engine()


def compiled(text: str, target: Target | None = None, passes: bool = False) -> Library:
    """The code of a module for this machine, from the cache where it stands there; `passes` vectorises its loops."""
    target = target or host()
    place = _place(text, target, passes)
    code = kept(place)
    return loaded(_made(text, target, place, passes) if code is None else code, target)


def compiled_meanwhile(text: str, target: Target, passes: bool = False) -> Library:
    """As `compiled`, but what is not in the cache is made in a thread, while whoever asked does something else."""
    place = _place(text, target, passes)
    code = kept(place)
    if code is not None:
        return loaded(code, target)
    coming: Future[Library] = Future()

    def work() -> None:
        try:
            coming.set_result(loaded(_made(text, target, place, passes), target))
        except Exception as failure:  # raised where the code is waited for
            coming.set_exception(failure)

    threading.Thread(target=work, name="danaus-compiler").start()
    return Library(lambda: coming.result().engine())


def _place(text: str, target: Target, passes: bool) -> Path:
    return place_of("cpu", f"{_digest(text, target, passes)}.o")


def _made(text: str, target: Target, place: Path, passes: bool) -> bytes:
    code = emitted(text, target, passes=passes)
    keep(place, code)
    return code


def loaded(code: bytes, target: Target | None = None) -> Library:
    """The functions of an object for this machine."""
    target = target or host()
    _ready()
    empty = llvm.parse_assembly("")
    machine = _machine(target, jit=True)
    empty.triple = machine.triple
    engine = llvm.create_mcjit_compiler(empty, machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Library(lambda: engine)


def emitted(text: str, target: Target, jit: bool = True, passes: bool = False) -> bytes:
    """The object file of a module for a target; `passes` runs LLVM's, where loops are plain."""
    machine, parsed = _machine(target, jit), _parsed(text, target, jit)
    if passes:
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
    code: bytes = machine.emit_object(parsed)
    return code


def assembly(text: str, target: Target | None = None) -> str:
    """What the code generator writes, to read."""
    target = target or host()
    written: str = _machine(target, True).emit_assembly(_parsed(text, target, True))
    return written


def _parsed(text: str, target: Target, jit: bool) -> Any:
    _ready()
    module = llvm.parse_assembly(text)
    machine = _machine(target, jit)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    return module


def _machine(target: Target, jit: bool) -> Any:
    _ready()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=3,
        reloc="pic",
        codemodel="jitdefault" if jit else "default",
        jit=jit,
    )


def _digest(text: str, target: Target, passes: bool) -> str:
    parts = (
        text,
        str(passes),
        target.triple,
        target.cpu,
        target.features,
        llvmlite.__version__,
        str(llvm.llvm_version_info),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
