"""Counts and log-likelihoods of real files, against the answers of other programs: a part of formats_known.py."""

from __future__ import annotations

from pathlib import Path

import pytest

import formats_known as known

# The others take longer than tests should; formats_known.py has all.
LIKELIHOODS = ["strudel/accidents_200", "strudel/plants_10", "strudel/pumsb_star_200", "zoo/psdds/nltcs.clt"]
LIKELIHOODS += ["strudel/msnbc_200", "zoo/psdds/nltcs.10split"]


def test_counts_of_sdds(shared: Path) -> None:
    rows = known.counts(shared, "sdd")
    assert rows
    for row in rows:
        assert known.counted(shared, "sdd", row) == (int(row["vars"]), int(row["model_count"])), row["sdd"]


def test_counts_of_sentences(shared: Path) -> None:
    rows = known.counts(shared, "nnf")
    assert rows
    for row in rows:
        assert known.counted(shared, "nnf", row) == (int(row["vars"]), int(row["model_count"])), row["nnf"]


def test_counts_under_assumptions(shared: Path) -> None:
    wanted = known.assumptions(shared)
    circuit = known.auto1(shared)
    part = [wanted[0], wanted[1200], wanted[-1], *wanted[2513::500]]
    part += [pair for pair in wanted if any(-literal in pair[0] for literal in pair[0])][:1]
    assert list(known.counts_under(circuit, [literals for literals, _ in part])) == [n for _, n in part]
    single = {literals[0]: count for literals, count in wanted if len(literals) == 1}
    at_once = known.counts_of_literals(circuit)
    assert len(single) == 2513
    assert {literal: at_once[literal] for literal in single} == single


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_mean_log_likelihoods(name: str, shared: Path) -> None:
    found = [row for row in known.likelihoods(shared) if row["file"].removesuffix(".gz") == f"{name}.psdd"]
    assert len(found) == 1
    assert known.mean_log_likelihood(shared, found[0]) == pytest.approx(
        float(found[0]["mean_test_ll_nats"]), abs=known.TOLERANCE
    )
