"""Real networks and formulas with bytes changed, by the ten thousand: each ends in a circuit or in diagnostics.

    python tests/network_fuzz.py --count 20000 --seed 0

Bytes are flipped, cut, doubled and spliced, numbers replaced by odd ones; one file in eight is gzipped, before or after
it is changed. Of formulas one in fifty is compiled. A traceback, ten seconds or two gigabytes is a failure.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from danaus.frontend.formats.bayes import read_bif, read_uai
from danaus.frontend.formats.cnf import read_cnf
from danaus.frontend.formats.dimacs import parse_cnf
from danaus.frontend.formats.options import ForeignOptions
from danaus.frontend.formats.text import foreign_source
from danaus.ir.diagnostic import DanausError

SECONDS = 10
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
MEMORY = 1 << 25

FORMATS = ("bif", "uai", "evid", "cnf")
SEEDS = {
    "bif": ["bn/bif/asia.bif.gz", "bn/bif/survey.bif.gz", "bn/bif/cancer.bif.gz", "bn/bif/alarm.bif.gz"],
    "uai": ["uai2014/CSP_12.uai.gz", "uai2014/Promedus_24.uai.gz", "uai2014/grid10x10.f10.uai.gz"],
    "evid": ["uai2014/Promedus_14.uai.evid", "uai2014/Pedigree_11.uai.evid", "uai2014/Promedus_12.uai.evid"],
    "cnf": [
        "cnf/d4v2/instancesTest/cnfs/cnf10.cnf",
        "cnf/d4v2/instancesTest/cnfs/cnf2.cnf",
        "cnf/dpmc/examples/phi.cnf",
        "cnf/dpmc/mcc/instances/test.cnf",
        "cnf/ganak/tests/cnf-files/b.cnf",
    ],
}
ODD = [b"-1", b"0", b"1e999", b"nan", b"99999999999999999999", b"2147483648", b"1e-320", b"\xff", b"\x00", b'"', b"/*"]
ODD += [b"{", b"}", b"(", b"|", b";", b"default", b"%", b"p cnf 3 2", b"1/0", b"inf", b" ", b"\n", b"1000000", b"0.5"]


def small_uai(number: int) -> bytes:
    """A network of a few tables: the real ones are long, so that most changes are to their numbers."""
    draw = random.Random(number)
    size = draw.randint(2, 3)
    lines = [draw.choice(["MARKOV", "BAYES"]), "3", f"2 {size} 2", "2", "1 0", "3 0 1 2", "", "2", "0.25 0.75", ""]
    rows = [draw.choice(["0 1", "0.5 0.5", "0.2 0.8"]) for _ in range(2 * size)]
    return "\n".join([*lines, str(4 * size), *rows, ""]).encode()


def sources(form: str) -> list[bytes]:
    """The real files of a format."""
    found = []
    for name in SEEDS[form]:
        path = SHARED / name
        found.append(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes())
    return found + ([small_uai(number) for number in range(9)] if form == "uai" else [])


def changed(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to four changes."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(out) + 1)
        end = min(len(out), at + draw.choice([1, 1, 2, 5, 20, 200]))
        match draw.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end]
            case 3:
                out[at:end] = draw.choice(ODD)
            case 4:
                out[at:at] = b" " + draw.choice(ODD) + b" "
            case _:
                del out[draw.randrange(len(out) + 1) :]
    return bytes(out)


def reader(form: str, folder: Path, number: int) -> Callable[[Path], object]:
    """What reads a file of the format."""
    limited = ForeignOptions(memory=MEMORY)
    match form:
        case "bif":
            return lambda path: read_bif(path, limited, {})
        case "uai":
            return lambda path: read_uai(path, limited, {})
        case "evid":
            model = folder / "model.uai"
            if not model.exists():
                lines = ["MARKOV", "500", " ".join(["2"] * 500), "1", "2 0 499", "", "4", "1 2 3 4", ""]
                model.write_text("\n".join(lines))
            return lambda path: read_uai(model, ForeignOptions(evidence=path, memory=MEMORY), {})
        case _ if number % 50 == 0:
            return lambda path: read_cnf(path, ForeignOptions(memory=1 << 30), {}, seconds=3)
        case _:
            return lambda path: parse_cnf(foreign_source(path))


def _too_long(signal_number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def campaign(form: str, count: int, seed: int) -> list[str]:
    """What went wrong, each with the number that makes it again."""
    failures: list[str] = []
    texts = sources(form)
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            draw = random.Random(f"{form} {seed} {number}")
            data = draw.choice(texts)
            packed = draw.randrange(8)
            data = changed(gzip.compress(data, mtime=0), draw) if packed == 0 else changed(data, draw)
            path = folder / (f"file.{form}.gz" if packed < 2 else f"file.{form}")
            path.write_bytes(gzip.compress(data, mtime=0) if packed == 1 else data)
            signal.alarm(SECONDS)
            try:
                reader(form, folder, number)(path)
            except DanausError as failure:
                if not all(diagnostic.message for diagnostic in failure.diagnostics):
                    failures.append(f"{form} {number}: a diagnostic without a message")
            except Exception as failure:  # what the campaign is there to find
                failures.append(f"{form} {number}: {type(failure).__name__}: {failure}")
                (Path(tempfile.gettempdir()) / f"network_fuzz_{form}_{number}").write_bytes(data)
            finally:
                signal.alarm(0)
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the campaign of each format."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", default=FORMATS)
    options = parser.parse_args(arguments)
    wrong = False
    for form in options.formats:
        start = time.perf_counter()
        failures = campaign(form, options.count, options.seed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        took = time.perf_counter() - start
        print(f"{form}: {options.count} files, {len(failures)} failures, {took:.0f} s, at most {peak} MB", flush=True)
        for failure in failures[:20]:
            print(f"  {failure}")
        wrong = wrong or bool(failures) or peak > 2048
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
