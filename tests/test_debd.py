"""Real data through the command line: density estimation data sets, with known answers."""

from __future__ import annotations

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from danaus.cli import main

NAMES = [
    "nltcs",
    "msnbc",
    "kdd",
    "plants",
    "baudio",
    "jester",
    "accidents",
    "tretail",
    "pumsb_star",
    "kosarek",
    "book",
    "cr52",
    "c20ng",
    "bbc",
]


def rows(path: Path) -> np.ndarray:
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",", ndmin=2)


def spec(folder: Path, shared: Path, name: str) -> tuple[Path, dict[str, str]]:
    """A spec that learns the tree of a data set, with the smoothing of the known answers."""
    with (shared / "debd" / "chow_liu.tsv").open() as file:
        (known,) = (row for row in csv.DictReader(file, delimiter="\t") if row["dataset"] == name)
    train = shared / "debd" / f"{name}.train.data.gz"
    with gzip.open(train, "rt") as file:
        count = file.readline().count(",") + 1
    alpha = known["alpha(valid-selected)"]
    path = folder / f"{name}.circuit"
    path.write_text(f'var x[{count}] : bool\ncircuit tree = chow_liu("{train}", smoothing={alpha})\n')
    return path, known


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert not left.value.code


@pytest.mark.parametrize("name", NAMES)
def test_chow_liu_reproduces_the_known_likelihoods(name: str, shared: Path, tmp_path: Path) -> None:
    path, known = spec(tmp_path, shared, name)
    out = tmp_path / "out.npy"
    run("run", path, "likelihood", "--data", shared / "debd" / f"{name}.test.data.gz", "-o", out)
    assert abs(np.load(out).mean() - float(known["test_ll"])) < 1e-3


def test_marginals_of_nltcs_are_sums_over_what_is_missing(shared: Path, tmp_path: Path) -> None:
    path, _ = spec(tmp_path, shared, "nltcs")
    test = rows(shared / "debd" / "nltcs.test.data.gz")[:300]
    missing = np.argsort(np.random.default_rng(0).random(test.shape), axis=1) < round(0.3 * test.shape[1])
    holes = np.where(missing, np.nan, test)
    np.save(tmp_path / "holes.npy", holes)
    run("run", path, "marginal", "--data", tmp_path / "holes.npy", "-o", tmp_path / "marginal.npy")
    filled = [
        np.where(missing[row], np.nan, test[row])[None].repeat(2 ** missing[row].sum(), axis=0)
        for row in range(len(test))
    ]
    for row, block in enumerate(filled):
        block[:, missing[row]] = list(itertools.product((0.0, 1.0), repeat=int(missing[row].sum())))
    np.save(tmp_path / "all.npy", np.concatenate(filled))
    run("run", path, "likelihood", "--data", tmp_path / "all.npy", "-o", tmp_path / "all_answers.npy")
    each = np.exp(np.load(tmp_path / "all_answers.npy").ravel())
    bounds = np.cumsum([0, *(len(block) for block in filled)])
    summed = np.add.reduceat(each, bounds[:-1])
    assert np.allclose(np.exp(np.load(tmp_path / "marginal.npy").ravel()), summed, rtol=1e-12, atol=0)
