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
from .spills import Options, least_spilled, others

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
    """What Triton makes of a task; of what spills, the first of other ways that spills least (spills.py). The loader
    launches what was made."""

    def made(more: Options) -> tuple[Any, dict[str, Any]]:
        found = compiled(task["options"] | more)
        return found, _answer(task, found)

    def spilled(found: tuple[Any, dict[str, Any]]) -> int:
        return int(found[1]["resources"]["spilled"])

    def tried(more: Options) -> tuple[Any, dict[str, Any]] | None:
        try:
            return made(more)
        except Exception:  # of any kind, of Triton: the kernel stays as it was
            return None

    first = made({})
    threads = first[1]["resources"]["threads"]
    return least_spilled(first, spilled, others(task["backend"], task["warp"], threads), tried)[0]


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
