"""Kernels for GPUs as a bundle holds them: their text, the machine code for each target, and what a launch must know.

What enters is code made ahead of time; what leaves are files by name and what the manifest says of them, and from these
the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TILES = 5  # numbers that say what tiles a kernel has

_SUFFIXES = {"cuda": ("ptx", "cubin"), "hip": ("amdgcn", "hsaco")}


@dataclass(frozen=True, slots=True)
class DeviceKernel:
    """One kernel for one target.

    `digest` is of all that compiling it hangs on: `source`, a Triton module, with the name, type and alignment of each
    argument, the values of `constants` (its tiles among them), warps and stages. `text` is PTX or AMDGCN, `binary` a
    cubin or hsaco; `form` and `resources` are what its launch must know, and what it takes of the GPU.
    """

    name: str
    digest: str
    source: str
    arguments: tuple[tuple[str, str, bool], ...]
    constants: tuple[tuple[str, int | float | bool | str], ...]
    warps: int
    stages: int
    cooperative: bool
    text: str
    binary: bytes
    form: Mapping[str, Any]
    resources: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """The kernels of a circuit for one target: `launches` says how many there are, by the rows of a batch that
    stand for its class.

    `precision` is how they multiply, `triton` the version that made them, `answers` what they are for: "likelihood",
    and "flows", "sample", "map", "evidence", "hamming" where these were asked for. `tiles` are those
    that were found by tuning, by the rows that stand for a class and the digest of the kernel that has others: rows,
    inner columns, batch, warps, stages.
    """

    target: str
    precision: str
    triton: str
    launches: Mapping[int, int]
    kernels: tuple[DeviceKernel, ...]
    answers: tuple[str, ...] = ("likelihood",)
    tiles: Mapping[int, Mapping[str, tuple[int, ...]]] = field(default_factory=dict[int, Mapping[str, tuple[int, ...]]])


def device_written(code: DeviceCode, folder: str, files: dict[str, bytes]) -> dict[str, Any]:
    """What the manifest says of the kernels for a target; their files are added to the others."""
    text, binary = _SUFFIXES[code.target.partition(":")[0]]
    kernels: list[dict[str, Any]] = []
    for number, kernel in enumerate(code.kernels):
        place = f"kernels/{code.target.replace(':', '-')}/{folder}{kernel.name}-{number}"
        contents = {"py": kernel.source.encode(), text: kernel.text.encode(), binary: kernel.binary}
        files |= {f"{place}.{suffix}": content for suffix, content in contents.items()}
        kernels.append(
            {
                "name": kernel.name,
                "digest": kernel.digest,
                "source": f"{place}.py",
                "text": f"{place}.{text}",
                "binary": f"{place}.{binary}",
                "arguments": [list(argument) for argument in kernel.arguments],
                "constants": [list(constant) for constant in kernel.constants],
                "warps": kernel.warps,
                "stages": kernel.stages,
                "cooperative": kernel.cooperative,
                "form": dict(kernel.form),
                "resources": dict(kernel.resources),
            }
        )
    launches = {str(batch): count for batch, count in code.launches.items()}
    about = {"target": code.target, "precision": code.precision, "triton": code.triton}
    tiles = {str(rows): {digest: list(each) for digest, each in own.items()} for rows, own in code.tiles.items()}
    tuned = {"tiles": tiles} if tiles else {}
    return {**about, "answers": list(code.answers), "launches": launches, **tuned, "kernels": kernels}


def read_device(data: Mapping[str, Any], content: Callable[[str], bytes]) -> DeviceCode:
    """The kernels that a manifest speaks of."""
    kernels = tuple(_read_kernel(each, content) for each in data["kernels"])
    launches = {int(batch): int(count) for batch, count in data["launches"].items()}
    assert str(data["target"]).partition(":")[0] in _SUFFIXES
    answers = tuple(map(str, data.get("answers", ["likelihood"])))
    tiles = {
        int(rows): {str(digest): tuple(map(int, each)) for digest, each in own.items()}
        for rows, own in data.get("tiles", {}).items()
    }
    assert all(len(each) == TILES for own in tiles.values() for each in own.values())
    return DeviceCode(
        str(data["target"]), str(data["precision"]), str(data["triton"]), launches, kernels, answers, tiles
    )


def _read_kernel(data: Mapping[str, Any], content: Callable[[str], bytes]) -> DeviceKernel:
    form = data["form"]
    assert isinstance(form["name"], str) and all(isinstance(form[name], int) for name in NUMBERS)
    constants: Sequence[Sequence[Any]] = data["constants"]
    assert all(isinstance(value, int | float | str) for _, value in constants)
    return DeviceKernel(
        str(data["name"]),
        str(data["digest"]),
        content(data["source"]).decode(),
        tuple((str(name), str(kind), bool(aligned)) for name, kind, aligned in data["arguments"]),
        tuple((str(name), value) for name, value in constants),
        int(data["warps"]),
        int(data["stages"]),
        bool(data["cooperative"]),
        content(data["text"]).decode(),
        content(data["binary"]),
        dict(form),
        dict(data["resources"]),
    )


NUMBERS = (
    "shared",
    "num_warps",
    "warp_size",
    "num_ctas",
    "launch_cooperative_grid",
    "launch_pdl",
    "global_scratch_size",
    "profile_scratch_size",
    "tmem_size",
)
"""What a launch must know beside the name of the entry."""
