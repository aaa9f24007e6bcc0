"""A folder of specs with planted faults: what is wrong, with its exact place, known from how they were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HEAD = "var x : bool\nvar y : bool\n"
GOOD = HEAD + "circuit p { return bernoulli(x, [0.5]) * bernoulli(y, [0.25]) }\nassert normalized(p)\n"


@dataclass(frozen=True)
class Fault:
    file: str
    code: str
    line: int
    column: int
    end_column: int


# Name of a file, its text with the fault between « and », and its code.
_PLANTED = {
    "syntax": (HEAD + "circuit p «return» bernoulli(x, [0.5])\n", "syntax"),
    "deep/assertion": (GOOD + "\n\n«assert near(integrate(p), 2, 0.1)»\n", "assertion-refuted"),
    "deep/down/missing": (HEAD + "circuit «q» { return sum(bernoulli(x, [0.5]), [[2]]) }\n", "required-refuted"),
    "name": (HEAD + "circuit p { return bernoulli(«z», [0.5]) }\n", "unknown-name"),
    "domain": ("var x : «boole»\n", "unknown-domain"),
    "twice": (HEAD + "var «x» : bool\n", "duplicate-name"),
    "größe, 100%": (GOOD + "  «assert not smooth(p)»  # ü\n", "assertion-refuted"),
}


def plant(folder: Path) -> list[Fault]:
    """Writes the specs, and sound ones between them; the faults in the order in which a run reports them."""
    faults: list[Fault] = []
    for stem, (marked, code) in _PLANTED.items():
        path = folder / f"{stem}.circuit"
        path.parent.mkdir(parents=True, exist_ok=True)
        before, _, rest = marked.partition("«")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        faults.append(Fault(path.as_posix(), code, line, column, column + rest.index("»")))
        path.write_text(marked.replace("«", "").replace("»", ""), encoding="utf-8")
    for stem in ("a", "deep/b", "deep/down/c", "z"):
        (folder / f"{stem}.circuit").write_text(GOOD)
    order = {path: number for number, path in enumerate(walked(folder))}
    return sorted(faults, key=lambda fault: order[fault.file])


def walked(folder: Path) -> list[str]:
    """The specs of a folder: its own by name, then those of its folders."""
    here = sorted(folder.glob("*.circuit"), key=lambda path: path.name)
    below = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.name)
    return [*(path.as_posix() for path in here), *(path for inner in below for path in walked(inner))]
