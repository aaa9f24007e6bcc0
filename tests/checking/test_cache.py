"""The cache answers as a fresh run does, notices whatever an answer rests on, and survives any damage."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from danaus.checking.run import Choices, check
from danaus.checking.task import Done, Task

TABLE = Path("kept/answers.sqlite")
PART = "var x : bool\ncircuit p { return bernoulli(x, [0.5]) }\n"
WHOLE = 'import "part.circuit" as part\ncircuit q = part.p\nassert near(integrate(q), 1, 1e-9)\n'
LOADED = 'var x : bool\nparam w[1, 1] : positive\nload "w.safetensors"\ncircuit p {\n'
LOADED += "  return sum(bernoulli(x, [0.5]), w)\n}\nassert near(integrate(p), 2, 1e-9)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were examined, and not answered by the cache."""
    from danaus.checking import parallel, task

    seen: list[str] = []

    def do(one: Task) -> Done:
        seen.append(one.file)
        return task.do(one)

    monkeypatch.setattr(parallel, "do", do)
    return seen


def statuses(*files: str, required: tuple[str, ...] = (), **options: str | int) -> list[int]:
    """What a cached run says of each file: its number of findings, checked against a run without a cache."""
    choices = dict(required=required, options=options, jobs=1)
    places = tuple(map(Path, files))
    cached = check(places, Choices(**choices, cache=Path("kept")))
    assert cached.reports == check(places, Choices(**choices, cached=False)).reports
    return [len(report.findings) for report in cached.reports]


def fresh(seen: list[str]) -> list[str]:
    """What the cached run examined: the second run of `statuses` examines everything."""
    found = list(seen)
    seen.clear()
    return found


def test_a_changed_import_is_noticed(examined) -> None:
    Path("part.circuit").write_text(PART)
    Path("whole.circuit").write_text(WHOLE)
    assert statuses("whole.circuit") == [0] and fresh(examined) == ["whole.circuit"] * 2
    assert statuses("whole.circuit") == [0] and fresh(examined) == ["whole.circuit"]
    Path("part.circuit").write_text(PART.replace("return", "return 3 *"))
    assert len(fresh(examined)) == 0 and statuses("whole.circuit") == [1] and len(fresh(examined)) == 2
    Path("part.circuit").unlink()
    assert statuses("whole.circuit") != [0]
    Path("part.circuit").write_text(PART)
    assert statuses("whole.circuit") == [0]


def test_changed_numbers_are_noticed(examined) -> None:
    Path("a.circuit").write_text(LOADED)
    save_file({"w": np.array([[2.0]])}, "w.safetensors")
    assert statuses("a.circuit") == statuses("a.circuit") == [0]
    assert len(fresh(examined)) == 3
    save_file({"w": np.array([[3.0]])}, "w.safetensors")
    assert statuses("a.circuit") == [1]
    save_file({"w": np.array([[2.0]])}, "w.safetensors")
    assert statuses("a.circuit") == [0]


def test_changed_options_are_noticed() -> None:
    Path("a.circuit").write_text(LOADED.replace('load "w.safetensors"\n', ""))
    for value, count in ((2.0, 0), (3.0, 1), (2.0, 0)):
        save_file({"w": np.array([[value]])}, "v.safetensors")
        assert statuses("a.circuit", params="v.safetensors") == [count]
    assert statuses("a.circuit", required=("normalized",), params="v.safetensors") == [1]
    assert statuses("a.circuit", params="v.safetensors") == [0]
    assert statuses("a.circuit", init_seed=1) == statuses("a.circuit", init_seed=2) == [1]


def test_files_of_one_text_keep_their_names() -> None:
    for name in ("a.circuit", "b.circuit"):
        Path(name).write_text(PART + "assert not smooth(p)\n")
    for _ in range(2):
        found = check((Path("a.circuit"), Path("b.circuit")), Choices(cache=Path("kept"))).reports
        assert [report.findings[0].place.file for report in found] == ["a.circuit", "b.circuit"]


def entries() -> int:
    """How many answers are kept."""
    with closing(sqlite3.connect(TABLE)) as table:
        return table.execute("SELECT count(*) FROM entries").fetchone()[0]


def test_damaged_tables_are_as_if_they_were_not_there(examined) -> None:
    Path("a.circuit").write_text(PART + "assert not smooth(p)\n")
    expected = check((Path("a.circuit"),), Choices(cached=False)).reports
    chosen = random.Random(7)
    for turn in range(60):
        assert check((Path("a.circuit"),), Choices(cache=Path("kept"))).reports == expected
        content = bytearray(TABLE.read_bytes())
        match turn % 4:
            case 0:
                for _ in range(40):
                    content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
            case 1:
                content = content[: chosen.randrange(len(content))]
            case 2:
                content = bytearray(chosen.randbytes(chosen.randrange(200)))
            case _:
                content[chosen.randrange(100)] ^= 1 << chosen.randrange(8)  # in the header
        TABLE.write_bytes(content)
        for _ in range(2):
            assert check((Path("a.circuit"),), Choices(cache=Path("kept"))).reports == expected
    TABLE.unlink()
    TABLE.mkdir()
    assert check((Path("a.circuit"),), Choices(cache=Path("kept"))).reports == expected


