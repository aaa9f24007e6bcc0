"""A plugin of pytest: with `--danaus`, specs are collected, and what they demand are tests.

Each assertion of a spec and each property required of its circuits is a test, with the witness in the failure; the file
itself is one more. Requirements and known failures come from `[tool.danaus]`. Without `--danaus` nothing is collected,
and nothing else of Danaus is imported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .cases import Case


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--danaus`, `--danaus-require`, and the ini options `danaus_specs` and `danaus_require`."""
    group = parser.getgroup("danaus")
    group.addoption("--danaus", action="store_true", help="collect .circuit files: their assertions are tests")
    group.addoption("--danaus-require", default="", metavar="PROPERTY,…", help="demand these of every circuit")
    parser.addini("danaus_specs", "patterns of the specs that are collected, also without --danaus", type="args")
    parser.addini("danaus_require", "properties that are demanded of every circuit", type="args")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A spec, where specs were asked for."""
    patterns: list[str] = parent.config.getini("danaus_specs")
    if not patterns and not parent.config.getoption("--danaus"):
        return None
    if file_path.suffix != ".circuit" if not patterns else not any(map(file_path.match, patterns)):
        return None
    return SpecFile.from_parent(parent, path=file_path)


class SpecFile(pytest.File):
    """A spec, checked when it is collected: what it demands must be known by then."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for the file, for each assertion, and for each required property."""
        from ..ir.diagnostic import DanausError
        from .cases import cases
        from .run import Choices, check

        wanted = [*self.config.getini("danaus_require"), *self.config.getoption("--danaus-require").split(",")]
        required = tuple(dict.fromkeys(name.strip() for name in wanted if name.strip()))
        try:
            outcome = check((Path(os.path.relpath(self.path)),), Choices(required))
        except DanausError as failure:
            raise self.CollectError(str(failure)) from None
        seen: Counter[str] = Counter()
        for case in cases(outcome, 0, outcome.reports[0]):
            seen[case.name] += 1
            name = case.name if seen[case.name] == 1 else f"{case.name} ({seen[case.name]})"
            item: Demanded = Demanded.from_parent(self, name=name)
            item.case = case
            yield item


class Demanded(pytest.Item):
    """One thing that a spec demands; what came of it is known already."""

    case: Case

    def runtest(self) -> None:
        """Fails where it does not hold; what the baseline knows is expected to fail."""
        if self.case.outcome == "skipped":
            pytest.xfail(self.case.message)
        if self.case.outcome != "passed":
            raise Unmet(self.case.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The diagnostic with its witness, and no traceback."""
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, the line from 0, and the name."""
        return self.path, self.case.line - 1, self.name


class Unmet(Exception):
    """A demand that does not hold."""
