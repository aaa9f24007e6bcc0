"""Every planted fault is found at its exact place in every format, however many processes look."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest

from checking_folder import Fault, plant, walked
from danaus.cli import main

SCHEMA = json.loads((Path(__file__).parent.parent / "schemas" / "sarif-2.1.0.json").read_text())


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Fault]:
    monkeypatch.chdir(tmp_path)
    return plant(Path("specs"))


@pytest.fixture
def danaus(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out + said.err

    return run


def check(danaus, form: str, *more: object) -> str:
    status, out = danaus("check", "specs", "--require", "normalized", "--format", form, "--no-cache", *more)
    assert status == 2
    return out


def test_text(danaus, faults: list[Fault]) -> None:
    out = check(danaus, "text")
    heads = re.findall(r"^(\S.*?):(\d+):(\d+): error\[([a-z-]+)\]", out, re.MULTILINE)
    assert [(file, code, int(line), int(column)) for file, line, column, code in heads] == [
        (fault.file, fault.code, fault.line, fault.column) for fault in faults
    ]
    assert out.endswith(f"{len(walked(Path('specs')))} files, 7 circuits, 6 of 8 asserts proved, 7 errors\n")


def test_json(danaus, faults: list[Fault]) -> None:
    reports = json.loads(check(danaus, "json"))
    assert [report["file"] for report in reports] == walked(Path("specs"))
    assert [
        (report["file"], found["code"], found["line"], found["column"])
        for report in reports
        for found in report["diagnostics"]
    ] == [(fault.file, fault.code, fault.line, fault.column) for fault in faults]


def test_sarif(danaus, faults: list[Fault]) -> None:
    log = json.loads(check(danaus, "sarif"))
    jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    found = []
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["help"]["text"]
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        assert region["endLine"] == region["startLine"]
        found.append(
            Fault(
                unquote(place["artifactLocation"]["uri"]),
                result["ruleId"],
                region["startLine"],
                region["startColumn"],
                region["endColumn"],
            )
        )
    assert found == faults
    marks = [result["partialFingerprints"]["danaus/v1"] for result in run["results"]]
    assert len(set(marks)) == len(marks)


def test_sarif_relates_the_places_of_a_witness(danaus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.circuit").write_text(
        "var x : bool\nvar y : bool\ncircuit p {\n  a = bernoulli(x, [0.5])\n  b = bernoulli(y, [0.5])\n"
        "  return sum(concat(a, b), [[0.5, 0.5]])\n}\nassert smooth(p)\n"
    )
    _, out = danaus("check", "a.circuit", "--format", "sarif", "--no-cache")
    log = json.loads(out)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (result,) = log["runs"][0]["results"]
    lines = [place["physicalLocation"]["region"]["startLine"] for place in result["relatedLocations"]]
    assert (result["locations"][0]["physicalLocation"]["region"]["startLine"], lines) == (8, [6, 4, 5])
    assert "different scopes" in result["message"]["text"]


def test_junit(danaus, faults: list[Fault]) -> None:
    root = ElementTree.fromstring(check(danaus, "junit"))
    assert [suite.get("name") for suite in root] == walked(Path("specs"))
    failing = [
        (case.get("file"), int(case.get("line", "0")), problem.tag, problem.text or "")
        for case in root.iter("testcase")
        for problem in case
    ]
    assert [(file, line) for file, line, _, _ in failing] == [(fault.file, fault.line) for fault in faults]
    for fault, (_, _, tag, text) in zip(faults, failing, strict=True):
        assert f"{fault.file}:{fault.line}:{fault.column}: error[{fault.code}]" in text
        assert tag == ("failure" if fault.code.startswith(("assertion-", "required-")) else "error")
    assert (root.get("failures"), root.get("errors")) == ("3", "4")
    assert int(root.get("tests", "0")) == len(list(root.iter("testcase")))


def test_github(danaus, faults: list[Fault]) -> None:
    commands = re.findall(r"^::error (.*?)::(.*)$", check(danaus, "github"), re.MULTILINE)
    found = []
    for fields, message in commands:
        values = dict(field.split("=", 1) for field in fields.split(","))
        plain = {
            name: value.replace("%3A", ":").replace("%2C", ",").replace("%25", "%") for name, value in values.items()
        }
        assert message and plain["line"] == plain["endLine"]
        title = plain["title"].removeprefix("danaus ")
        found.append(Fault(plain["file"], title, int(plain["line"]), int(plain["col"]), int(plain["endColumn"])))
    assert found == faults


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "github"])
def test_a_report_in_a_file_is_that_of_the_output_and_comes_from_the_cache_alike(danaus, faults, form: str) -> None:
    fresh = check(danaus, form)
    for _ in range(2):
        status, out = danaus(
            "check", "specs", "--require", "normalized", "--format", form, "-o", "report", "--cache-dir", "kept"
        )
        assert (status, out) == (2, "")
        assert Path("report").read_text(encoding="utf-8") == fresh
    with closing(sqlite3.connect("kept/answers.sqlite")) as table:
        assert table.execute("SELECT count(*) FROM entries").fetchone() == (len(walked(Path("specs"))),)


def test_many_processes_say_what_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers start at once here: it is their answers that are wanted, not their speed."""
    monkeypatch.chdir(tmp_path)
    plant(Path("specs"))
    for number in range(60):
        Path(f"specs/more{number:02d}.circuit").write_text(Path("specs/z.circuit").read_text() + f"# {number}\n")
    code = (
        "import sys; from danaus.checking import parallel; parallel.START = parallel._LOOK = 1e-4\n"
        "began = []; start = parallel._start\n"
        "parallel._start = lambda: (began.append(1), start())[1]\n"
        "import atexit; atexit.register(lambda: print(len(began), file=sys.stderr))\n"
        "from danaus.cli import main; main()"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    said = []
    for jobs in (1, 3):
        command = [sys.executable, "-c", code, "check", "specs", "--no-cache", "--jobs", str(jobs), "--format", "sarif"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
        assert done.returncode == 2, done.stderr
        assert done.stderr.strip() == str(jobs - 1)
        said.append(done.stdout)
    assert said[0] == said[1]
