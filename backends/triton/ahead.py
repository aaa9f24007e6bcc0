"""Kernels compiled ahead of time, for GPUs that need not be here.

What enters are kernels as text and GPUs; what leaves is machine code with what its launch hangs on and what it takes of
the GPU. Triton runs in processes beside this one; what is compiled once is kept on disk by content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...ir.diagnostic import DanausError, Diagnostic, error
from ..kept import keep, kept, place_of
from .kernel import Kernel
from .resources import Resources, require_within
from .targets import Gpu

_MAIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from danaus.backends.triton.worker import main; main()"
)
_SETTINGS = ("TRITON_", "MLIR_", "LLVM_", "AMDGCN_", "NVPTX_", "USE_IR_LOC", "DISABLE_")
_FORMAT = 2  # of the cache's files


@dataclass(frozen=True, slots=True)
class Compiled:
    """A kernel's code for a GPU.

    `text` is PTX or AMDGCN, `binary` a cubin or hsaco; `form` is what a launch must know: the name of the entry, bytes
    of shared memory, warps, and the version of Triton that made it.
    """

    kernel: Kernel
    gpu: Gpu
    text: str
    binary: bytes
    form: dict[str, Any]
    resources: Resources


def triton_version() -> str:
    """The version of Triton that is installed.

    Raises: DanausError `missing-package`.
    """
    try:
        if find_spec("triton") is not None:
            return version("triton")
    except PackageNotFoundError:
        pass
    raise error("missing-package", "triton is not installed", hint='pip install "danaus[triton]"')


def compiled(
    kernels: Sequence[Kernel], gpus: Sequence[Gpu], jobs: int | None = None
) -> dict[tuple[str, str], Compiled]:
    """The code of kernels for all of the GPUs, as `compiled_pairs`."""
    return compiled_pairs([(kernel, gpu) for kernel in kernels for gpu in gpus], jobs)


def compiled_pairs(pairs: Sequence[tuple[Kernel, Gpu]], jobs: int | None = None) -> dict[tuple[str, str], Compiled]:
    """The code of each kernel for its GPU, by the kernel's digest and the GPU's name; `jobs` processes at most.

    Raises: DanausError `missing-package`, `unsupported-precision`, `kernel-refused` by Triton, `kernel-too-large` where
        a kernel takes more of a GPU than it has; a diagnostic for each.
    """
    refused = [refusal for kernel, gpu in pairs if (refusal := _unsupported(kernel, gpu))]
    if refused:  # known before anything is compiled
        triton_version()
        raise DanausError(*dict.fromkeys(refused))
    found, wrong = attempted(pairs, jobs)
    if wrong:
        raise DanausError(*wrong)
    return found


def attempted(
    pairs: Sequence[tuple[Kernel, Gpu]], jobs: int | None = None
) -> tuple[dict[tuple[str, str], Compiled], list[Diagnostic]]:
    """The code of those kernels that their GPUs can run, and what is wrong with the others.

    Raises: DanausError `missing-package`.
    """
    using = triton_version()
    wanted = {(kernel.digest, gpu.name): (kernel, gpu) for kernel, gpu in pairs}
    found: dict[tuple[str, str], Compiled] = {}
    waiting: list[tuple[Kernel, Gpu]] = []
    wrong: list[Diagnostic] = []
    for key, (kernel, gpu) in wanted.items():
        held = kept(_place(kernel, gpu, using))
        if refused := _unsupported(kernel, gpu):
            wrong.append(refused)
        elif held is not None:
            found[key] = _read(kernel, gpu, held)
        else:
            waiting.append((kernel, gpu))
    for kernel, gpu, answer in _answers(waiting, jobs or os.cpu_count() or 1):
        if "refused" in answer:
            wrong.append(_refusal(kernel, gpu, answer["refused"]))
            continue
        held = _written(answer)
        keep(_place(kernel, gpu, using), held)
        found[kernel.digest, gpu.name] = _read(kernel, gpu, held)
    for key, each in list(found.items()):
        try:
            require_within(each.kernel.name, each.gpu, each.resources)
        except DanausError as failure:
            wrong += failure.diagnostics
            del found[key]
    return {key: found[key] for key in wanted if key in found}, wrong


def _place(kernel: Kernel, gpu: Gpu, using: str) -> Path:
    key = json.dumps([_FORMAT, kernel.digest, gpu.name, using, _options(kernel, gpu)])
    return place_of("triton", f"{hashlib.sha256(key.encode()).hexdigest()}.bin")


def _options(kernel: Kernel, gpu: Gpu) -> dict[str, Any]:
    """Triton's options; multiplications and additions are fused whatever its version has by default."""
    return {
        "num_warps": kernel.warps,
        "num_stages": kernel.stages,
        "launch_cooperative_grid": kernel.cooperative,
        "enable_fp_fusion": True,
        **({"maxnreg": kernel.registers} if kernel.registers and gpu.backend == "cuda" else {}),
    }


