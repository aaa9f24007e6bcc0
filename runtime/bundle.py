"""Bundles: a compiled circuit as files, to run elsewhere without the compiler and without the circuit.

What enters is a Program with its numbers and the code made from it; what leaves are files by name, and from them the
same again. The manifest says of every file how long it is and what it hashes to; nothing is pickled, and no file says
where it was made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from ..ir.block import Input
from ..ir.diagnostic import DanausError, error
from ..ir.domain import Variable
from ..ir.parameter import Floats
from ..ir.program import serial
from ..ir.program.descent import Sites
from ..ir.program.program import Program
from ..ir.semirings import Array
from .asked import Asked, Composed
from .device_code import DeviceCode, device_written
from .fed import Fed, fed_written
from .package import MANIFEST, write
from .written import composed_written, density_written, variable_written

FORMAT, SEVERAL = 1, 2
SITES = ("places", "numbers", "node_places", "node_numbers")
PARAMETERS = "parameters.safetensors"
_Content = tuple[str, tuple[int, ...], bytes]
_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Code:
    """Objects for one target, by the hash of the text that each was made from."""

    target: str
    triple: str
    cpu: str
    features: str
    objects: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """What walks back from the root take of a circuit: its Program before anything in it was folded, with its tables.

    `sites` say where the circuit chooses, operation by operation with loops spelt out; `nodes` is its number of nodes,
    `deterministic` whether it is proved so, `single` whether each assignment, with its latents, is one path.
    """

    program: Program
    tables: tuple[Floats, ...]
    sites: Sites
    nodes: int
    deterministic: bool
    single: bool


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A circuit: Program, numbers, code.

    `queries` are what it may be asked: a likelihood, and others where the circuit is proved to have what they need;
    those beyond marginals take `walks`. `columns` are the Program's variables, those of the circuit first; `free` are
    positions of variables that multiply a row by their number of values where they are missing. `tables` are float64;
    `exact` has logarithms and signs, [..., 2], of those whose entries float64 cannot hold. `size` and `form` are the
    bytes of a number in the code, and whether it stands for itself ("linear", with a power of two per buffer in a
    Program of vectors) or for its logarithm. `devices` are kernels for GPUs. `fed` says where parameters lie in the
    tables of `walks`, if "flows" is among the queries.
    """

    name: str
    queries: tuple[str, ...]
    variables: tuple[Variable, ...]
    columns: tuple[Variable, ...]
    free: tuple[int, ...]
    dtype: str
    size: int
    form: str
    program: Program
    tables: tuple[Floats, ...]
    exact: Mapping[int, Floats]
    densities: tuple[Input, ...]
    parameters: tuple[tuple[Floats, ...], ...]
    compiler: Mapping[str, str]
    codes: tuple[Code, ...]
    walks: Walks | None = None
    asked: Mapping[str, Asked] = field(default_factory=dict[str, Asked])
    devices: tuple[DeviceCode, ...] = ()
    fed: tuple[Fed, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Several:
    """Circuits by name, and what is asked of them by name.

    `terms` are the circuits, without variables, that composed queries add up: nobody asks for them by name.
    """

    circuits: Mapping[str, Bundle]
    asked: Mapping[str, Asked]
    terms: Mapping[str, Bundle] = field(default_factory=dict[str, Bundle])
    composed: Mapping[str, Composed] = field(default_factory=dict[str, Composed])


def circuits_of(bundle: Bundle | Several) -> Mapping[str, Bundle]:
    """The circuits of a bundle by name."""
    return {bundle.name: bundle} if isinstance(bundle, Bundle) else bundle.circuits


def save_bundle(bundle: Bundle | Several, path: Path) -> None:
    """Writes a bundle to a folder, or to a zip where the path ends in .zip.

    Raises: DanausError `unwritable-file`.
    """
    write(path, files_of(bundle))


def files_of(bundle: Bundle | Several) -> dict[str, bytes]:
    """The files of a bundle by name; equal bundles give equal bytes."""
    files: dict[str, bytes] = {}
    if isinstance(bundle, Bundle):
        about, arrays = _written(bundle, "", files)
        about = {"format": FORMAT, **about}
    else:
        arrays = {}
        names: dict[_Content, str] = {}
        circuits: list[dict[str, Any]] = []
        held = {**bundle.circuits, **bundle.terms}
        for (name, each), folder in zip(held.items(), _folders(held), strict=True):
            said, own = _written(each, f"{folder}/", files)
            circuits.append({"name": name, **said, "arrays": _shared(own, folder, arrays, names)})
        about = {"format": SEVERAL, "circuits": circuits, "asked": _written_asked(bundle.asked)}
        if bundle.composed:
            about["composed"] = [composed_written(name, each) for name, each in bundle.composed.items()]
    files[PARAMETERS] = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    manifest: dict[str, Any] = {
        "danaus": danaus_version(),
        **about,
        "parameters": PARAMETERS,
        "files": {name: {"bytes": len(files[name]), "sha256": sha256_of(files[name])} for name in sorted(files)},
    }
    manifest["sha256"] = sha256_of(text_of(manifest))
    return {**files, MANIFEST: text_of(manifest)}


def _written(bundle: Bundle, folder: str, files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the manifest says of a circuit, and its arrays; its Programs and objects are added to the files."""
    program, arrays = serial.written(bundle.program)
    arrays = dict(arrays)
    arrays |= {f"table.{i}": table for i, table in enumerate(bundle.tables)}
    arrays |= {f"exact.{i}": table for i, table in bundle.exact.items()}
    for source, values in enumerate(bundle.parameters):
        arrays |= {f"density.{source}.{i}": value for i, value in enumerate(values)}
    place = f"programs/{folder}likelihood.json"
    files[place] = text_of(program)
    walks, more = _written_walks(bundle, f"programs/{folder}walks.json", files)
    kernels: list[dict[str, Any]] = []
    for code in bundle.codes:
        places: dict[str, str] = {}
        for number, (digest, content) in enumerate(code.objects.items()):
            name = f"likelihood{f'-{number}' if number else ''}.o"
            places[digest] = f"kernels/{code.target.replace(':', '-')}/{folder}{name}"
            files[places[digest]] = content
        about = {"target": code.target, "triple": code.triple, "cpu": code.cpu, "features": code.features}
        kernels.append({**about, "objects": places})
    said: dict[str, Any] = {
        **bundle.compiler,
        "circuit": bundle.name,
        "queries": list(bundle.queries),
        "variables": [variable_written(variable) for variable in bundle.variables],
        "hidden": [variable_written(variable) for variable in bundle.columns[len(bundle.variables) :]],
        "free": list(bundle.free),
        "dtype": bundle.dtype,
        "numbers": {"bytes": bundle.size, "form": bundle.form},
        "densities": [density_written(block, bundle.columns) for block in bundle.densities],
        "exact": sorted(bundle.exact),
        "walks": walks,
        "program": place,
        "kernels": kernels,
        **({"fed": fed_written(bundle.fed)} if bundle.fed else {}),
        **({"asked": _written_asked(bundle.asked)} if bundle.asked else {}),
        **({"devices": [device_written(each, folder, files) for each in bundle.devices]} if bundle.devices else {}),
    }
    return said, {**arrays, **more}


def _folders(names: Iterable[str]) -> list[str]:
    """A folder for each circuit: its name where every file system tells it from the others, else a number."""
    folders: list[str] = []
    for number, name in enumerate(names):
        plain = _PLAIN.fullmatch(name) and name.casefold() not in map(str.casefold, folders)
        folders.append(name if plain else f"{number}")
    return folders


def _shared(
    own: Mapping[str, Array],
    folder: str,
    arrays: dict[str, Array],
    names: dict[_Content, str],
) -> dict[str, str]:
    """Adds a circuit's arrays to those of all, each once whoever has it; what each is called there."""
    called: dict[str, str] = {}
    for name, array in own.items():
        held = np.ascontiguousarray(array)
        key = (held.dtype.str, held.shape, hashlib.sha256(held.tobytes()).digest())
        called[name] = names.setdefault(key, f"{folder}/{name}")
        arrays.setdefault(called[name], array)
    return called


def _written_asked(asked: Mapping[str, Asked]) -> list[dict[str, Any]]:
    return [{"name": name, **asdict(each)} for name, each in asked.items()]


def _written_walks(
    bundle: Bundle, place: str, files: dict[str, bytes]
) -> tuple[dict[str, Any] | None, dict[str, Array]]:
    """What the manifest says of walks, and their arrays; tables and layouts that the bundle has are there once."""
    walks = bundle.walks
    if walks is None:
        return None, {}
    arrays: dict[str, Array] = {f"sites.{name}": getattr(walks.sites, name) for name in SITES}
    known = {(table.shape, table.tobytes()): f"table.{i}" for i, table in enumerate(bundle.tables)}
    names: list[str] = []
    for i, table in enumerate(walks.tables):
        names.append(known.setdefault((table.shape, table.tobytes()), f"walks.table.{i}"))
        if names[-1] == f"walks.table.{i}":
            arrays[names[-1]] = table
    program, own = serial.written(walks.program)
    files[place] = text_of(program)
    if not walks.program.layouts:
        arrays |= {f"walks.{name}": array for name, array in own.items()}
    about = {"nodes": walks.nodes, "deterministic": walks.deterministic, "single": walks.single}
    return {**about, "program": place, "tables": names}, arrays


def not_compiled(name: str) -> DanausError:
    """The error for a circuit that has no Program that an engine runs."""
    return error(
        "not-in-bundle",
        f'"{name}" has inputs that no code for these targets runs: densities of both signs, or, on GPUs, '
        "scalar nodes over real or count variables",
        hint="danaus.save keeps the circuit itself",
    )


def danaus_version() -> str:
    """The version of this Danaus."""
    try:
        return version("danaus")
    except PackageNotFoundError:
        return "unknown"


def text_of(data: Any) -> bytes:
    """JSON as a bundle has it."""
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def sha256_of(content: bytes) -> str:
    """The SHA-256, as sixteens."""
    return hashlib.sha256(content).hexdigest()
