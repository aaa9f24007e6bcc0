"""The documentation does what it says: every fenced block of a page is run, in the order of the page.

```circuit                a spec without mistakes
```circuit name.circuit   the same, and a file of that name for the blocks after it
```circuit fails          a spec with a mistake; the next ```text block, if there is one, is what is said of it
```circuit fails name     the same, as a file
```KIND name.KIND         a file of another kind, such as csv, nnf or toml
```python                 Python; the names of one page are shared
```console                lines of `$ danaus …` and `$ pytest …` with what they print, where numbers agree to nine
                          decimals, and no time is compared; `--update-golden` writes what they print now
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from danaus.compiler import driver
from danaus.ir.diagnostic import DanausError

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?")
DURATION = re.compile(r" in \d+\.\d+s$", re.MULTILINE)
PLUGIN = [] if entry_points(group="pytest11", name="danaus") else ["-p", "danaus.checking.plugin"]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    words: list[str]
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2].split(), found[3], text[: found.start()].count("\n") + 1)
        for found in FENCE.finditer(text)
    ]


def rounded(text: str) -> str:
    """The text with its numbers to nine decimals: the last digit is the machine's."""
    return NUMBER.sub(lambda found: f"{round(float(found[0]), 9) + 0.0:.9g}", text)


def printed(text: str, folder: Path) -> str:
    """The commands of a block, each with what it prints."""
    said: list[str] = []
    for line in text.splitlines():
        program, *arguments = shlex.split(line[2:]) if line.startswith("$ ") else [""]
        if program not in ("danaus", "pytest"):
            continue
        said.append(line)
        plugin = ["-p", "no:cacheprovider", *PLUGIN] if program == "pytest" else []
        command = [sys.executable, "-m", program, *plugin, *arguments]
        columns = "80" if program == "pytest" else "120"
        inherited = {name: value for name, value in os.environ.items() if name != "CI"}  # where pytest prints more
        environment = {**inherited, "COLUMNS": columns, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment
        )
        said += DURATION.sub("", done.stdout).splitlines()
    return "\n".join(said)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    monkeypatch.chdir(tmp_path)
    update = pytestconfig.getoption("--update-golden")
    names: dict[str, object] = {}
    failure = ""
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        for name in [word for word in block.words if word.endswith(f".{block.kind}")]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block.text)
        match block.kind:
            case "circuit" if "fails" in block.words:
                with pytest.raises(DanausError) as caught:
                    driver.parse(block.text, "<text>", tmp_path)
                failure = str(caught.value)
            case "circuit":
                try:
                    driver.parse(block.text, where, tmp_path)
                except DanausError as mistake:
                    pytest.fail(str(mistake))
            case "text" if failure:
                assert block.text.rstrip("\n") == failure, where
                failure = ""
            case "python":
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(block.text, where, "exec"), names)
            case "console":
                said = printed(block.text, tmp_path)
                if update and rounded(said) != rounded(block.text.rstrip("\n")):
                    page.write_text(page.read_text().replace(block.text, f"{said}\n"))
                else:
                    assert rounded(said) == rounded(block.text.rstrip("\n")), where
            case _:
                pass
