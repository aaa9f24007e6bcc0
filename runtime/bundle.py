"""Bundles: a compiled circuit as files, to run elsewhere without the compiler and without the circuit.

What enters is a Program with its numbers and the code made from it; what leaves are files by name, and from them the
same again. The manifest says of every file how long it is and what it hashes to; nothing is pickled, and no file says
where it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..ir.block import Input
from ..ir.diagnostic import DanausError, error
from ..ir.domain import Bool, Cat, Count, Domain, Int, Real, Variable
from ..ir.expression import Floats, constant
from ..ir.family import Family, Gaussian, Indicator, One, Poisson, name_of
from ..ir.program import serial
from ..ir.program.descent import Sites
from ..ir.program.operation import Density, unrolled
from ..ir.program.program import Program
from ..ir.program.verify import verify
from ..ir.semirings import Array
from .package import MANIFEST, Package, write

FORMAT = 1
_FAMILIES: dict[str, Family] = {name_of(family): family for family in (Gaussian(), Poisson(), One())}
_SITES = ("places", "numbers", "node_places", "node_numbers")
PROGRAM = "programs/likelihood.json"
WALKS = "programs/walks.json"
PARAMETERS = "parameters.safetensors"


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
    Program of vectors) or for its logarithm.
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


def save_bundle(bundle: Bundle, path: Path) -> None:
    """Writes a bundle to a folder, or to a zip where the path ends in .zip.

    Raises: DanausError `unwritable-file`.
    """
    write(path, files_of(bundle))


def files_of(bundle: Bundle) -> dict[str, bytes]:
    """The files of a bundle by name; equal bundles give equal bytes."""
    program, arrays = serial.written(bundle.program)
    arrays = dict(arrays)
    arrays |= {f"table.{i}": table for i, table in enumerate(bundle.tables)}
    arrays |= {f"exact.{i}": table for i, table in bundle.exact.items()}
    for source, values in enumerate(bundle.parameters):
        arrays |= {f"density.{source}.{i}": value for i, value in enumerate(values)}
    walks, more = _written_walks(bundle)
    arrays |= more
    files = {
        PROGRAM: _text(program),
        **({} if walks is None or bundle.walks is None else {WALKS: _text(serial.written(bundle.walks.program)[0])}),
        PARAMETERS: save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
    }
    kernels: list[dict[str, Any]] = []
    for code in bundle.codes:
        folder = f"kernels/{code.target.replace(':', '-')}"
        places: dict[str, str] = {}
        for number, (digest, content) in enumerate(code.objects.items()):
            places[digest] = f"{folder}/likelihood{f'-{number}' if number else ''}.o"
            files[places[digest]] = content
        about = {"target": code.target, "triple": code.triple, "cpu": code.cpu, "features": code.features}
        kernels.append({**about, "objects": places})
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "danaus": danaus_version(),
        **bundle.compiler,
        "circuit": bundle.name,
        "queries": list(bundle.queries),
        "variables": [_variable(variable) for variable in bundle.variables],
        "hidden": [_variable(variable) for variable in bundle.columns[len(bundle.variables) :]],
        "free": list(bundle.free),
        "dtype": bundle.dtype,
        "numbers": {"bytes": bundle.size, "form": bundle.form},
        "densities": [_density(block, bundle.columns) for block in bundle.densities],
        "exact": sorted(bundle.exact),
        "walks": walks,
        "program": PROGRAM,
        "parameters": PARAMETERS,
        "kernels": kernels,
        "files": {name: {"bytes": len(files[name]), "sha256": _sha256(files[name])} for name in sorted(files)},
    }
    manifest["sha256"] = _sha256(_text(manifest))
    return {**files, MANIFEST: _text(manifest)}


def read_bundle(path: Path) -> Bundle:
    """The bundle of a folder or zip, every file checked against its hash and the Program verified.

    Raises: DanausError `unreadable-file`, `damaged-bundle`, `bundle-version` for a format of a later Danaus.
    """
    with Package(path) as package:
        manifest = _manifest(package)
        try:
            return _bundle(package, manifest)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError) as failure:
            raise damaged(path, f"its manifest does not say what it should ({failure!r})") from None
        except SafetensorError as failure:
            raise damaged(path, f"{PARAMETERS} is not whole: {failure}") from None


def _manifest(package: Package) -> dict[str, Any]:
    try:
        manifest = json.loads(package.read(MANIFEST))
        said = manifest.pop("sha256")
        format = manifest["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise damaged(package.path, f"{MANIFEST} is not whole: {failure}") from None
    if format != FORMAT:
        made = manifest.get("danaus", "another version")
        raise error(
            "bundle-version",
            f"{package.path} has the format {format}; this Danaus ({danaus_version()}) reads {FORMAT}",
            hint=f"it was made by Danaus {made}: compile it again with this version",
        )
    if _sha256(_text(manifest)) != said:
        raise damaged(package.path, f"{MANIFEST} was changed after it was written")
    whole: dict[str, Any] = manifest
    return whole


def _bundle(package: Package, manifest: Mapping[str, Any]) -> Bundle:
    files = manifest["files"]

    def content(name: str) -> bytes:
        about = files[name]
        found = package.read(name, about["bytes"])
        if _sha256(found) != about["sha256"]:
            raise damaged(package.path, f"{name} has not the hash that its manifest says")
        return found

    arrays = load(content(manifest["parameters"]))
    program = serial.read(json.loads(content(manifest["program"])), arrays)
    verify(program)
    own = tuple(_read_variable(each) for each in manifest["variables"])
    columns = (*own, *(_read_variable(each) for each in manifest["hidden"]))
    densities, parameters = _read_densities(manifest["densities"], columns, arrays)
    bundle = Bundle(
        str(manifest["circuit"]),
        tuple(map(str, manifest["queries"])),
        own,
        columns,
        tuple(manifest["free"]),
        manifest["dtype"],
        manifest["numbers"]["bytes"],
        manifest["numbers"]["form"],
        program,
        tuple(_floats(arrays[f"table.{i}"], shape) for i, shape in enumerate(program.tables)),
        {i: _floats(arrays[f"exact.{i}"], (*program.tables[i], 2)) for i in manifest["exact"]},
        densities,
        parameters,
        {name: manifest[name] for name in ("llvm", "llvmlite")},
        tuple(
            Code(
                str(each["target"]),
                str(each["triple"]),
                str(each["cpu"]),
                str(each["features"]),
                {digest: content(name) for digest, name in each["objects"].items()},
            )
            for each in manifest["kernels"]
        ),
        _read_walks(manifest.get("walks"), arrays, content),
    )
    assert bundle.size in (4, 8) and bundle.form in ("linear", "log") and len(columns) == len(program.columns)
    assert all(column.size == (size or None) for column, size in zip(columns, program.columns, strict=True))
    for step in unrolled(program.operations):
        if isinstance(step, Density):
            block = densities[step.source]
            assert (columns[step.column], step.nodes) == (block.variable, block.width)
    assert all(0 <= position < len(own) for position in bundle.free)
    return bundle


def _written_walks(bundle: Bundle) -> tuple[dict[str, Any] | None, dict[str, Array]]:
    """What the manifest says of walks, and their arrays; tables and layouts that the bundle has are there once."""
    walks = bundle.walks
    if walks is None:
        return None, {}
    arrays: dict[str, Array] = {f"sites.{name}": getattr(walks.sites, name) for name in _SITES}
    known = {(table.shape, table.tobytes()): f"table.{i}" for i, table in enumerate(bundle.tables)}
    names: list[str] = []
    for i, table in enumerate(walks.tables):
        names.append(known.setdefault((table.shape, table.tobytes()), f"walks.table.{i}"))
        if names[-1] == f"walks.table.{i}":
            arrays[names[-1]] = table
    if not walks.program.layouts:
        arrays |= {f"walks.{name}": array for name, array in serial.written(walks.program)[1].items()}
    about = {"nodes": walks.nodes, "deterministic": walks.deterministic, "single": walks.single}
    return {**about, "program": WALKS, "tables": names}, arrays


def _read_walks(
    data: Mapping[str, Any] | None, arrays: Mapping[str, Array], content: Callable[[str], bytes]
) -> Walks | None:
    if data is None:
        return None
    own = {name.removeprefix("walks."): array for name, array in arrays.items() if name.startswith("walks.")}
    program = serial.read(json.loads(content(data["program"])), {**arrays, **own})
    verify(program)
    sites = Sites(*(arrays[f"sites.{name}"] for name in _SITES))
    count = sum(1 for _ in unrolled(program.operations))
    inner = program.layouts[0].nodes if program.layouts else 0
    for array, length in zip((getattr(sites, name) for name in _SITES), (count, count, inner, inner), strict=True):
        assert array.dtype == np.int64 and array.shape == (length,) and array.min(initial=0) >= -1
    assert len(data["tables"]) == len(program.tables)
    tables = tuple(_floats(arrays[name], shape) for name, shape in zip(data["tables"], program.tables, strict=True))
    return Walks(program, tables, sites, int(data["nodes"]), bool(data["deterministic"]), bool(data["single"]))


def _floats(array: Array, shape: tuple[int, ...]) -> Floats:
    assert array.dtype == np.float64 and array.shape == shape
    return array


def not_compiled(name: str) -> DanausError:
    """The error for a circuit that has no Program that an engine runs."""
    return error(
        "not-in-bundle",
        f'"{name}" has scalar nodes over real or count variables: it is not compiled, and is in no bundle',
        hint="danaus.save keeps the circuit itself",
    )


def damaged(path: Path, what: str) -> DanausError:
    """The error for a bundle that is not as it was written."""
    return error("damaged-bundle", f"{path}: {what}", hint="copy it or compile it again")


def danaus_version() -> str:
    """The version of this Danaus."""
    try:
        return version("danaus")
    except PackageNotFoundError:
        return "unknown"


def _text(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _variable(variable: Variable) -> dict[str, Any]:
    domain = variable.domain
    about: dict[str, Any] = {"name": variable.name, "domain": type(domain).__name__.lower()}
    match domain:
        case Cat(n, names):
            return {**about, "n": n, "names": list(names)}
        case Int(lo, hi):
            return {**about, "lo": lo, "hi": hi}
        case _:
            return about


def _read_variable(data: Mapping[str, Any]) -> Variable:
    domain: Domain
    match data["domain"]:
        case "cat":
            domain = Cat(int(data["n"]), tuple(map(str, data["names"])))
        case "int":
            domain = Int(int(data["lo"]), int(data["hi"]))
        case name:
            kinds: dict[str, Domain] = {"bool": Bool(), "count": Count(), "real": Real()}
            domain = kinds[name]
    return Variable(str(data["name"]), domain)


def _density(block: Input, columns: tuple[Variable, ...]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "family": name_of(block.family),
        "column": columns.index(block.variable),
        "width": block.width,
        "parameters": len(block.parameters),
    }
    match block.family:
        case Indicator(value):
            return {**about, "value": value}
        case _:
            return about


def _read_densities(
    data: list[Mapping[str, Any]], columns: tuple[Variable, ...], arrays: Mapping[str, Array]
) -> tuple[tuple[Input, ...], tuple[tuple[Floats, ...], ...]]:
    blocks: list[Input] = []
    held: list[tuple[Floats, ...]] = []
    for source, each in enumerate(data):
        family = Indicator(int(each["value"])) if each["family"] == "indicator" else _FAMILIES[each["family"]]
        values = tuple(arrays[f"density.{source}.{i}"] for i in range(each["parameters"]))
        assert all(value.dtype == np.float64 for value in values)
        held.append(values)
        parameters = tuple(constant(value) for value in values)
        blocks.append(Input(family, columns[each["column"]], parameters, int(each["width"])))
    return tuple(blocks), tuple(held)
