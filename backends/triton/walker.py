"""Queries on a GPU over a network of scalar nodes, in float64: what a runtime asks of a device.

Numbers are as they are where none can leave float64's range whatever the data, else logarithms. Kernels and records are
made when a query is first asked, and kept for other tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...ir.linear import Indices
from ...ir.parameter import Floats
from ...ir.program.descent import Sites
from ...ir.program.tabled import Tabled
from ...runtime.walking import Path, Shared
from .adjoint_scalar import AdjointScalar
from .alone import Lock, alone, lock
from .network import Form
from .network_ones import ones
from .network_queries import Walked, Walks
from .scalar import Device

DOUBLE = 8


@dataclass(slots=True)
class NetworkWalker:
    """The queries of a network: `over` gives it other tables."""

    sites: Sites
    device: Device
    tabled: Tabled
    made: dict[Form, tuple[Tabled, Walks]] = field(default_factory=dict[Form, tuple[Tabled, Walks]])
    back: dict[Form, AdjointScalar] = field(default_factory=dict[Form, AdjointScalar])
    lock: Lock = field(default_factory=lock, repr=False)

    def over(self, tabled: Tabled) -> NetworkWalker:
        """The same over present tables."""
        self.tabled = tabled
        return self

    @property
    def form(self) -> Form:
        return "linear" if self.tabled.plain() else "log"

    def _walks(self, form: Form) -> Walks:
        """Walks with the present tables."""
        tabled, walks = self.made.get(form, (None, None))
        if walks is None:
            walks = Walks(self.tabled.program, self.sites, DOUBLE, form, self.device)
        if tabled is not self.tabled:
            walks.refill((self.tabled.with_largest() if form == "max" else self.tabled).tables)
            self.made[form] = self.tabled, walks
        return walks

    @alone
    def sample(self, codes: Indices, count: int, seed: int) -> Walked:
        return self._walks(self.form).sample(codes, count, seed)

    @alone
    def sample_given(self, codes: Indices, seed: int) -> Walked:
        return self._walks(self.form).sample_given(codes, seed)

    @alone
    def best(self, codes: Indices) -> Walked:
        return self._walks("max").best(codes)

    @alone
    def ones(self, variables: int) -> Floats:
        return ones(self.tabled.program, self.tabled.tables, variables, self.form, self.device)

    @alone
    def shares(self, codes: Indices) -> Shared | None:
        program, form = self.tabled.program, self.form
        if form not in self.back:
            none = [np.zeros(table.shape, dtype=bool) for table in self.tabled.tables]
            self.back[form] = AdjointScalar(program, DOUBLE, form, (none[0], none[1]), self.device)
        back = self.back[form]
        return back.shares(codes) if back.load(self.tabled.tables, None) else None

    @alone
    def log(self, codes: Indices | NDArray[np.int32], weights: Mapping[int, Floats]) -> Floats:
        return self._walks(self.form).forward.run(codes, {}, evidence=weights).log

    def reached(self, codes: Indices) -> Path | None:
        """None: of a network the CPU finds it."""
        return None
