"""Code for bundles: objects of a Program for targets by name, and, of a bundle, the engine that runs on this machine.

An object goes with the hash of the text that it was made from. A bundle is used where this Danaus would make the very
same text, so that code never meets tables or records of another version; else the Program is compiled again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache

import llvmlite
import llvmlite.binding as llvm

from ...ir.program.program import Program
from ...runtime.bundle import Bundle, Code
from .batch import Make
from .engine import Engine, texts_of
from .machine import NAMED, Library, Target, compiled, emitted, host, loaded, named, of_x86
from .network import Numeric
from .scalar import Scalar
from .signed import Both, Scalars, Signed, Vectors
from .twofold import Twofold
from .vector import Vector

_LEVELS = {
    "x86-64-v3": "avx avx2 bmi bmi2 f16c fma lzcnt movbe popcnt sse4.2",
    "x86-64-v4": "avx avx2 bmi bmi2 f16c fma lzcnt movbe popcnt sse4.2 avx512f avx512bw avx512cd avx512dq avx512vl",
}


def compiler() -> dict[str, str]:
    """The versions of what makes the code."""
    return {"llvm": ".".join(map(str, llvm.llvm_version_info)), "llvmlite": llvmlite.__version__}


def codes_of(
    program: Program, size: int, numeric: Numeric, names: Sequence[str], signed: bool = False
) -> tuple[Code, ...]:
    """Objects for targets by name, all code that the Program may run; over numbers of both signs if `signed`.

    Raises: DanausError `unknown-target`, `unsupported-cpu`.
    """
    out: list[Code] = []
    for name in dict.fromkeys(names):
        target = named(name)
        texts = texts_of(program, size, numeric, target, signed)
        objects = {_digest(text): emitted(text, target, jit=False) for text in texts}
        out.append(Code(name, target.triple, target.cpu, target.features, objects))
    return tuple(out)


def engine_of(bundle: Bundle, signed: bool = False) -> tuple[Engine | Signed, Callable[[], str]]:
    """The engine of a bundle on this machine, and what says where its code is from: "bundle" or "recompiled".

    Of both `signed` numbers, the bundle is not one of a network in logarithms.

    Raises: DanausError `unsupported-cpu`.
    """
    able = [(code, target) for code in bundle.codes if (target := _target(code)) is not None]
    code, target = max(able, key=lambda pair: pair[1].vector, default=(None, host()))
    objects = {} if code is None else code.objects
    origins: set[str] = set()

    def make(text: str, target: Target) -> Library:
        found = objects.get(_digest(text))
        origins.add("recompiled" if found is None else "bundle")
        return compiled(text, target) if found is None else loaded(found, target)

    def origin() -> str:
        return "recompiled" if "recompiled" in origins or not objects else "bundle"

    if signed:
        return _of_signs(bundle.program, bundle.size, target, make), origin
    if not bundle.program.layouts:
        return Vector(bundle.program, bundle.size, target, make), origin
    if bundle.program.network().sources:
        return Twofold(bundle.program, target, make), origin
    form: Numeric = "log" if bundle.form == "log" else "linear"
    return Scalar(bundle.program, bundle.size, form, target, make), origin


def _of_signs(program: Program, size: int, target: Target, make: Make) -> Signed:
    """The engine of a Program over numbers of both signs."""

    @cache
    def both(size: int) -> Both:
        if program.layouts:
            return Scalars(program, size, target, make)
        return Vectors(program, size, Vector(program, size, target, make), target, make)

    return Signed(size, lambda: both(4) if size == 4 or not program.layouts else None, lambda: both(8))


def _target(code: Code) -> Target | None:
    """The target of an object, where this machine runs it."""
    here = host()
    if _system(code.triple) != _system(here.triple):
        return None
    for name, target in NAMED.items():
        if (code.triple, code.cpu, code.features) == (target.triple, target.cpu, target.features):
            needed = _LEVELS.get(name, "")
            return target if set(needed.split()) <= _features(here.features) else None
    own = _features(code.features)
    if not own <= _features(here.features):
        return None
    if _system(code.triple)[0] == "aarch64":
        return Target(code.triple, code.cpu, code.features, 16, 32)
    return of_x86(code.triple, code.cpu, code.features, own)


def _features(flat: str) -> set[str]:
    """What a processor has, of `+avx2,-avx512f,…`."""
    return {each[1:] for each in flat.split(",") if each.startswith("+")}


def _system(triple: str) -> tuple[str, str]:
    """The instruction set of a triple, and the kind of its object files."""
    machine = triple.split("-")[0]
    forms = {"darwin": "macho", "macos": "macho", "windows": "coff"}
    form = next((form for word, form in forms.items() if word in triple), "elf")
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine), form


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
