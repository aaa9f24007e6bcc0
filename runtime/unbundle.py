"""Bundles read: files by name enter, checked against their hashes, and circuits leave, their Programs verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from ..ir.diagnostic import DanausError, error
from ..ir.parameter import Floats
from ..ir.program import serial
from ..ir.program.descent import Sites
from ..ir.program.operation import Density, unrolled
from ..ir.program.verify import verify
from ..ir.semirings import Array
from .asked import Asked
from .bundle import FORMAT, PARAMETERS, SEVERAL, SITES, Bundle, Code, Several, Walks, danaus_version, sha256_of, text_of
from .device_code import read_device
from .fed import read_fed
from .package import MANIFEST, Package
from .written import read_composed, read_densities, read_variable


def read_bundle(path: Path) -> Bundle | Several:
    """The bundle of a folder or zip, every file checked against its hash and the Program verified.

    Raises: DanausError `unreadable-file`, `damaged-bundle`, `bundle-version` for a format of a later Danaus.
    """
    with Package(path) as package:
        manifest = _manifest(package)
        try:
            return _read(package, manifest)
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
    if format not in (FORMAT, SEVERAL):
        made = manifest.get("danaus", "another version")
        raise error(
            "bundle-version",
            f"{package.path} has the format {format}; this Danaus ({danaus_version()}) reads {FORMAT} and {SEVERAL}",
            hint=f"it was made by Danaus {made}: compile it again with this version",
        )
    if sha256_of(text_of(manifest)) != said:
        raise damaged(package.path, f"{MANIFEST} was changed after it was written")
    whole: dict[str, Any] = manifest
    return whole


def _read(package: Package, manifest: Mapping[str, Any]) -> Bundle | Several:
    files = manifest["files"]

    def content(name: str) -> bytes:
        about = files[name]
        found = package.read(name, about["bytes"])
        if sha256_of(found) != about["sha256"]:
            raise damaged(package.path, f"{name} has not the hash that its manifest says")
        return found

    arrays = load(content(manifest["parameters"]))
    if manifest["format"] == FORMAT:
        only = _bundle(manifest, arrays, content)
        return replace(only, asked=_read_asked(manifest.get("asked", []), {only.name: only}))
    circuits: dict[str, Bundle] = {}
    for each in manifest["circuits"]:
        own = {called: arrays[stored] for called, stored in each["arrays"].items()}
        circuits[str(each["name"])] = _bundle(each, own, content)
    assert len(circuits) == len(manifest["circuits"]) > 0
    composed = dict(read_composed(each) for each in manifest.get("composed", []))
    terms = {name: circuits.pop(name) for each in composed.values() for name in each.terms}
    return Several(circuits, _read_asked(manifest["asked"], circuits), terms, composed)


def _bundle(manifest: Mapping[str, Any], arrays: Mapping[str, Array], content: Callable[[str], bytes]) -> Bundle:
    """The circuit that a manifest, or its part on one of several, speaks of."""
    program = serial.read(json.loads(content(manifest["program"])), arrays)
    verify(program)
    own = tuple(read_variable(each) for each in manifest["variables"])
    columns = (*own, *(read_variable(each) for each in manifest["hidden"]))
    densities, parameters = read_densities(manifest["densities"], columns, arrays)
    walks = _read_walks(manifest.get("walks"), arrays, content)
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
        walks,
        devices=tuple(read_device(each, content) for each in manifest.get("devices", [])),
        fed=read_fed(manifest.get("fed", []), () if walks is None else walks.program.tables),
    )
    assert bundle.size in (4, 8) and bundle.form in ("linear", "log") and len(columns) == len(program.columns)
    assert all(column.size == (size or None) for column, size in zip(columns, program.columns, strict=True))
    for step in unrolled(program.operations):
        if isinstance(step, Density):
            block = densities[step.source]
            assert (columns[step.column], step.nodes) == (block.variable, block.width)
    assert all(0 <= position < len(own) for position in bundle.free)
    return bundle


def _read_asked(data: Sequence[Mapping[str, Any]], circuits: Mapping[str, Bundle]) -> dict[str, Asked]:
    """The queries by name: each of a circuit that is there, of a kind that it answers."""
    asked: dict[str, Asked] = {}
    for each in data:
        of = Asked(each["kind"], each["circuit"], each["variable"], each["order"])
        circuit = circuits[of.circuit]
        assert of.kind in circuit.queries and isinstance(of.order, int)
        assert of.kind != "moment" or of.variable in [variable.name for variable in circuit.variables]
        asked[str(each["name"])] = of
    return asked


def _read_walks(
    data: Mapping[str, Any] | None, arrays: Mapping[str, Array], content: Callable[[str], bytes]
) -> Walks | None:
    if data is None:
        return None
    own = {name.removeprefix("walks."): array for name, array in arrays.items() if name.startswith("walks.")}
    program = serial.read(json.loads(content(data["program"])), {**arrays, **own})
    verify(program)
    sites = Sites(*(arrays[f"sites.{name}"] for name in SITES))
    count = sum(1 for _ in unrolled(program.operations))
    inner = program.layouts[0].nodes if program.layouts else 0
    for array, length in zip((getattr(sites, name) for name in SITES), (count, count, inner, inner), strict=True):
        assert array.dtype == np.int64 and array.shape == (length,) and array.min(initial=0) >= -1
    assert len(data["tables"]) == len(program.tables)
    tables = tuple(_floats(arrays[name], shape) for name, shape in zip(data["tables"], program.tables, strict=True))
    return Walks(program, tables, sites, int(data["nodes"]), bool(data["deterministic"]), bool(data["single"]))


def _floats(array: Array, shape: tuple[int, ...]) -> Floats:
    assert array.dtype == np.float64 and array.shape == shape
    return array


def damaged(path: Path, what: str) -> DanausError:
    """The error for a bundle that is not as it was written."""
    return error("damaged-bundle", f"{path}: {what}", hint="copy it or compile it again")
