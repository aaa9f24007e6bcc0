"""A compiled circuit as a `torch.nn.Module`: what `danaus.compile` gives.

What enters are rows, as numpy or torch arrays; what leaves are answers per row. Likelihoods and derivatives run
compiled (`likelihoods.py`, `derivatives.py`), other queries walk the Program (`queries/`); what neither can hold is the
evaluator's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ..ir.circuit import Circuit
from ..ir.data import validate_array
from ..ir.linear import Indices
from ..ir.numbers import Numbers
from ..ir.parameter import Floats, Parameter
from ..ir.program.tabled import Tabled
from ..ir.query.exactness import one_path
from ..ir.store import Store
from .autograd import Ahead, LogLikelihood
from .backward import Flows
from .bundle import Bundle, not_compiled, save_bundle
from .columns import Bools, Codes, Columns
from .compiled import Compiled, Compiler
from .derivatives import Derivatives, Differentiation
from .likelihoods import Likelihoods
from .package import require_place
from .present import Present, Seen, Tensors
from .queries.answers import Answers, ByEvaluator, ByProgram
from .queries.asking import Asking
from .queries.evidence import as_array
from .queries.on_device import ByDevice
from .queries.questions import Questions
from .unconstrained import Unconstrained


class Executable(Asking):
    """A circuit whose likelihoods run compiled, for batches of any size and on as many threads as torch uses.

    Its parameters are the circuit's, in float64 and under their names (`.` written `/`); a change in place is seen by
    the next call, without compiling again. After `requires_grad_()` log-likelihoods are differentiable. `recomputed`
    counts the rows that were taken again in float64 logarithms.
    """

    def __init__(self, circuit: Circuit, compiled: Compiled | None, compiler: Compiler) -> None:
        """`compiled` is None for a circuit that only the evaluator can answer."""
        super().__init__()
        self._compiler = compiler
        self._circuit = circuit
        self._compiled = compiled
        self._names: dict[str, Parameter] = {}
        self._asked: tuple[Seen, set[str], Answers | None] | None = None
        self._tabled: Tabled | None = None
        for parameter in circuit.parameters:
            name = parameter.name.replace(".", "/")
            name = name if name not in self._names else f"{name}#{parameter.uid}"
            self._names[name] = parameter
            value = torch.from_numpy(circuit.store[parameter].floats.copy())
            self.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
        # torch's own mapping: a copy of thousands of entries would take longer than to look at them
        self.present = Present(circuit, compiled, self._names, lambda: cast(Tensors, self._parameters))
        self._likelihoods = Likelihoods(circuit, compiled, self.present)
        self._differentiation = Differentiation(circuit, compiled, self.present, self._likelihoods, self._names)
        self.ahead = Ahead(not circuit.free)
        self.present.engine()

    @property
    def recomputed(self) -> int:
        """How many rows were taken again in float64 logarithms."""
        return self._likelihoods.recomputed

    @property
    def columns(self) -> Columns | None:
        """The columns of data, where rows of them become codes the quick way."""
        return self._likelihoods.columns

    @property
    def circuit(self) -> Circuit:
        """The circuit over the module's present parameters."""
        return self.present.circuit()

    def tensors(self) -> dict[str, torch.nn.Parameter]:
        """The parameters by name, as `named_parameters` gives them, a hundred times sooner."""
        return {name: tensor for name, tensor in self._parameters.items() if tensor is not None}

    @contextmanager
    def holding(self, parameters: Sequence[torch.Tensor]) -> Iterator[None]:
        """Over the parameters of an earlier call: `torch.func.functional_call` gives it others than the module's."""
        own = self.tensors()
        if all(one is other for one, other in zip(own.values(), parameters, strict=True)):
            yield
            return
        try:
            self._parameters.update(zip(own, parameters, strict=True))  # type: ignore[arg-type]  # functional_call's too
            yield
        finally:
            self._parameters.update(own)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables, in the order of the columns."""
        return self._circuit.variables

    def unconstrained(self, dtype: torch.dtype = torch.float32) -> Unconstrained:
        """A module of one flat parameter without constraints, for any optimiser; this one's parameters follow it.

        Logits stand for rows on the simplex, logarithms for what is positive, log-odds for what is in [0, 1].

        Raises: DanausError `not-differentiable` where only the evaluator can answer, `nothing-to-learn`, `wrong-type`.
        """
        return Unconstrained(self, dtype)

    def forward(self, x: Any, observed: Any = None) -> torch.Tensor:
        """The log-likelihood."""
        return self.log_likelihood(x, observed)

    def log_likelihood(self, x: Any, observed: Any = None) -> torch.Tensor:
        """log p(x), [batch] in float64; −inf is exact. Where `observed` is False, the variable is summed out.

        x is [batch, variables], a numpy or torch array.

        Raises: DanausError for NaN that is not masked, a wrong shape, a value outside its variable's domain, or, where
        something is summed out, a circuit that is not smooth and decomposable.
        """
        rows, known = as_array(x), None if observed is None else as_array(observed)
        codes = self._likelihoods.codes(rows, known)
        if codes is None:
            return self._differentiable(x, *self.checked(rows, known))
        if known is not None and not known.all():
            self._require("marginal")
        return self._of_codes(x, codes)

    def signed_log_value(self, x: Any, observed: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        """log |p(x)| and the sign of p(x), 1, 0 or −1, [batch] each: what a negative value has in place of a logarithm.

        >>> from danaus import compile, parse
        >>> p = parse("var x : bool; circuit p { return table(x, [[0.25, -0.5]]) }").circuit
        >>> compile(p).signed_log_value([[0], [1]])[1]
        tensor([ 1., -1.], dtype=torch.float64)

        Raises: DanausError as `log_likelihood`.
        """
        values, mask = self.checked(x, observed)
        return self._likelihoods.signed(values, mask)

    def marginal(self, x: Any, observed: Any = None, evidence: Mapping[str, Any] | None = None) -> torch.Tensor:
        """log of the mass of what is observed, [batch]: as `log_likelihood`, but NaN without a mask is missing.

        `evidence` is virtual: for variables by name nonnegative weights on their values in domain order, [batch, n] or
        [n]; each value counts with its weight, and the variable's column is ignored.

        Raises: DanausError `wrong-shape`, `wrong-value`, `infinite-domain` for weights that do not fit.
        """
        self._require("marginal")
        if evidence:
            return self._weighted(x, observed, evidence)
        rows, known = as_array(x), None if observed is None else as_array(observed)
        if known is None and isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
            known = ~np.isnan(rows)
        codes = self._likelihoods.codes(rows, known)
        if codes is None:
            return self._differentiable(x, *self._rows(x, observed))
        return self._of_codes(x, codes)

    def checked(self, x: Any, observed: Any = None) -> tuple[Floats, Bools]:
        """Rows and the mask of what is observed, [batch, variables] each.

        Raises: DanausError as `log_likelihood`.
        """
        rows, known = as_array(x), None if observed is None else as_array(observed)
        codes = self._likelihoods.codes(rows, known)
        if codes is None:
            values, mask = validate_array(rows, self.variables, known)
        else:
            assert self.columns is not None
            values, mask = self.columns.rows(codes)
        if not mask.all():
            self._require("marginal")
        return values, mask

    def flows(self, x: Any, observed: Any = None) -> dict[str, Floats]:
        """Expected counts per parameter, summed over the rows: parameter · ∂ Σ log p / ∂ parameter, by name.

        For an entry of weights or of a categorical input it is how often, in expectation, it is used. Impossible rows
        count nothing; NaN without a mask is missing.
        """
        values, mask = self._rows(x, observed)
        if not mask.all():
            self._require("marginal")
        found = self.derivatives(values, mask, np.ones(len(values)))
        store = self.circuit.store
        return {name: store[parameter].floats * found.named[name] for name, parameter in self._names.items()}

    def _of_codes(self, x: Any, codes: Codes) -> torch.Tensor:
        """log p of rows that are plain; where autograd asks for derivatives, with those."""
        if self._wanted(x):
            assert self.columns is not None
            return self._differentiable(x, *self.columns.rows(codes))
        return torch.from_numpy(self._likelihoods.log_of_codes(codes))

    def _differentiable(self, x: Any, values: Floats, observed: Bools) -> torch.Tensor:
        """log p; where autograd asks for derivatives, with those of parameters and of data on real variables."""
        if not self._wanted(x):
            return torch.from_numpy(self._likelihoods.log(values, observed))
        data = x if isinstance(x, torch.Tensor) and x.requires_grad else None
        apply: Any = LogLikelihood.apply
        found: torch.Tensor = apply(self, values, observed, data, *self.tensors().values())
        return found

    def _wanted(self, x: Any) -> bool:
        """Whether autograd asks for derivatives."""
        data = isinstance(x, torch.Tensor) and x.requires_grad
        return torch.is_grad_enabled() and (data or any(map(_WANTED, self._parameters.values())))

    def flows_of_tables(self, values: Floats, observed: Bools, weights: Floats, whole: bool = True) -> Flows:
        """The reverse of the Program on rows, over the present parameters.

        Derivatives of an input's table may come by node, [width, n]: then with those of the row of sums if `whole`.
        """
        return self._differentiation.by_tables(values, observed, weights, whole)

    @property
    def compiled(self) -> Compiled | None:
        """What the compiler has made; None where only the evaluator answers."""
        return self._compiled

    def learnable(self) -> dict[str, Parameter]:
        """The learnable parameters, by the names of the module's."""
        return {name: parameter for name, parameter in self._names.items() if parameter.learnable}

    def take(self, store: Store) -> None:
        """Takes the values of its parameters from a store."""
        self.assign({name: torch.from_numpy(store[each].floats.copy()) for name, each in self._names.items()})

    def assign(self, values: Mapping[str, torch.Tensor]) -> None:
        """Gives parameters other values, in place."""
        tensors = self.tensors()
        with torch.no_grad():
            for name, value in values.items():
                tensors[name].copy_(value)

    def log_rows(self, values: Floats, observed: Bools) -> Floats:
        """log p of rows that are already checked."""
        return self._likelihoods.log(values, observed)

    def derivatives(self, values: Floats, observed: Bools, weights: Floats, data: bool = False) -> Derivatives:
        """Derivatives of Σ weight · log p over rows that are already checked; of the data where asked for."""
        return self._differentiation.by_parameters(values, observed, weights, data)

    def partition(self) -> float:
        """The natural logarithm of the total mass."""
        self._require("partition")
        count = len(self.variables)
        return float(self._likelihoods.log(np.zeros((1, count)), np.zeros((1, count), dtype=bool))[0])

    def by_parameter(self) -> dict[Parameter, torch.nn.Parameter]:
        """The module's tensors by the circuit's parameters."""
        tensors = self.tensors()
        return {parameter: tensors[name] for name, parameter in self._names.items()}

    def save(
        self,
        path: str | Path,
        targets: Sequence[str] = ("cpu",),
        queries: Sequence[str] = (),
        precision: str | None = None,
    ) -> None:
        """Writes a bundle, to run without the compiler and the circuit: a folder, or a zip where `path` ends in .zip.

        It has the present parameters, and code for each target: `cpu`, this machine's processor, `cpu:x86-64-v3`,
        `cpu:x86-64-v4` or `cpu:aarch64`. `danaus.load_bundle` reads it. It is written whole or not at all. What a GPU's
        code answers beside likelihoods is asked for by `queries`: "flows", "sample", "map", "evidence", "hamming", or
        "all"; how it multiplies by `precision`, as `danaus.compile` takes it, and as this was compiled unless given.

        Raises: DanausError `not-in-bundle` where only the evaluator can answer, `unknown-target`, `unknown-query`,
        `unknown-precision`, `unwritable-file`.
        """
        place = Path(path)
        require_place(place)  # before kernels are made, which takes long
        save_bundle(self.bundle(targets, queries, precision), place)

    def bundle(
        self, targets: Sequence[str] = ("cpu",), queries: Sequence[str] = (), precision: str | None = None
    ) -> Bundle:
        """What `save` writes.

        Raises: DanausError as `save`.
        """
        if self._compiled is None:
            raise not_compiled(self._circuit.name)
        return self._compiled.bundle(self.circuit, targets, queries, precision)

    def _settled(self) -> tuple[set[str], Answers | None]:
        """What was proved of the present numbers, and who answers queries over them, if anyone was asked."""
        seen = self.present.look()
        if self._asked is None or self._asked[0] != seen:
            self._asked = seen, set(), None
        return self._asked[1:]

    def _require(self, kind: str) -> None:
        """Proves what a query needs, once for as long as the parameters stay."""
        proved, _ = self._settled()
        if kind not in proved:
            self._compiler.require(kind, self.circuit)
            proved.add(kind)

    def _answers(self) -> Answers:
        proved, answers = self._settled()
        if answers is None:
            answers = self._answers_of(self.circuit)
            self._asked = self.present.look(), proved, answers
        return answers

    def _answers_of(self, circuit: Circuit) -> Answers:
        """The Program answers where the engine runs it; else the evaluator."""
        evaluator = ByEvaluator(circuit, cache(lambda: self._compiler.deterministic(circuit)))
        compiled = self._compiled
        if compiled is None or compiled.signs or self.present.engine() is None:
            return evaluator
        tables = compiled.tables(circuit.store)
        if not all(table.min(initial=0.0) >= 0 and np.isfinite(table).all() for table in tables):
            return evaluator
        self._tabled = Tabled(compiled.lowered, tables, None if self._tabled is None else self._tabled.ranked)
        questions = Questions(
            circuit.name,
            circuit.variables,
            compiled.variables,
            tuple(circuit.variables.index(variable) for variable in circuit.free),
            self._tabled,
            compiled.densities,
            Numbers(circuit.store),
            compiled.sites,
            circuit.nodes,
        )
        single = one_path(circuit)[0].root is circuit.root
        program = ByProgram(questions, single, evaluator.deterministic, evaluator)
        walker = None if compiled.walker is None else compiled.walker(self._tabled)
        return program if walker is None else ByDevice(program, walker)

    def coded(self, values: Floats, observed: Bools) -> Indices:
        """Rows that are checked as the codes of its Program's columns, [columns, batch]."""
        return self._likelihoods.coded(values, observed)

    def extra_repr(self) -> str:
        return f"{self._circuit.name}: {len(self.variables)} variables, {self._circuit.nodes} nodes"


_WANTED = attrgetter("requires_grad")
