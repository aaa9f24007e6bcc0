"""Files of other tools with bytes changed, by the thousand: each must end in a circuit or in diagnostics.

    python tests/formats_fuzz.py ../shared/data --count 20000 --formats nnf sdd psdd

Real files, and small ones of each syntax that stand here, have bytes flipped, stretches cut, doubled and moved, numbers
and words replaced, lines dropped and swapped; some are packed with gzip and cut there. A traceback, a warning, ten
seconds or four gigabytes is a failure, and the file is kept. With `vtree`, the vtree beside a sound SDD is changed.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from types import FrameType

from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.read import read_foreign
from danaus.ir.diagnostic import DanausError

SECONDS = 10
BYTES = 4 << 30
LARGEST = 20_000
WORDS = [
    b"-",
    b"--1",
    b"0",
    b"-1",
    b"1",
    b"2",
    b"7",
    b"1e3",
    b"1.5",
    b"nan",
    b"-inf",
    b"inf",
    b"1_0",
    b"\xff",
    b"c",
    b"D",
]
WORDS += [
    b"L",
    b"T",
    b"F",
    b"A",
    b"O",
    b"o",
    b"a",
    b"t",
    b"I",
    b"nnf",
    b"sdd",
    b"psdd",
    b"vtree",
    b"\x00",
    b"p",
    b"cnf",
]
WORDS += [
    b"%d" % (sign * number) for number in (10**6, 10**9, 10**12, 10**17, 10**18, 10**19, 2**63) for sign in (1, -1)
]
WORD = re.compile(rb"\S+")

SAMPLES = {
    "nnf": [
        b"nnf 7 8 3\nL 1\nL -2\nL 2\nA 2 0 1\nL -1\nA 2 4 2\nO 1 2 3 5\n",
        b"o 1 0\no 2 0\nt 3 0\nf 4 0\na 5 0\n2 3 -1 2 0\n2 3 1 0\n1 2 3 0\n1 5 -3 0\n5 4 0\n5 3 2 0\n",
        b"c a comment\nnnf 1 0 2\nA 0\n",
    ],
    "sdd": [
        b"c x\nsdd 11\nL 1 0 -2\nL 2 2 1\nF 3\nL 4 0 2\nT 5\nL 8 2 -1\nL 9 4 3\nL 10 4 -3\n"
        b"D 6 1 2 1 2 4 3\nD 7 1 2 1 8 4 5\nD 0 3 2 6 9 7 10\n"
    ],
    "psdd": [
        b"psdd 9\nL 0 0 1\nL 1 0 -1\nL 2 1 2\nL 3 1 -2\nT 4 1 2 -1.6\n"
        b"D 5 2 3 1 4 -0.693147181 0 2 -1.386294361 0 3 -1.386294361\n"
    ],
    "vtree": [b"vtree 7\nL 0 2\nL 2 1\nI 1 0 2\nL 4 3\nL 6 4\nI 5 4 6\nI 3 1 5\n"],
}


def corpus(form: str, data: Path | None) -> list[bytes]:
    """The small files of a format, sorted by path."""
    found = list(SAMPLES.get(form, []))
    if data is not None:
        for path in sorted([*data.rglob(f"*.{form}"), *data.rglob(f"*.{form}.gz")]):
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            if len(raw) <= LARGEST:
                found.append(raw)
    return found


def changed(rng: random.Random, text: bytes) -> bytes:
    """The text with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not text:
            return text
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + rng.choice((1, 4, 40, 4000)))
        match rng.randrange(10):
            case 0:
                at = rng.randrange(len(text))
                text = text[:at] + bytes([text[at] ^ (1 << rng.randrange(8))]) + text[at + 1 :]
            case 1:
                text = text[:a] + text[b:]
            case 2:
                text = text[:b] + text[a:b] + text[b:]
            case 3:
                text = text[:a]
            case 4:
                text = text[:a] + rng.choice(WORDS) + text[a:]
            case 5 | 6 | 7:
                found = rng.choice(list(WORD.finditer(text)) or [None])
                if found is None:
                    continue
                word = rng.choice(WORDS)
                if rng.random() < 0.5 and re.fullmatch(rb"-?\d{1,100}", found[0]):
                    word = b"%d" % (int(found[0]) + rng.choice((-2, -1, 1, 2, 10)))
                text = text[: found.start()] + word + text[found.end() :]
            case 8:
                lines = text.split(b"\n")
                i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[i], lines[j] = lines[j], lines[i]
                text = b"\n".join(lines)
            case _:
                text = text[:a] + text[b:] + text[a:b]
    return text


def attempt(path: Path, options: ForeignOptions) -> bool:
    """Whether a file is read; where it is not, its diagnostics can be shown."""
    try:
        read_foreign(path, options, {})
    except DanausError as failure:
        assert str(failure)
        return False
    return True


def write(form: str, texts: list[bytes], rng: random.Random, folder: Path) -> tuple[Path, ForeignOptions]:
    """A changed file in a folder, and what it is to be read with."""
    text = changed(rng, rng.choice(texts))
    if form == "vtree":
        vtree = folder / "model.vtree"
        vtree.write_bytes(text)
        path = folder / "model.sdd"
        path.write_bytes(b"sdd 3\nL 1 0 2\nL 2 2 1\nD 0 1 1 1 2\n")
        return path, ForeignOptions(vtree=vtree if rng.random() < 0.5 else None)
    packed = rng.random() < 0.05
    path = folder / (f"model.{form}.gz" if packed else f"model.{form}")
    if packed:
        whole = gzip.compress(text, mtime=0)
        text = changed(rng, whole) if rng.random() < 0.8 else whole
    path.write_bytes(text)
    variables = rng.choice((None, None, None, 3, 20, 10**9)) if form in ("nnf", "sdd", "psdd") else None
    return path, ForeignOptions(variables=variables)


def campaign(form: str, data: Path | None, count: int, seed: int, folder: Path) -> tuple[int, list[Path]]:
    """How many of the changed files are read, and those that failed otherwise than by a diagnostic."""
    rng = random.Random(f"{form} {seed}")
    texts = corpus(form, data)
    good, kept = 0, []
    for number in range(count):
        path, options = write(form, texts, rng, folder)
        started = time.monotonic()
        signal.alarm(SECONDS)
        try:
            good += attempt(path, options)
        except Exception:
            signal.alarm(0)
            traceback.print_exc()
            kept.append(path.rename(folder / f"{form}-{seed}-{number}-{path.name}"))
            print(f"{kept[-1]} with {options}", file=sys.stderr)
        finally:
            signal.alarm(0)
        if time.monotonic() - started > 1:
            print(f"{form} {number}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    return good, kept


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", help="a folder of real files, looked through with all below it")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", default=list(SAMPLES))
    given = parser.parse_args()
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, _late)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    folder = Path(tempfile.mkdtemp())
    failed: list[Path] = []
    for form in given.formats:
        good, kept = campaign(form, given.data, given.count, given.seed, folder)
        print(f"{form}: {given.count} files, {good} read, {len(kept)} failures")
        failed += kept
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