def test_damaged_entries_are_examined_again(examined) -> None:
    Path("a.circuit").write_text(PART)
    assert statuses("a.circuit") == [0] and len(fresh(examined)) == 2
    with closing(sqlite3.connect(TABLE)) as table, table:
        (content,) = table.execute("SELECT content FROM entries").fetchone()
        assert b'"findings":[]' in content
        table.execute("UPDATE entries SET content = ?", (content.replace(b"smooth", b"smoot#"),))
    assert statuses("a.circuit") == [0] and len(fresh(examined)) == 2
    assert statuses("a.circuit") == [0] and len(fresh(examined)) == 1


def test_an_interruption_keeps_what_was_found(examined, monkeypatch: pytest.MonkeyPatch) -> None:
    from danaus.checking import parallel

    for name in ("a", "b", "c"):
        Path(f"{name}.circuit").write_text(f"# {name}\n{PART}")
    do = parallel.do
    monkeypatch.setattr(parallel, "do", lambda task: interrupt() if task.file == "c.circuit" else do(task))
    with pytest.raises(KeyboardInterrupt):
        statuses("a.circuit", "b.circuit", "c.circuit")
    assert entries() == 2


def interrupt() -> Done:
    raise KeyboardInterrupt


def test_old_entries_are_removed() -> None:
    for name in ("a", "b"):
        Path(f"{name}.circuit").write_text(f"# {name}\n{PART}")
    assert statuses("a.circuit") == [0]
    with closing(sqlite3.connect(TABLE)) as table, table:
        table.execute("UPDATE entries SET used = 0")
    Path("kept/swept").unlink()
    assert statuses("b.circuit") == [0] and entries() == 1


def test_used_entries_stay() -> None:
    Path("a.circuit").write_text(PART)
    assert statuses("a.circuit") == [0]
    with closing(sqlite3.connect(TABLE)) as table, table:
        table.execute("UPDATE entries SET used = 0")
    assert statuses("a.circuit") == [0]
    with closing(sqlite3.connect(TABLE)) as table:
        assert table.execute("SELECT min(used) FROM entries").fetchone()[0] > 10**9


def test_a_folder_that_cannot_be_written_does_no_harm() -> None:
    Path("a.circuit").write_text(PART)
    Path("kept").write_text("a file")
    assert statuses("a.circuit") == [0]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is readable here")
def test_unreadable_files_are_not_remembered() -> None:
    Path("a.circuit").write_text(PART)
    Path("a.circuit").chmod(0)
    assert statuses("a.circuit") == [1]
    Path("a.circuit").chmod(0o600)
    assert statuses("a.circuit") == [0]


def test_missing_files_and_folders_in_their_place_are_not_remembered() -> None:
    Path("whole.circuit").write_text(WHOLE)
    assert statuses("whole.circuit", "nowhere.circuit") == [1, 1]
    Path("part.circuit").mkdir()
    assert statuses("whole.circuit") == [1]
    assert not TABLE.exists()


def test_two_processes_write_one_cache() -> None:
    Path("specs").mkdir()
    for number in range(30):
        Path(f"specs/{number}.circuit").write_text(f"# {number}\n{PART}assert not smooth(p)\n")
    command = [sys.executable, "-m", "danaus", "check", "specs", "--cache-dir", "kept", "--format", "json"]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    first, second = (process.communicate(timeout=100)[0] for process in both)
    assert first == second and len(json.loads(first)) == 30
    assert entries() == 30
    assert {path.name for path in Path("kept").iterdir()} == {"answers.sqlite", "swept"}
    assert subprocess.run(command, capture_output=True, text=True, env=environment).stdout == first


def test_an_answer_of_the_cache_needs_neither_numpy_nor_the_grammar() -> None:
    Path("a.circuit").write_text(PART)
    code = (
        "import sys\nfrom danaus.cli import main\ntry: main()\nfinally: "
        "print(sorted({'numpy', 'lark', 'rich', 'danaus.compiler'} & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "check", "a.circuit", "--cache-dir", "kept"]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    said = [subprocess.run(command, capture_output=True, text=True, env=environment) for _ in range(2)]
    assert said[0].stdout == said[1].stdout
    assert "numpy" in said[0].stderr and said[1].stderr == "[]\n"
