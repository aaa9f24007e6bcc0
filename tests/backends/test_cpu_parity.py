"""A slice of the campaign of compiled circuits against the evaluator."""

from __future__ import annotations

import pytest

from cpu_parity import attempt


@pytest.mark.parametrize("seed", range(1000, 1015))
def test_a_seed(seed: int) -> None:
    attempt(seed)
