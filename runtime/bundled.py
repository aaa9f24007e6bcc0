"""A loaded bundle as a `torch.nn.Module`: what `danaus.load_bundle` gives.

What enters are rows, as numpy or torch arrays; what leaves are answers per row. There is
no circuit here: where the fast numbers cannot vouch for a row, the Program itself is run in float64 logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from ..ir.data import validate_array
from ..ir.diagnostic import DanausError, error
from ..ir.domain import FiniteDomain, Variable
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.parameter import Floats, Value
from ..ir.program.execute import execute
from ..ir.program.single import single
from ..ir.program.tabled import Tabled
from ..ir.query.likelihood import log_and_sign, logarithm
from ..ir.semirings import LOG, SIGNED_LOG, Array, Log, SignedLog
from ..ir.store import Store
from .backward import Flows, compiled_flows, flows
from .bundle import Bundle, save_bundle
from .columns import Bools, codes_of, free_logs, with_first_values
from .densities import Densities
from .engines import Engine, Reverse
from .fed import counts
from .queries.answers import Answers, ByProgram
from .queries.asking import Asking
from .queries.evidence import as_array
from .queries.on_device import ByDevice, OnDevice
from .queries.questions import Questions
from .signs import with_signs
from .walking import Walker

_ELEMENTS = 1 << 23
"""How many numbers the buffers of a Program that runs in logarithms may hold at once."""


class Bundled(Asking):
    """A compiled circuit without the circuit, for batches of any size: it answers what its `queries` say.

    `recomputed` counts the rows that were taken again in float64 logarithms, `origin` says where the code is from:
    "bundle"; "recompiled" where the bundle has none for this processor, or none that this Danaus would make; "none"
    where all rows are taken in logarithms, as those of networks with negative numbers may be.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine | None, origin: Callable[[], str], device: OnDevice | None = None
    ) -> None:
        """`device` answers queries beyond likelihoods where the engine is one on a GPU."""
        super().__init__()
        self._device = device
        self._reverse: tuple[Reverse | None] | None = None
        self.bundle = bundle
        self._engine = engine
        self._origin = origin
        self._numbers = Numbers(Store())
        self._soft = Densities(bundle.densities, bundle.columns)
        self._over: Log | SignedLog = SIGNED_LOG if negative(bundle) else LOG
        self._tables: list[Array] | None = None
        self._asked: ByProgram | None = None
        self._walks: Walker | None = None
        self.recomputed = 0
        if engine is not None:
            engine.refill(bundle.tables)

    @property
    def name(self) -> str:
        """The circuit's name."""
        return self.bundle.name

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, in the order of the columns."""
        return self.bundle.variables

    @property
    def queries(self) -> tuple[str, ...]:
        """What it answers."""
        return self.bundle.queries

    @property
    def origin(self) -> str:
        """Where the code is from."""
        return self._origin()

    def forward(self, x: Any) -> torch.Tensor:
        """The log-likelihood."""
        return self.log_likelihood(x)

    def log_likelihood(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log p(x), [batch] in float64; −inf is exact. Where `observed` is False, the variable is summed out.

        x is [batch, variables], a numpy or torch array.

        Raises: DanausError for NaN that is not masked, a wrong shape, or a value outside its variable's domain.
        """
        given = None if observed is None else as_array(observed)
        values, mask = validate_array(as_array(x), self.variables, given)
        if not mask.all():
            self._require("marginal")
        return torch.from_numpy(self._log_likelihood(values, mask))

    def signed_log_value(self, x: Any, observed: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        """log |p(x)| and the sign of p(x), [batch] each: as `Executable.signed_log_value`."""
        given = None if observed is None else as_array(observed)
        values, mask = validate_array(as_array(x), self.variables, given)
        if not mask.all():
            self._require("marginal")

        def negative_rows(rows: Indices) -> tuple[Floats, Floats]:
            logs, signs = self._signed(*self._coded(values[rows], mask[rows]))
            return logs + free_logs(self.bundle.columns, self.bundle.free, mask[rows]), signs

        return with_signs(lambda: self._log_likelihood(values, mask), negative_rows)

    def marginal(self, x: Any, observed: Any = None, evidence: Mapping[str, Any] | None = None) -> torch.Tensor:
        """log of the mass of what is observed, [batch]: as `log_likelihood`, but NaN without a mask is missing.

        `evidence` is virtual: for variables by name nonnegative weights on their values, [batch, n] or [n].
        """
        self._require("marginal")
        if evidence:
            self._require_code("evidence")
            return self._weighted(x, observed, evidence)
        given = None if observed is None else as_array(observed)
        values, mask = validate_array(as_array(x), self.variables, given, missing="nan")
        return torch.from_numpy(self._log_likelihood(values, mask))

    def flows(self, x: Any, observed: Any = None) -> dict[str, Floats]:
        """Expected counts per parameter, summed over the rows, by name: as `Executable.flows`.

        Raises: DanausError `not-in-bundle` where a parameter enters otherwise than as it lies.
        """
        self._require("flows")
        values, mask = self._rows(x, observed)
        if not mask.all():
            self._require("marginal")
        questions = self._program().questions
        tabled, rows = questions.tabled, questions.rows(values, mask)
        tables, ones = list(tabled.tables), np.ones(rows.count)

        def interpreted(part: Indices) -> Flows:
            inner = {source: logs[:, part] for source, logs in rows.densities.items()}
            return flows(tabled.program, tables, rows.codes[:, part], inner, ones[part])

        reverse = self._way_back(tabled)
        if reverse is None:
            found = interpreted(np.arange(rows.count))
        else:
            threads = torch.get_num_threads()
            found = compiled_flows(reverse, interpreted, rows.codes, rows.densities, ones, threads, True)
        return counts(self.bundle.fed, tables, found.tables)

    def partition(self) -> float:
        """The natural logarithm of the total mass."""
        self._require("partition")
        count = len(self.variables)
        return float(self._log_likelihood(np.zeros((1, count)), np.zeros((1, count), dtype=bool))[0])

    def total(self) -> tuple[float, float]:
        """The logarithm of the magnitude of the total of a circuit without variables, and its sign: 1, 0 or −1."""
        logs, signs = self._signed(np.zeros((len(self.bundle.program.columns), 1), dtype=np.int64), {})
        return float(logs[0]), float(signs[0])

    def save(self, path: str | Path) -> None:
        """Writes the bundle again, as it was read: a folder, or a zip where `path` ends in .zip."""
        save_bundle(self.bundle, Path(path))

    def run(self, *_: object, **__: object) -> NoReturn:
        """Not in a bundle: raises DanausError `not-in-bundle`."""
        raise self._refused("run")

    @property
    def circuit(self) -> NoReturn:
        """Not in a bundle: raises DanausError `not-in-bundle`."""
        raise self._refused("the circuit")

    def _require(self, kind: str) -> None:
        """Whether what the query needs was proved when the bundle was made."""
        if kind not in self.bundle.queries:
            raise error(
                "not-in-bundle",
                f'the bundle of "{self.name}" does not answer {kind}: it answers {", ".join(self.bundle.queries)}',
                hint="what a query needs is proved when the bundle is made; danaus check says what is not",
            )
        self._require_code(kind)

    def _require_code(self, what: str) -> None:
        """Whether a device that answers this by kernels has them.

        Raises: DanausError `not-in-bundle`.
        """
        device = self._device
        if device is None:
            return
        if what in ("conditional", "posterior") and "sample" in device.able:  # all inputs are on finite domains
            what = "flows"
        if what in device.able and what not in device.held:
            held = ", ".join(sorted(device.held))
            raise error(
                "not-in-bundle",
                f'the bundle of "{self.name}" has no kernels of {what} for this GPU: it has those of {held}',
                hint=f'make them: danaus compile --queries {what}, or save(…, queries=["{what}"]); a CPU needs none',
            )

    def _way_back(self, tabled: Tabled) -> Reverse | None:
        """Derivatives by the device; None where the Program gives them here."""
        if self._device is None or "flows" not in self._device.held:
            return None
        if self._reverse is None:
            self._reverse = (self._device.reverse(tabled),)
        return self._reverse[0]

    def _answers(self) -> Answers:
        program, device = self._program(), self._device
        if device is None or "sample" not in device.able:
            return program
        return ByDevice(program, self._walker(device, program.questions.tabled))

    def _walker(self, device: OnDevice, tabled: Tabled) -> Walker:
        if self._walks is None:
            self._walks = device.walker(tabled)
        return self._walks

    def _program(self) -> ByProgram:
        if self._asked is None:
            bundle = self.bundle
            if bundle.walks is None:
                raise self._refused("virtual evidence")
            questions = Questions(
                bundle.name,
                bundle.variables,
                bundle.columns,
                bundle.free,
                Tabled(single(bundle.walks.program), bundle.walks.tables),
                bundle.densities,
                self._numbers,
                bundle.walks.sites,
                bundle.walks.nodes,
            )
            deterministic = bundle.walks.deterministic
            self._asked = ByProgram(questions, bundle.walks.single, lambda: deterministic)
        return self._asked

    def _refused(self, what: str) -> DanausError:
        return error(
            "not-in-bundle",
            f'{what} of "{self.name}" is not in its bundle, which answers {", ".join(self.bundle.queries)}',
            hint="compile the circuit itself for all else",
        )

    def _log_likelihood(self, values: Floats, observed: Bools) -> Floats:
        bundle = self.bundle
        for position in bundle.free:
            variable = self.variables[position]
            if not isinstance(variable.domain, FiniteDomain) and not observed[:, position].all():
                raise error("diverges", f'the sum over "{variable}" ({variable.domain}), which is free, is not finite')
        codes, densities = self._coded(values, observed)
        if self._engine is None:
            log = self._exact(codes, densities)
        else:
            answer = self._engine.run(codes, densities, torch.get_num_threads())
            log = answer.log
            rows = np.flatnonzero(answer.unsure)
            if len(rows):
                self.recomputed += len(rows)
                part = {i: found[:, rows] for i, found in densities.items()}
                logs, signs = self._signed(codes[:, rows], part)
                log[rows] = np.where(signs < 0, np.nan, logs)
            if isinstance(self._over, SignedLog):
                log = logarithm(log, np.where(np.isnan(log), -1.0, 1.0), f'the value of "{self.name}"')
        return log + free_logs(bundle.columns, bundle.free, observed)

    def _coded(self, values: Floats, observed: Bools) -> tuple[Indices, dict[int, Floats]]:
        """Rows as the codes of the Program's columns, and the logarithms of their densities."""
        columns = self.bundle.columns
        values, observed = with_first_values(columns, values, observed)
        codes = codes_of(self.bundle.program.columns, columns, values, observed)
        return codes, self._soft.logs(self._numbers, values, observed)

    def _exact(self, codes: Indices, densities: dict[int, Floats]) -> Floats:
        """The Program in float64 logarithms; NaN, with a warning, where it is negative."""
        return logarithm(*self._signed(codes, densities), f'the value of "{self.name}"')

    def _signed(self, codes: Indices, densities: dict[int, Floats]) -> tuple[Floats, Floats]:
        """The logarithms and signs of the Program, in float64, some rows at a time."""
        program = self.bundle.program
        if self._tables is None:
            self._tables = [self._over.from_field(exact_table(self.bundle, i)) for i in range(len(program.tables))]
        held = sum(program.buffers) + sum(layout.size for layout in program.layouts)
        step = max(1, _ELEMENTS // held)
        logs, signs = np.empty(codes.shape[1]), np.empty(codes.shape[1])
        for start in range(0, codes.shape[1], step):
            part = slice(start, start + step)
            inputs = {i: self._lifted(found[:, part]) for i, found in densities.items()}
            found = execute(program, self._tables, codes[:, part], self._over, inputs)
            logs[part], signs[part] = log_and_sign(found, self._over)
        return logs, signs

    def _lifted(self, logs: Floats) -> Array:
        """Logarithms of densities as elements."""
        if isinstance(self._over, Log):
            return logs
        return np.stack([logs, np.where(np.isneginf(logs), 0.0, 1.0)], axis=-1)

    def extra_repr(self) -> str:
        return f"{self.name}: {len(self.variables)} variables, from a bundle"


def negative(bundle: Bundle) -> bool:
    """Whether a number of the bundle is below zero."""
    return any(bool((table < 0).any()) for table in (*bundle.tables, *(each[..., 1] for each in bundle.exact.values())))


def exact_table(bundle: Bundle, number: int) -> Array:
    """A table's logarithms and signs, [..., 2]."""
    found = bundle.exact.get(number)
    return SIGNED_LOG.lift(Value.of(bundle.tables[number])) if found is None else found