def _unsupported(kernel: Kernel, gpu: Gpu) -> Diagnostic | None:
    """What a kernel asks of products that the GPU has not; Triton would end in an error of its own."""
    asks = [value for _, value in kernel.constants if isinstance(value, str)]
    if gpu.backend == "hip" and ("tf32x3" in asks or '"tf32x3"' in kernel.source):
        message = f"{kernel.name} multiplies in three passes of tf32, which {gpu.name} has not"
        return Diagnostic("unsupported-precision", message, hint="ieee is as exact there, bf16x3 nearly so")
    return None


def _refusal(kernel: Kernel, gpu: Gpu, sentence: str) -> Diagnostic:
    message = f"Triton {triton_version()} does not compile {kernel.name} for {gpu.name}: {sentence}"
    return Diagnostic("kernel-refused", message, hint="danaus compile --emit kernels prints the kernel")


def _written(answer: dict[str, Any]) -> bytes:
    """An answer as the cache has it: the binary after a line that holds the rest."""
    rest = {name: answer[name] for name in ("text", "form", "resources")}
    return json.dumps(rest).encode() + b"\n" + base64.b64decode(answer["binary"])


def _read(kernel: Kernel, gpu: Gpu, held: bytes) -> Compiled:
    line, binary = held.split(b"\n", 1)
    rest = json.loads(line)
    return Compiled(kernel, gpu, rest["text"], binary, rest["form"], Resources(**rest["resources"]))


@dataclass(slots=True)
class _Run:
    """What the threads of one run share; each has a process."""

    waiting: list[tuple[Kernel, Gpu]]
    folder: Path
    answers: list[tuple[Kernel, Gpu, dict[str, Any]]] = field(default_factory=list[tuple[Kernel, Gpu, dict[str, Any]]])
    lock: threading.Lock = field(default_factory=threading.Lock)
    processes: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])
    failure: BaseException | None = None


def _answers(tasks: list[tuple[Kernel, Gpu]], jobs: int) -> list[tuple[Kernel, Gpu, dict[str, Any]]]:
    """What the processes say of each task, in the order of the tasks."""
    if not tasks:
        return []
    with tempfile.TemporaryDirectory(prefix="danaus-") as folder:
        run = _Run(list(reversed(tasks)), Path(folder))
        # Starting costs a second: one process takes three kernels before another is worth it.
        threads = [threading.Thread(target=_serve, args=(run, i)) for i in range(min(jobs, -(-len(tasks) // 3)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for process in run.processes:
                _end(process)
    if run.failure is not None:
        raise run.failure
    order = {(kernel.digest, gpu.name): i for i, (kernel, gpu) in enumerate(tasks)}
    return sorted(run.answers, key=lambda answer: order[answer[0].digest, answer[1].name])


def _serve(run: _Run, number: int) -> None:
    process: subprocess.Popen[str] | None = None
    try:
        while True:
            with run.lock:
                if not run.waiting or run.failure is not None:
                    return
                kernel, gpu = run.waiting.pop()
            if process is None:
                process = _start(run, number)
            answer = _ask(process, _task(kernel, gpu))
            if answer is None:
                answer = {"refused": f"its process ended, with status {process.wait()}"}
                process = None
            with run.lock:
                run.answers.append((kernel, gpu, answer))
    except BaseException as failure:  # raised again by the thread that everybody waits for
        run.failure = failure


def _start(run: _Run, number: int) -> subprocess.Popen[str]:
    place = run.folder / f"{number}-{len(run.processes)}"
    place.mkdir()
    settings = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    settings |= {"TRITON_DISABLE_LINE_INFO": "1", "TRITON_CACHE_DIR": str(place / "cache"), "PYTHONWARNINGS": "ignore"}
    paths = [os.path.abspath(each) for each in sys.path]
    command = [sys.executable, "-P", "-c", _MAIN, json.dumps(paths)]
    process = subprocess.Popen(
        command, cwd=place, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, encoding="utf-8",
    )  # fmt: skip
    with run.lock:
        run.processes.append(process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not read by who is gone
                pipe.close()


def _ask(process: subprocess.Popen[str], task: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a task; None where the process ended over it."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        return None
    answer: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
    return answer


def _task(kernel: Kernel, gpu: Gpu) -> dict[str, Any]:
    return {
        "digest": kernel.digest,
        "name": kernel.name,
        "source": kernel.source,
        "arguments": [[argument.name, argument.type, argument.aligned] for argument in kernel.arguments],
        "constants": dict(kernel.constants),
        "options": _options(kernel, gpu),
        "backend": gpu.backend,
        "architecture": gpu.architecture,
        "warp": gpu.warp,
        "text": gpu.text,
        "binary": gpu.binary,
    }
