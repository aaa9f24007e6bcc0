"""A process that compiles kernels for another: tasks as lines of JSON on its input, answers as lines on its output.

It is a process of its own because Triton ends the process that it fails in badly, reads its settings from the
environment, and imports kernels as modules from files. It stands in a folder that is empty but for them, under names
without a place, so that no path of this machine can reach the code.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .resources import of_cuda, of_hip

KEPT = (
    "shared",
    "num_warps",
    "num_ctas",
    "launch_cooperative_grid",
    "launch_pdl",
    "global_scratch_size",
    "profile_scratch_size",
    "tmem_size",
)
"""What is taken over of Triton's metadata, which also hold paths of this machine."""

REGISTERS = 1 << 16
"""A processor of NVIDIA's GPUs has so many, for all threads of a program."""


def main() -> None:
    """Answers until the input ends; what Triton prints on the way goes to the errors, not among the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        try:
            answer = _compiled(json.loads(line))
        except Exception as failure:  # of any kind, of Triton, and told to who asked
            answer = {"refused": _sentence(failure)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _compiled(task: dict[str, Any]) -> dict[str, Any]:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = f"kernel_{task['digest'][:16]}"
    Path(f"{module}.py").write_text(task["source"], encoding="utf-8")
    importlib.invalidate_caches()
    function = getattr(importlib.import_module(module), task["name"])
    signature = {name: kind for name, kind, _ in task["arguments"]} | {name: "constexpr" for name in task["constants"]}
    aligned = {(i,): [["tt.divisibility", 16]] for i, (_, _, aligned) in enumerate(task["arguments"]) if aligned}
    source = ASTSource(fn=function, signature=signature, constexprs=task["constants"], attrs=aligned)
    target = GPUTarget(task["backend"], task["architecture"], task["warp"])
    made, answer = _once(task, lambda options: triton.compile(source, target=target, options=options))
    answer["form"] |= {"name": made.metadata.name, "warp_size": task["warp"], "triton": triton.__version__}
    return answer


def _once(task: dict[str, Any], compiled: Callable[[dict[str, Any]], Any]) -> tuple[Any, dict[str, Any]]:
    """What Triton makes of a task; of what spills, the first of other ways that spills least.

    Where ptxas spills a few bytes so that registers are few and more programs fit on a processor, it is told to take as
    many as there are. On AMD's GPUs other numbers of warps share a tile otherwise; the loader launches what was made.
    """
    made = compiled(task["options"])
    found = _answer(task, made)
    for more in _others(task, found["resources"]["threads"]):
        if not found["resources"]["spilled"]:
            break
        other = compiled(task["options"] | more)
        again = _answer(task, other)
        if again["resources"]["spilled"] < found["resources"]["spilled"]:
            made, found = other, again
    return made, found


def _others(task: dict[str, Any], threads: int) -> list[dict[str, int]]:
    """Options to try where something spills."""
    if task["backend"] == "cuda":
        return [{"maxnreg": min(255, REGISTERS // threads // 8 * 8)}]
    warps = threads // task["warp"]
    return [{"num_warps": each} for each in (2 * warps, warps // 2) if 1 <= each <= 16]


def _answer(task: dict[str, Any], made: Any) -> dict[str, Any]:
    form = {name: getattr(made.metadata, name, 0) or 0 for name in KEPT}
    if getattr(made.metadata, "tensordesc_meta", None):
        raise ValueError("descriptors of tensors, which the loader does not make")
    threads = form["num_warps"] * task["warp"]
    text, binary = made.asm[task["text"]], made.asm[task["binary"]]
    if task["backend"] == "cuda":
        taken = of_cuda(text, _usage(binary), form["shared"], form["tmem_size"], threads)
    else:
        taken = of_hip(text, form["shared"], threads)
    return {"text": text, "binary": base64.b64encode(binary).decode(), "form": form, "resources": asdict(taken)}


def _usage(cubin: bytes) -> str:
    """What `cuobjdump`, which is part of Triton, says of a cubin's registers and stack."""
    import triton.backends.nvidia

    tool = Path(triton.backends.nvidia.__path__[0]) / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin", dir=".") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout


def _sentence(failure: BaseException) -> str:
    """What is wrong in a line: of the failure behind all others, the last line, after the code that Triton shows."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    lines = [line.strip() for line in str(failure).splitlines() if line.strip(" ^")]
    return f"{type(failure).__name__}: {lines[-1]}" if lines else type(failure).__name__
