"""A slice of the fuzzing campaign of fuzz.py, the same one in every run."""

from __future__ import annotations

import pytest

from fuzz import attempt, inputs


@pytest.mark.parametrize("seed", range(4))
def test_every_input_ends_in_a_circuit_or_in_diagnostics(seed: int) -> None:
    count = 600
    good = sum(attempt(text) for text in inputs(count, seed=1000 + seed))
    assert 0 < good < count
