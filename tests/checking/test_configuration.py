"""What a repository says in pyproject.toml, and what its baseline passes over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from danaus.checking.baseline import baseline_text, read_baseline
from danaus.checking.patterns import matches
from danaus.checking.run import Choices, check
from danaus.cli import main
from danaus.ir.diagnostic import DanausError

HALF = "var x : bool\ncircuit p { return sum(bernoulli(x, [0.5]), [[0.5]]) }\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def configure(text: str, folder: str = ".") -> None:
    from danaus.checking.configuration import configuration

    configuration.cache_clear()
    write(f"{folder}/pyproject.toml", text)


def found(*names: str, **choices: object) -> dict[str, list[str]]:
    outcome = check(tuple(map(Path, names)), Choices(cached=False, **choices))
    return {report.file: [one.code for one in report.findings] for report in outcome.reports}


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("models/**", "models/a.circuit", True),
        ("models/**", "a/models/a.circuit", False),
        ("models", "a/models/a.circuit", True),
        ("models/", "models/b/a.circuit", True),
        ("*.circuit", "a/b.circuit", True),
        ("a/*.circuit", "a/b/c.circuit", False),
        ("a/**/c.circuit", "a/c.circuit", True),
        ("a/**/c.circuit", "a/b/b/c.circuit", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
        ("/a", "a/b", True),
    ],
)
def test_patterns(pattern: str, path: str, meant: bool) -> None:
    assert matches(pattern, path) is meant


def test_requirements_are_by_path() -> None:
    configure('[tool.danaus]\nrequire = ["smooth"]\n[[tool.danaus.paths]]\npath = "b/**"\nrequire = ["normalized"]\n')
    write("a/x.circuit", HALF)
    write("b/c/x.circuit", HALF)
    assert found("a", "b") == {"a/x.circuit": [], "b/c/x.circuit": ["required-refuted"]}


def test_the_nearest_configuration_upwards_counts() -> None:
    configure('[tool.danaus]\nrequire = ["normalized"]\n')
    configure("[tool.other]\nx = 1\n", "a")
    configure("[tool.danaus]\n", "b")
    write("a/x.circuit", HALF)
    write("b/x.circuit", HALF)
    assert found("a", "b") == {"a/x.circuit": ["required-refuted"], "b/x.circuit": []}


def test_folders_leave_out_what_is_hidden_or_excluded() -> None:
    configure('[tool.danaus]\nexclude = ["drafts", "a/old*"]\n')
    for name in ("a/x", "a/old1", "a/drafts/x", ".b/x", "a/.x", "drafts/x"):
        write(f"{name}.circuit", HALF)
    assert list(found(".")) == ["a/x.circuit"]
    assert list(found("drafts/x.circuit", "a", "a/x.circuit")) == ["drafts/x.circuit", "a/x.circuit"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            '[tool.danaus]\nrequired = ["smooth"]\n',
            2,
            'tool.danaus.required: there is no such key\n    required = ["sm',
        ),
        ('[tool.danaus]\n\nrequire = "smooth"\n', 3, "tool.danaus.require: it is a list of texts"),
        ('[tool.danaus]\nrequire = ["smoth"]\n', 2, 'there is no property "smoth"'),
        ('[[tool.danaus.paths]]\nrequire = ["smooth"]\n', 1, "tool.danaus.paths[0].path: it is a pattern"),
        ('[[tool.danaus.paths]]\npath = "a"\n', 1, "tool.danaus.paths[0].require: it is missing"),
        ("[tool]\ndanaus = 3\n", 1, "tool.danaus: it is a table"),
        ("[tool.danaus]\nrequire = [\n", 0, "pyproject.toml cannot be read"),
    ],
)
def test_a_bad_configuration_is_a_diagnostic(text: str, line: int, said: str) -> None:
    configure(text)
    write("a.circuit", HALF)
    with pytest.raises(DanausError) as failure:
        found("a.circuit")
    assert said in str(failure.value)
    if line:
        assert f"pyproject.toml:{line}" in str(failure.value)


def test_a_baseline_passes_over_what_it_knows_wherever_its_line_is(capsys: pytest.CaptureFixture[str]) -> None:
    write("a.circuit", HALF + "assert normalized(p)\nassert not smooth(p)\n")
    write("b.circuit", "var\n")

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["check", "a.circuit", "b.circuit", *arguments])
        return int(left.value.code or 0), capsys.readouterr().out

    assert run()[0] == 2
    assert run("--write-baseline", "ci/known.json")[0] == 2  # there is no such folder
    assert run("--write-baseline", "known.json")[0] == 0
    assert len(json.loads(Path("known.json").read_text())["failures"]) == 3
    status, out = run("--baseline", "known.json")
    assert status == 0 and "0 errors, 3 in the baseline" in out and "error[" not in out

    write("a.circuit", "\n\n# moved\n" + HALF + "assert   not smooth(p)\nassert near(integrate(p), 3, 0.1)\n")
    status, out = run("--baseline", "known.json")
    assert status == 1
    assert "a.circuit:7:1: error[assertion-refuted]" in out and out.count("error[") == 1
    assert "mended: a.circuit: the assertion does not hold [assertion-refuted] holds no more" in out
    assert [
        found["baseline"]
        for report in json.loads(run("--baseline", "known.json", "--format", "json")[1])
        for found in report["diagnostics"]
    ] == ["known", "new", "known"]
    sarif = json.loads(run("--baseline", "known.json", "--format", "sarif")[1])["runs"][0]["results"]
    assert [result["baselineState"] for result in sarif] == ["unchanged", "new", "unchanged", "absent"]


def test_a_baseline_counts_failures_that_are_alike() -> None:
    write("a.circuit", HALF + "assert normalized(p)\n")
    one = check((Path("a.circuit"),), Choices(cached=False))
    write("known.json", baseline_text(Path("known.json"), one.reports))
    write("a.circuit", HALF + "assert normalized(p)\nassert normalized(p)\n")
    two = check((Path("a.circuit"),), Choices(cached=False, baseline=Path("known.json")))
    assert [finding.place.line for _, finding in two.new()] == [4]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2, "failures": []}', '{"version": 1, "failures": [3]}'])
def test_a_bad_baseline_is_a_diagnostic(text: str) -> None:
    write("known.json", text)
    with pytest.raises(DanausError, match="wrong-baseline"):
        read_baseline(Path("known.json"))


def test_an_empty_folder_is_a_mistake() -> None:
    Path("empty").mkdir()
    with pytest.raises(DanausError, match="no-files"):
        found("empty")
