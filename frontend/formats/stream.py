"""A file's bytes, a piece at a time: what enters is a path, what leaves are pieces of whole lines.

A piece is small enough that what is computed of it stays in the processor's cache, and a file is never held whole.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...ir.data.container import read_bytes, unreadable
from ...ir.diagnostic import DanausError, error

MOST_BYTES = 1 << 32
_PIECE = 1 << 18
_BLOCK = 1 << 24


def read_whole(path: Path) -> bytes:
    """The bytes of a file, unpacked where it ends in `.gz`.

    Raises: DanausError `unreadable-file`, or `too-large` beyond 4 GB, unpacked.
    """
    return b"".join(_blocks(path, _BLOCK))


def pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file in pieces that end with an end of line, but for the last one.

    Raises: what `read_whole` raises, on the way.
    """
    return cut(_blocks(path, _PIECE))


def cut(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind ends of lines; a line that is longer than a block is not cut."""
    open_: list[bytes] = []
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end:
            open_.append(block)
            continue
        open_.append(block[:end])
        yield b"".join(open_)
        open_ = [block[end:]]
    if rest := b"".join(open_):
        yield rest


def in_blocks(data: bytes) -> Iterator[bytes]:
    """Bytes that are held already, as blocks."""
    return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    packed = path.suffix == ".gz"
    total = 0
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            while block := file.read(size):
                total += len(block)
                if total > MOST_BYTES:
                    raise _too_large(path)
                yield block
    except FileNotFoundError:
        yield read_bytes(path, packed=packed)  # whose diagnostic names a near file
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise error("unreadable-file", f"{path} is not a whole gzip file: {failure}") from None
    except OSError as failure:
        raise unreadable(path, failure) from None


def _too_large(path: Path) -> DanausError:
    return error("too-large", f"{path} holds more than {MOST_BYTES >> 30} GB")
