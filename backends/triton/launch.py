"""A launch of a plan: one kernel, its tiles, and the groups that it runs on."""

from __future__ import annotations

from dataclasses import dataclass

from .chain import ChainForm
from .kernel import Kernel
from .policy import Tiles
from .sweep import LoopForm
from .value import Form

AnyForm = Form | ChainForm | LoopForm


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel on the groups whose places begin at `first`: `programs` programs for each tile of `batch` rows.

    `form` is what each computes; of a `loop`, which writes all of its states, the path that it is.
    """

    kernel: Kernel
    programs: int
    batch: int
    first: int
    groups: int
    form: Form | ChainForm
    tiles: Tiles
    loop: LoopForm | None = None

    def grid(self, rows: int) -> int:
        """How many programs run for so many rows of data."""
        return self.programs * -(-rows // self.batch)
