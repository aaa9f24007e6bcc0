"""The command line as a user types it: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from danaus.cli import main

RAIN = Path(__file__).resolve().parent.parent / "examples" / "rain.circuit"
HALF = "var x : bool\ncircuit p { return bernoulli(x, [0.5]) }\n"


@pytest.fixture
def danaus(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command in a folder of its own: its status, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return run


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_check_holds(danaus) -> None:
    status, out, err = danaus("check", RAIN)
    assert (status, err) == (0, "")
    assert "4 of 4 asserts proved, 0 errors" in out


def test_check_fails(danaus) -> None:
    write("a.circuit", HALF + "assert near(integrate(p), 2, 0.5)\nassert not smooth(p)\n")
    status, out, _ = danaus("check", "a.circuit")
    assert status == 1
    assert "a.circuit:3:1: error[assertion-refuted]" in out
    assert "the value is 1.0, which differs from 2.0 by 1" in out
    assert "0 of 2 asserts proved, 2 errors" in out


def test_check_unusable(danaus) -> None:
    write("a.circuit", "var x : boole\n")
    status, out, _ = danaus("check", "a.circuit")
    assert status == 2
    assert 'a.circuit:1:9: error[unknown-domain]: there is no domain "boole"' in out


def test_check_takes_the_largest_status(danaus) -> None:
    write("good.circuit", HALF)
    write("fails.circuit", HALF + "assert not smooth(p)\n")
    write("bad.circuit", "var\n")
    assert danaus("check", "good.circuit")[0] == 0
    assert danaus("check", "good.circuit", "fails.circuit")[0] == 1
    assert danaus("check", "bad.circuit", "good.circuit", "fails.circuit")[0] == 2
    assert danaus("check", "nowhere.circuit")[0] == 2


def test_check_json(danaus) -> None:
    write("a.circuit", HALF + "circuit q { return [x = 1] * [x = 0] }\nassert decomposable(q)\n")
    status, out, _ = danaus("check", "a.circuit", "--format", "json")
    assert status == 1
    (found,) = json.loads(out)
    assert set(found) == {"file", "diagnostics", "circuits", "asserts"}
    assert found["file"] == "a.circuit"
    assert found["asserts"] == [{"line": 4, "status": "refuted"}]
    (diagnostic,) = found["diagnostics"]
    assert set(diagnostic) == {"code", "severity", "message", "line", "column"}
    assert (diagnostic["code"], diagnostic["line"], diagnostic["column"]) == ("assertion-refuted", 4, 1)
    refuted = found["circuits"]["q"]["decomposable"]
    assert refuted["status"] == "refuted" and refuted["witness"] and refuted["reason"]
    assert found["circuits"]["p"]["smooth"] == {"status": "proved", "witness": None, "reason": ""}


def test_check_writes_a_report(danaus) -> None:
    status, out, _ = danaus("check", RAIN, "--format", "json", "-o", "report.json")
    assert (status, out) == (0, "")
    assert json.loads(Path("report.json").read_text())[0]["asserts"]


def test_require(danaus) -> None:
    write("a.circuit", HALF + "circuit q { return [x = 1] * [x = 0] }\n")
    status, out, _ = danaus("check", "a.circuit", "--require", "smooth,decomposable")
    assert status == 1
    assert 'circuit "q" is not decomposable, as is required' in out
    assert danaus("check", "a.circuit", "--require", "smooth")[0] == 0
    status, _, err = danaus("check", "a.circuit", "--require", "smoth")
    assert status == 2 and 'did you mean "smooth"?' in err
    assert danaus("check", "a.circuit", "--require", "deterministic,omni_compatible")[0] == 1


def test_check_finds_what_a_query_needs(danaus) -> None:
    write(
        "a.circuit", HALF + "circuit q { return [x = 1] * [x = 0] }\nquery m = marginal(q)\nquery l = likelihood(q)\n"
    )
    status, out, _ = danaus("check", "a.circuit")
    assert status == 2
    assert 'a.circuit:4:11: error[not-decomposable]: marginal needs "q" to be decomposable, which it is not' in out
    assert "a.circuit:5" not in out


def test_run(danaus) -> None:
    write("rows.csv", "wet,rain,sprinkler\nsoaked,1,0\ndry,0,1\n")
    status, out, err = danaus("run", RAIN, "likelihood", "--data", "rows.csv")
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    assert header == "log_probability"
    expected = [0.3 * 0.2 * 0.6 * 0.1 + 0.7 * 0.9 * 0.99 * 0.7, 0.3 * 0.8 * 0.4 * 0.8 + 0.7 * 0.1 * 0.01 * 0.1]
    assert np.allclose([float(row) for row in rows], np.log(expected), rtol=1e-12)


def test_run_of_a_circuit(danaus) -> None:
    assert danaus("run", RAIN, "p.partition")[:2] == (0, f"{danaus('run', RAIN, 'p.partition')[1]}")
    assert abs(float(danaus("run", RAIN, "p.partition")[1])) < 1e-12
    write("a.circuit", HALF)
    assert danaus("run", "a.circuit", "hamming")[1].splitlines()[0] == "ones,log_mass"
    status, _, err = danaus("run", RAIN, "partition")
    assert status == 2 and "holds 3 circuits" in err


def test_run_given(danaus) -> None:
    status, out, _ = danaus("run", RAIN, "p.partition", "--given", "wet=soaked, rain=1")
    assert status == 0
    assert np.isclose(np.exp(float(out)), 0.3 * 0.2 * 0.1 + 0.7 * 0.9 * 0.7, rtol=1e-12)
    for wrong in ("wet=sokaed", "snow=1", "wet", "rain=2"):
        assert danaus("run", RAIN, "p.partition", "--given", wrong)[0] == 2


def test_run_mistakes(danaus) -> None:
    write("gap.csv", "wet,rain,sprinkler\nsoaked,?,0\n")
    status, _, err = danaus("run", RAIN, "likelihood", "--data", "gap.csv")
    assert status == 2 and "marginal" in err
    status, _, err = danaus("run", RAIN, "likelyhood", "--data", "gap.csv")
    assert status == 2 and 'did you mean "likelihood"?' in err
    status, _, err = danaus("run", RAIN, "likelihood")
    assert status == 2 and "--data" in err
    status, _, err = danaus("run", RAIN, "p.decode")
    assert status == 2 and "--data" in err
    status, _, err = danaus("run", RAIN, "p.moment")
    assert status == 2 and "query NAME" in err
    assert danaus("run", RAIN, "likelihood", "--data", "nowhere.csv")[0] == 2
    assert danaus("run", "model.nnf", "count")[0] == 2


def test_run_marginal_and_conditional(danaus) -> None:
    write("gap.csv", "wet,rain,sprinkler\nsoaked,?,0\n,,\n")
    _, out, _ = danaus("run", RAIN, "missing", "--data", "gap.csv")
    first, second = (float(row) for row in out.splitlines()[1:])
    assert np.isclose(np.exp(first), 0.3 * 0.6 * 0.1 + 0.7 * 0.99 * 0.7) and abs(second) < 1e-12
    _, out, _ = danaus("run", RAIN, "lawn", "--data", "gap.csv")
    assert out.splitlines()[0] == "rain=0,rain=1,sprinkler=0,sprinkler=1,wet=dry,wet=damp,wet=soaked"
    assert out.splitlines()[1].endswith(",,,,,")


def test_samples_do_not_depend_on_their_number(danaus) -> None:
    few = danaus("run", RAIN, "days", "--count", 3, "--seed", 7)[1].splitlines()
    many = danaus("run", RAIN, "days", "--count", 50, "--seed", 7)[1].splitlines()
    assert few == many[:4] and few[0] == "rain,sprinkler,wet"
    assert danaus("run", RAIN, "days", "--count", 0)[1] == "rain,sprinkler,wet\n"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".npy", ".npz", ".parquet"])
def test_answers_to_a_file(danaus, suffix: str) -> None:
    status, out, _ = danaus("run", RAIN, "days", "--count", 5, "-o", f"days{suffix}")
    assert (status, out) == (0, "")
    status, out, _ = danaus("run", RAIN, "likelihood", "--data", f"days{suffix}")
    assert status == 0 and len(out.splitlines()) == 6


def test_nothing_is_half_written(danaus) -> None:
    write("old.csv", "old\n")
    write("bad.csv", "wet,rain,sprinkler\nsoaked,7,0\n")
    assert danaus("run", RAIN, "likelihood", "--data", "bad.csv", "-o", "old.csv")[0] == 2
    assert Path("old.csv").read_text() == "old\n"


def test_compile_emits(danaus) -> None:
    status, out, _ = danaus("compile", RAIN, "--emit", "syntax")
    assert status == 0 and "rain" in out
    status, out, _ = danaus("compile", RAIN, "--emit", "circuit")
    assert status == 0 and "bernoulli" in out
    status, out, _ = danaus("compile", RAIN, "--emit", "program", "--circuit", "p")
    assert status == 0 and out.startswith("# circuit p\nprogram: 3 columns")
    status, out, _ = danaus("compile", RAIN, "--emit", "kernels", "--circuit", "p", "--target", "cpu:x86-64-v3")
    assert status == 0 and "define void @program" in out and "<8 x float>" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "wrong-option"),
        (("-o", "b", "--circuit", "r"), "unknown-circuit"),
        (("-o", "b", "--circuit", "p", "--target", "cpu:6502"), "unknown-target"),
        (("-o", "b", "--target", "cpu:6502"), "unknown-target"),
        (("-o", RAIN, "--circuit", "p"), "unwritable-file"),
        (("-o", "none/such/b", "--circuit", "p"), "unwritable-file"),
    ],
)
def test_bundles_that_are_not_written(danaus, arguments: tuple[object, ...], code: str) -> None:
    status, _, err = danaus("compile", RAIN, *arguments)
    assert status == 2 and f"error[{code}]" in err
    assert not list(Path().iterdir())


def test_bundle_runs(danaus) -> None:
    write("rows.csv", "rain,sprinkler,wet\n1,0,soaked\n0,0,dry\n")
    write("holes.csv", "rain,sprinkler,wet\n1,,soaked\n,,\n")
    for name in ("p.danaus", "p.zip"):
        compiled = danaus("compile", RAIN, "--circuit", "p", "--dtype", "float64", "-o", name)
        assert compiled == (0, "", "")
        for query, rows in (("likelihood", "rows.csv"), ("marginal", "holes.csv")):
            for more in ((), ("--given", "rain=1")):
                status, out, _ = danaus("run", name, query, "--data", rows, *more)
                expected = danaus("run", RAIN, f"p.{query}", "--data", rows, *more)[1]
                assert status == 0
                got, want = ([float(line) for line in text.split()[1:]] for text in (out, expected))
                assert got == pytest.approx(want, rel=1e-12)
        status, out, _ = danaus("run", name, "partition")
        assert status == 0 and float(out) == pytest.approx(0, abs=1e-12)
    for arguments, code in (
        (("moment", "--data", "rows.csv"), "not-in-bundle"),
        (("likelihood",), "needs-data"),
        (("likelihood", "--data", "holes.csv"), "missing-value"),
        (("marginal", "--data", "rows.csv", "--given", "snow=1"), "unknown-variable"),
        (("marginal", "--data", "rows.csv", "--given", "rain=7"), "wrong-value"),
        (("marginal", "--data", "rows.csv", "--given", "rain=0.5"), "wrong-value"),
        (("marginal", "--data", "rows.csv", "--count", "3"), "wrong-option"),
        (("partition", "--data", "rows.csv"), "wrong-option"),
    ):
        status, _, err = danaus("run", "p.danaus", *arguments)
        assert status == 2 and f"error[{code}]" in err and ".py:" not in err


def test_a_bundle_of_several_circuits_runs(danaus) -> None:
    write("rows.csv", "rain,sprinkler,wet\n1,0,soaked\n0,0,dry\n")
    write("holes.csv", "rain,sprinkler,wet\n1,,soaked\n,,\n")
    for name in ("b.danaus", "b.zip"):
        assert danaus("compile", RAIN, "--dtype", "float64", "-o", name) == (0, "", "")
        for arguments in (
            ("likelihood", "--data", "rows.csv"),
            ("missing", "--data", "holes.csv"),
            ("p.marginal", "--data", "holes.csv"),
            ("lawn", "--data", "holes.csv"),
            ("days", "--count", 4, "--seed", 3),
            ("mass",),
            ("when_wet.partition",),
        ):
            status, out, err = danaus("run", name, *arguments)
            expected = danaus("run", RAIN, *arguments)[1]
            assert (status, err) == (0, "")
            assert _cells(out) == _cells(expected)
        for query, code, said in (
            ("map", "ambiguous", "p.map, total.map, when_wet.map"),
            ("q.map", "not-in-bundle", 'did you mean "p.map"?'),
            ("nothing", "not-in-bundle", "likelihood, missing, lawn, best, days, mass, p.likelihood"),
            ("p.hamming", "not-in-bundle", ""),
        ):
            status, _, err = danaus("run", name, query)
            assert status == 2 and f"error[{code}]" in err and said in err


def _cells(text: str) -> list[object]:
    """Words, and numbers nearly."""
    return [
        pytest.approx(float(cell), rel=1e-12, abs=1e-12) if re.fullmatch(r"-?\d[-+.e\d]*", cell) else cell
        for line in text.splitlines()
        for cell in line.split(",")
    ]


def test_a_bundle_of_one_circuit_has_its_queries(danaus) -> None:
    write("in.circuit", HALF + "query odds = moment(p, x, 1)\nquery all = marginal(p)\n")
    write("rows.csv", 'x\n1\n""\n')
    for more in ((), ("--circuit", "p")):
        assert danaus("compile", "in.circuit", "-o", "b.zip", *more) == (0, "", "")
        assert danaus("run", "b.zip", "odds")[:2] == (0, "0.5\n")
        want = danaus("run", "b.zip", "marginal", "--data", "rows.csv")
        assert want[0] == 0 and danaus("run", "b.zip", "all", "--data", "rows.csv") == want
        assert danaus("run", "b.zip", "odds", "--data", "rows.csv")[0] == 2


def test_a_bundle_leaves_out_what_it_cannot_hold(danaus) -> None:
    write("some.circuit", HALF + "query many = count(p)\nquery all = likelihood(p)\n")
    status, out, err = danaus("compile", "some.circuit", "-o", "b.zip")
    assert (status, out) == (0, "") and 'warning[not-in-bundle]: the query "many" (count) is left out' in err
    assert "many" not in danaus("run", "b.zip", "some")[2]
    write("none.circuit", "var x : bool\n")
    status, _, err = danaus("compile", "none.circuit", "-o", "c.zip")
    assert status == 2 and "error[not-in-bundle]" in err and not Path("c.zip").exists()


def test_show(danaus) -> None:
    status, out, _ = danaus("show", RAIN)
    assert status == 0 and "when_wet" in out
    for suffix, sign in ((".svg", "<svg"), (".dot", "digraph")):
        assert danaus("show", RAIN, "--circuit", "p", "-o", f"p{suffix}")[0] == 0
        assert sign in Path(f"p{suffix}").read_text()
    status, _, err = danaus("show", RAIN, "--circuit", "q")
    assert status == 2 and "holds no circuit" in err
    assert danaus("show", RAIN, "--circuit", "p", "-o", "p.png")[0] == 2


def test_convert(danaus) -> None:
    write("data.csv", "a,b\n0,1\n1,1\n1,0\n")
    trees = 'var a : bool\nvar b : bool\ncircuit t = chow_liu("data.csv")\n'
    wide = "sum(bernoulli(a, width=40) * bernoulli(b, width=40), width=1)"
    spec = f"{trees}circuit h {{ return {wide} }}\n"
    write("in.circuit", spec)
    assert danaus("convert", "in.circuit", "out.circuit")[0] == 0
    assert danaus("check", "out.circuit")[0] == 0
    for circuit in ("t", "h"):
        before = danaus("run", "in.circuit", f"{circuit}.likelihood", "--data", "data.csv")[1]
        assert danaus("run", "out.circuit", f"{circuit}.likelihood", "--data", "data.csv")[1] == before
    assert danaus("convert", "in.circuit", "out.nnf")[0] == 2


def test_params_and_seed(danaus) -> None:
    write("a.circuit", "var x : bool\nparam t[1]\ncircuit p { return bernoulli(x, t) }\n")
    write("rows.csv", "x\n1\n")
    likelihoods = {
        seed: danaus("run", "a.circuit", "p.likelihood", "--data", "rows.csv", "--init-seed", seed)[1]
        for seed in (0, 0, 1)
    }
    assert likelihoods[0] != likelihoods[1]
    assert danaus("run", "a.circuit", "p.likelihood", "--data", "rows.csv", "--params", "nowhere.safetensors")[0] == 2


def test_options_of_other_formats(danaus) -> None:
    for option, value in (("--variables", 3), ("--vtree", "v.vtree"), ("--evidence", "e.evid")):
        status, _, err = danaus("show", RAIN, option, value)
        assert status == 2 and "files of other tools" in err


def test_wrong_usage(danaus) -> None:
    for arguments in (("chekc", RAIN), ("check",), ("run", RAIN), ("check", RAIN, "--format", "yaml")):
        assert danaus(*arguments)[0] == 2
    assert danaus("--help")[0] == 0
    assert danaus("--version")[1].startswith("danaus")


def test_moments_have_a_largest_order(danaus) -> None:
    write("a.circuit", HALF + "query m = moment(p, x, 1000000000)\nquery n = moment(p, x, 3)\n")
    status, _, err = danaus("run", "a.circuit", "m")
    assert status == 2 and "too-large" in err
    assert danaus("run", "a.circuit", "n")[:2] == (0, "0.5\n")
