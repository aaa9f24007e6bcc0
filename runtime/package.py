"""Files by name in a folder, or in a zip of one: how a bundle lies on disk.

What is written is there whole or not at all, and the same files give the same bytes; what is read is read into memory,
and nothing is unpacked on disk.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..ir.data.container import unreadable, write_bytes
from ..ir.diagnostic import DanausError, error

MANIFEST = "manifest.json"
_LARGEST = 1 << 28
"""The most bytes that a manifest may have."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes files to a folder, or to a zip where the path ends in .zip; an earlier bundle there is replaced.

    Raises: DanausError `unwritable-file`, also where something else than a bundle stands at the path.
    """
    require_place(path)
    if _is_zip(path):
        write_bytes(path, _zipped(files))
        return
    target = path.resolve()
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as failure:
        raise _unwritable(path, failure) from None
    try:
        fresh, former = beside / "new", beside / "old"
        for name, content in files.items():
            place = fresh / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        if target.exists():
            os.rename(target, former)
        try:
            os.rename(fresh, target)
        except OSError:
            if former.exists():
                os.rename(former, target)
            raise
    except OSError as failure:
        raise _unwritable(path, failure) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_place(path: Path) -> None:
    """Raises DanausError `unwritable-file` where no bundle can be put at a path: what stands there is none, or has
    more in it than one, or there is no folder to put it in."""
    target = path.resolve()
    if not target.parent.is_dir():
        raise error("unwritable-file", f"{path} cannot be written: there is no folder {path.parent}")
    if not target.exists() or (_is_zip(path) and not (target.is_file() or target.is_dir())):  # a device, a pipe
        return
    if _is_zip(path) and target.is_dir():
        raise error("unwritable-file", f"{path} is a folder", hint="a bundle whose name ends in .zip is a file")
    try:
        own, there = _written_there(target)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError, zipfile.BadZipFile, RuntimeError):
        hint = "give another name, or remove it"
        raise error("unwritable-file", f"{path} is there, and no bundle", hint=hint) from None
    more = sorted(there - own)
    if more:
        message = f"{path} holds more than a bundle, which would be lost: {', '.join(more[:3])}"
        raise error("unwritable-file", message, hint="give another name, or move that away")


def _written_there(target: Path) -> tuple[set[str], set[str]]:
    """What a bundle's manifest calls its own, and the files that are there; nothing where nothing is.

    Raises: an error of reading where there is no manifest of a bundle.
    """
    if target.is_dir():
        there = {str(each.relative_to(target).as_posix()) for each in target.rglob("*") if not _is_folder(each)}
        if not there:
            return set(), set()
        written = (target / MANIFEST).read_bytes() if (target / MANIFEST).is_file() else b""
    elif not target.stat().st_size:
        return set(), set()
    else:
        with zipfile.ZipFile(target) as archive:
            there = {name for name in archive.namelist() if not name.endswith("/")}
            written = archive.read(MANIFEST) if archive.getinfo(MANIFEST).file_size <= _LARGEST else b""
    manifest = json.loads(written)
    if "danaus" not in manifest:
        raise ValueError
    return {MANIFEST, *manifest["files"].keys()}, there


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _unwritable(path: Path, failure: OSError) -> DanausError:
    return error("unwritable-file", f"{path} cannot be written: {failure.strerror or failure}")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), files[name])
    return held.getvalue()


class Package:
    """The files of a folder or a zip, read when they are asked for; a context, which closes the zip."""

    def __init__(self, path: Path) -> None:
        """Raises: DanausError `unreadable-file` where there is no folder and no zip."""
        self.path = path
        self.archive: zipfile.ZipFile | None = None
        if not path.is_dir():
            if path.exists() and not path.is_file():  # a pipe would be waited for
                raise error("unreadable-file", f"{path} is no bundle: it is neither a file nor a folder")
            try:
                self.archive = zipfile.ZipFile(path)
            except FileNotFoundError:
                raise error("unreadable-file", f"there is no bundle {path}") from None
            except (OSError, zipfile.BadZipFile) as failure:
                raise error(
                    "unreadable-file", f"{path} is no bundle: {failure}", hint="a bundle is a folder, or a zip of one"
                ) from None

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        if self.archive is not None:
            self.archive.close()

    def read(self, name: str, size: int | None = None) -> bytes:
        """A file's bytes, where it has as many as `size` says.

        Raises: DanausError `unreadable-file`; `damaged-bundle` for a name outside, or a file of another size.
        """
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or "\\" in name or ":" in name or ".." in parts:
            raise error("damaged-bundle", f'{self.path} names a file "{name}", which is not one of its own')
        try:
            found = self._size(name)
            if size is not None and found != size:
                raise error("damaged-bundle", f"{name} in {self.path} has not the {size} bytes that its manifest says")
            if size is None and found > _LARGEST:
                raise error("damaged-bundle", f"{name} in {self.path} has {found} bytes: no bundle's has so many")
            if self.archive is not None:
                return self.archive.read(name)
            return (self.path / name).read_bytes()
        except KeyError:
            raise error("unreadable-file", f"{self.path} is no whole bundle: it has no {name}") from None
        except (FileNotFoundError, NotADirectoryError):
            raise error("unreadable-file", f"{self.path} is no whole bundle: it has no {name}") from None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as failure:
            raise error("damaged-bundle", f"{name} in {self.path} cannot be unpacked: {failure}") from None
        except OSError as failure:
            raise unreadable(self.path / name, failure) from None

    def _size(self, name: str) -> int:
        if self.archive is not None:
            return self.archive.getinfo(name).file_size
        place = self.path / name
        if place.exists() and not place.is_file():
            raise OSError(f"{place} is no file")
        return place.stat().st_size
