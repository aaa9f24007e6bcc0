"""Launches recorded without a GPU, for the tests of what records them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from danaus.backends.triton import engine, graphs, policy, way_back


class Recording:
    """In place of CUDA graphs: what was recorded is launched again, on the buffers of the first time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.replayed = 0
        monkeypatch.setattr(policy, "records", lambda device, launches: launches >= 3)
        for module in (engine, graphs, way_back):
            monkeypatch.setattr(module, "captured", self.captured)

    def captured(self, device: object, launch: Callable[[], None]) -> Callable[[], None]:
        self.count += 1
        launch()

        def replay() -> None:
            self.replayed += 1
            launch()

        return replay
