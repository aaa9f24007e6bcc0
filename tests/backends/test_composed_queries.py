"""Composed queries of a compiled spec: answers for the parameters that there are now, and their places in bundles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import danaus as dn
import information_defined as define
from danaus.cli import main

TEXT = """
var x : bool
var y : cat(3)
param w[1, 2] : real = [[0.6, 1.4]]
param t[1, 3] : real = [[0.2, 0.3, 0.5]]
circuit p { return sum(concat([x = 0] * table(y, t), [x = 1] * categorical(y, [[0.1, 0.1, 0.8]])), w) }
circuit q { return bernoulli(x, [0.4]) * table(y, [[1, 2, 0.5]]) }
query mean = expectation(p, restrict(q, x = 1))
query h = entropy(p)
query cross = cross_entropy(p, q)
query apart = kl(p, q)
query back = kl(q, p)
query two = renyi(p, 2)
query near = renyi(p, 1.0001)
query half = alpha_divergence(p, q, 1/2)
query close = alpha_divergence(p, q, 0.9995)
query saito = itakura_saito(p, q)
query angle = cauchy_schwarz(p, q)
query loss = squared_loss(p, q)
query odds = partition(p)
"""
Q = np.multiply.outer([0.6, 0.4], [1, 2, 0.5])


def wanted(w: Any, t: Any) -> dict[str, float]:
    p = np.array([np.array(t) * w[0], np.array([0.1, 0.1, 0.8]) * w[1]])
    return {
        "mean": define.expectation(p, np.broadcast_to(Q[1], (2, 3))),
        "h": define.entropy(p),
        "cross": define.cross_entropy(p, Q),
        "apart": define.kl(p, Q),
        "back": define.kl(Q, p),
        "two": define.renyi(p, 2),
        "near": define.renyi(p, 1.0001),
        "half": define.alpha_divergence(p, Q, 0.5),
        "close": define.alpha_divergence(p, Q, 0.9995),
        "saito": define.itakura_saito(p, Q),
        "angle": define.cauchy_schwarz(p, Q),
        "loss": define.squared_loss(p, Q),
        "odds": math.log(p.sum()),
    }


FIRST = wanted([0.6, 1.4], [0.2, 0.3, 0.5])


def agree(model: Any, found: dict[str, float]) -> None:
    for name, number in found.items():
        assert model.run(name) == pytest.approx(number, rel=1e-11, abs=1e-11), name


def doubles(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> Any:
    return dn.compile(dn.parse(TEXT))


def test_a_compiled_spec_answers_for_the_parameters_that_it_has(model: Any) -> None:
    agree(model, FIRST)
    parameters = dict(model["p"].named_parameters())
    with torch.no_grad():
        parameters["w"].copy_(doubles([[3.0, 0.25]]))
    agree(model, wanted([3.0, 0.25], [0.2, 0.3, 0.5]))
    with torch.no_grad():  # q is positive where p is not any more
        parameters["t"].copy_(doubles([[0.0, 4.0, 0.5]]))
    found = wanted([3.0, 0.25], [0.0, 4.0, 0.5])
    assert found["back"] == found["saito"] == math.inf
    agree(model, found)
    with torch.no_grad():
        parameters["w"].copy_(doubles([[0.6, 1.4]]))
        parameters["t"].copy_(doubles([[0.2, 0.3, 0.5]]))
    agree(model, FIRST)


def test_parameters_that_lack_what_a_query_needs_are_refused(model: Any) -> None:
    weights = dict(model["p"].named_parameters())["w"]
    with torch.no_grad():
        weights.copy_(doubles([[-0.6, 1.4]]))
    with pytest.raises(dn.DanausError, match="not-nonnegative"):
        model.run("h")
    with torch.no_grad():
        weights.copy_(torch.zeros(1, 2))
    with pytest.raises(dn.DanausError, match="zero-mass"):
        model.run("h")
    with torch.no_grad():
        weights.copy_(doubles([[0.6, 1.4]]))
    agree(model, FIRST)


def test_bundles_answer_without_the_circuits(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "saved.zip")
    loaded = dn.load_bundle(tmp_path / "saved.zip")
    agree(loaded, FIRST)
    assert set(loaded.circuits) == {"p", "q"}
    loaded.save(tmp_path / "again.danaus")
    agree(dn.load_bundle(tmp_path / "again.danaus"), FIRST)
    assert (tmp_path / "again.danaus" / "manifest.json").read_text().count('"infinite": false') == len(FIRST) - 1
    with pytest.raises(dn.DanausError, match='did you mean "half"'):
        loaded.run("halt")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_the_command_line_prints_the_number_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, bundle = tmp_path / "spec.circuit", tmp_path / "spec.zip"
    spec.write_text(TEXT)
    assert run(capsys, "check", spec)[0] == 0
    assert run(capsys, "compile", spec, "-o", bundle) == (0, "", "")
    for name, number in FIRST.items():
        for path in (spec, bundle):
            status, out, err = run(capsys, "run", path, name)
            assert (status, err) == (0, "") and out.count("\n") == 1
            assert float(out) == pytest.approx(number, rel=1e-6 if name == "odds" else 1e-11)
    assert float(run(capsys, "run", spec, "p.entropy")[1]) == pytest.approx(FIRST["h"])
    status, _, err = run(capsys, "run", spec, "p.renyi")
    assert status == 2 and "query NAME" in err
    status, _, err = run(capsys, "run", spec, "h", "--data", spec)
    assert status == 2 and "takes no data" in err
    status, _, err = run(capsys, "run", bundle, "h", "--given", "x=1")
    assert status == 2 and "takes no given" in err
    status, out, _ = run(capsys, "run", spec, "h", "--given", "x=1")
    assert status == 0 and float(out) == pytest.approx(define.entropy(np.array([0.1, 0.1, 0.8])))


def test_infinite_answers_are_in_bundles_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, bundle = tmp_path / "spec.circuit", tmp_path / "spec.zip"
    spec.write_text(
        "var x : bool\ncircuit p { return bernoulli(x, [0.5]) }\ncircuit q { return [x = 1] }\nquery e = kl(p, q)\n"
    )
    assert run(capsys, "compile", spec, "-o", bundle)[0] == 0
    assert run(capsys, "run", spec, "e")[1] == run(capsys, "run", bundle, "e")[1] == "inf\n"
    loaded = dn.load_bundle(bundle)
    assert loaded.run("e") == math.inf


def test_a_need_that_is_not_proved_is_an_error_at_the_line_of_the_query(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.circuit"
    spec.write_text(
        "var x : bool\nvar n : count\n"
        "circuit p { return sum(bernoulli(x, [0.5, 0.1]), [[0.5, 0.5]]) }\n"
        "circuit c { return poisson(n, [2]) }\n"
        "query likelihood = likelihood(p)\n"
        "query e = entropy(p)\nquery none = entropy(c)\n"
    )
    for command in (["check", spec], ["compile", spec, "-o", tmp_path / "out.zip"]):
        status, out, err = run(capsys, *command)
        assert status == 2 and f"{spec}:6:11: error[not-deterministic]" in out + err
        assert f"{spec}:7:14: error[no-closed-integral]" in out + err
    assert run(capsys, "run", spec, "e")[0] == run(capsys, "run", spec, "none")[0] == 2
