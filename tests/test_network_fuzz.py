"""A slice of the campaign of changed networks and formulas; `network_fuzz.py` runs it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from network_fuzz import FORMATS, campaign


@pytest.mark.parametrize("form", FORMATS)
def test_changed_files_end_in_diagnostics(form: str, shared: Path) -> None:
    assert shared.is_dir()
    assert campaign(form, 200, 0) == []
