"""Functions of the front door: files to circuits, circuits to properties and exact answers.

Queries here are the reference evaluator's answers, in float64 unless a semiring is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import wants, wants_circuit
from .compiler import driver, queries
from .compiler.equality import equal as are_equal
from .compiler.judge import Verdict, judge
from .compiler.needs import require
from .compiler.operators.operands import variable_of, variables_of
from .compiler.properties import Budget, Result
from .compiler.properties import check as check_circuit
from .compiler.properties import compatible as are_compatible
from .compiler.properties import marginalisation as exact_programs
from .compiler.properties import marginally_deterministic as is_marginally_deterministic
from .compiling import compile, load_bundle
from .fitting import fit
from .frontend.formats.options import DEFAULT_MEMORY, ForeignOptions
from .frontend.spec import Query, Spec
from .frontend.write import write_circuit
from .ir import query as ask
from .ir import semirings
from .ir.circuit import Circuit
from .ir.data import validate_array
from .ir.diagnostic import DanausError, error, nearest, placed
from .ir.domain import Bool, FiniteDomain, Variable
from .ir.evaluate import Evidence
from .ir.evaluate import evaluate as evaluate_over
from .ir.parameter import Value
from .ir.semirings import Semiring
from .ir.span import caller
from .steering import steer

Floats = NDArray[np.float64]

_NAMED: dict[str, Semiring] = {
    "linear": semirings.LINEAR,
    "log": semirings.LOG,
    "signed-log": semirings.SIGNED_LOG,
    "exact": semirings.EXACT,
    "boolean": semirings.BOOLEAN,
    "max": semirings.MAX,
    "polynomial": semirings.Polynomial(semirings.LINEAR),
    "dual": semirings.DUAL,
    "interval": semirings.INTERVAL,
}
_KINDS = (*_NAMED, "sympy")


def load(
    path: str | Path,
    *,
    params: str | Path | None = None,
    seed: int = 0,
    variables: int | None = None,
    vtree: str | Path | None = None,
    evidence: str | Path | None = None,
    memory: int = DEFAULT_MEMORY,
) -> Spec:
    """The spec of a file: its circuits, parameters, assertions and queries. Assertions are not run.

    `params` is a .safetensors file of values, as a last `load`; `seed` draws those of params without a value.
    `variables`, `vtree` and `evidence` are for files of other tools; `memory`, in bytes, is what eliminating the
    variables of a network may take.

    Raises: DanausError with all mistakes of the file, each with its place.
    """
    wants((str, Path), "a path", path, path if params is None else params)
    wants((int, np.integer), "a number", 0 if variables is None else variables, memory)
    wants((str, Path), "a path", *(given for given in (vtree, evidence) if given is not None))
    files = [None if given is None else Path(given) for given in (params, vtree, evidence)]
    foreign = ForeignOptions(variables, files[1], files[2], memory=memory)
    with placed(caller()):
        return driver.load(path, driver.Options(seed, files[0], foreign))


def parse(text: str, *, name: str = "<text>", params: str | Path | None = None, seed: int = 0) -> Spec:
    """The spec of a text; paths in it are relative to the working folder.

    >>> spec = parse("var x : bool; circuit p { return bernoulli(x, [0.3]) }")
    >>> spec.circuits["p"].variables[0].name
    'x'

    Raises: DanausError with all mistakes of the text, each with its place.
    """
    wants(str, "text", text, name)
    wants((str, Path), "a path", "" if params is None else params)
    options = driver.Options(seed, None if params is None else Path(params))
    return driver.parse(text, name, options=options)


def save(circuit: Circuit, path: str | Path) -> None:
    """Writes a circuit under its name as text, with large arrays in a .safetensors beside it.

    `load(path).circuit` is the same circuit again.

    Raises: DanausError `unwritable-file`, or `unknown-format` where the suffix is not `.circuit`.
    """
    wants_circuit(circuit)
    wants((str, Path), "a path", path)
    if Path(path).suffix != ".circuit":
        raise error(
            "unknown-format", f"{path} has not the suffix .circuit", caller(), hint="circuits are saved as .circuit"
        )
    write_circuit(circuit, Path(path))


def check(target: Circuit | Spec, *names: str, budget: Budget | int | None = None) -> Any:
    """Properties of a circuit by name (all that there are, unless named), or a verdict for each assertion of a spec.

    `budget` is what a search may spend on a property: steps, or a `Budget` of steps and seconds.

    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.3]) }").circuit
    >>> check(p, "smooth")["smooth"].status
    'proved'

    Raises: DanausError `unknown-property`.
    """
    if isinstance(target, Spec):
        return judge(target)
    wants(Circuit, "a circuit or a spec", target)
    wants(str, "the name of a property", *names)
    results: dict[str, Result] = check_circuit(target, *names, budget=_budget(budget))
    return results


def _budget(given: Budget | int | None) -> Budget | None:
    wants((Budget, int, NoneType), "a budget, in steps,", given)
    return Budget(given) if isinstance(given, int) else given


def compatible(first: Circuit, second: Circuit) -> Result:
    """Whether two circuits can be multiplied: proved with the matching of their scopes, or refuted with two scopes.

    >>> p = parse("var x : bool; var y : bool; circuit p { return bernoulli(x, [0.3]) * bernoulli(y, [0.5]) }").circuit
    >>> compatible(p, p).status
    'proved'

    Raises: DanausError `two-domains` where variables of one name differ in their domains.
    """
    wants_circuit(first)
    wants_circuit(second)
    return are_compatible(first, second)


def equal(first: Circuit, second: Circuit) -> Result:
    """Whether two circuits are one function of the union of their variables: proved, or refuted with an assignment.

    A proof is by identity testing, and its `reason` says the degree and the error probability, below 1e-9; at the
    assignment of a refutation the values certainly differ.

    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.3]) }").circuit
    >>> equal(p, p).status
    'proved'

    Raises: DanausError `two-domains` where variables of one name differ in their domains.
    """
    wants_circuit(first)
    wants_circuit(second)
    return are_equal(first, second)


def marginally_deterministic(
    circuit: Circuit, variables: Iterable[Variable | str], *, budget: Budget | int | None = None
) -> Result:
    """Whether a circuit is deterministic for some of its variables, as marginal MAP over these needs.

    >>> p = parse("var x : bool; circuit p { return sum(concat([x = 0], [x = 1]), [[0.3, 0.7]]) }").circuit
    >>> marginally_deterministic(p, ["x"]).status
    'proved'

    Raises: DanausError `unknown-variable`.
    """
    wants_circuit(circuit)
    given = list(variables)
    wants((str, Variable), "a variable", *given)
    named = [circuit.variable(each if isinstance(each, str) else each.name) for each in given]
    return is_marginally_deterministic(circuit, named, _budget(budget))


def marginalisation(circuit: Circuit) -> dict[str, Result]:
    """Which sums over values feed-forward evaluation gives exactly: "total", "subset", "hamming", "virtual".

    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.3]) }").circuit
    >>> marginalisation(p)["virtual"].status
    'proved'
    """
    wants_circuit(circuit)
    return {str(program): result for program, result in exact_programs(circuit).items()}


def evaluate(
    circuit: Circuit,
    x: ArrayLike | None = None,
    semiring: str | Semiring = "linear",
    *,
    observed: ArrayLike | None = None,
    evidence: Mapping[str, ArrayLike] | None = None,
) -> Any:
    """The circuit at x over a semiring: [variables] → a number, or [batch, variables] → [batch].

    `semiring` is "linear" (float64, the default), "log" (−inf exact, NaN where the circuit is negative), "signed-log"
    ([log, sign]), "exact" (fractions), "boolean" (the support), "max" (log of the largest product), "polynomial",
    "dual" ([value, derivative]), "interval" ([lo, hi], certain), "sympy", or a semiring of `danaus.ir.semirings`.
    What `observed` leaves out is summed out. `evidence` gives weights on a variable's values, in the semiring's
    elements. Without x, "polynomial" gives the mass of each number of ones and "sympy" the network polynomial.

    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }").circuit
    >>> float(evaluate(p, [1])), evaluate(p, [[0], [1]], semiring="exact").tolist()
    (0.25, [Fraction(3, 4), Fraction(1, 4)])

    Raises: DanausError `unknown-semiring`, `needs-data`, and for values outside their variable's domain.
    """
    wants_circuit(circuit)
    over = _semiring(semiring)
    weights = {
        circuit.variable(name): _weights(circuit.variable(name), given) for name, given in (evidence or {}).items()
    }
    if x is None:
        return _without_data(circuit, over, weights)
    values, mask = validate_array(x, circuit.variables, observed)
    found = Evidence(circuit.variables, values, mask, weights)
    out = _log(circuit, found) if over is semirings.LOG else evaluate_over(circuit, over, found)
    return out if np.ndim(x) == 2 else out[0]


def _log(circuit: Circuit, evidence: Evidence) -> Any:
    """Logarithms; where the circuit has negative numbers, NaN where its value is negative."""
    try:
        return evaluate_over(circuit, semirings.LOG, evidence)
    except DanausError as failure:
        if failure.diagnostics[0].code != "negative":
            raise
    signed = evaluate_over(circuit, semirings.SIGNED_LOG, evidence)
    return np.where(signed[..., 1] < 0, np.nan, signed[..., 0])


def _semiring(semiring: str | Semiring) -> Semiring:
    if isinstance(semiring, Semiring):
        return semiring
    wants(str, "a semiring", semiring)
    if semiring == "sympy":
        try:
            from .compiler.symbolic import SYMBOLIC
        except ImportError as failure:
            raise error("missing-package", "sympy is not installed", hint='pip install "danaus[symbolic]"') from failure
        return SYMBOLIC
    if semiring not in _NAMED:
        hint = nearest(semiring, _KINDS) or f"there are {', '.join(_KINDS)}"
        raise error("unknown-semiring", f'there is no semiring "{semiring}"', caller(), hint=hint)
    return _NAMED[semiring]


def _weights(variable: Variable, given: ArrayLike) -> Any:
    weights = np.asarray(given)
    if weights.dtype.kind not in "biufO":
        raise error("wrong-dtype", f'the weights on "{variable}" have dtype {weights.dtype}', caller())
    if not isinstance(variable.domain, FiniteDomain) or weights.shape[:1] != (variable.domain.size,):
        raise error(
            "wrong-shape", f'"{variable}" is {variable.domain}; its weights have shape {list(weights.shape)}', caller()
        )
    return weights


def _without_data(circuit: Circuit, over: Semiring, weights: dict[Variable, Any]) -> Any:
    variables = circuit.variables
    if over.name == "sympy":
        import sympy

        from .compiler.symbolic import indicators

        missing = tuple(variable for variable in variables if variable not in weights)
        nothing = Evidence.nothing(variables)
        symbols = Evidence(variables, nothing.values, nothing.observed, {**indicators(missing), **weights})
        return sympy.expand(evaluate_over(circuit, over, symbols)[0])
    if isinstance(over, semirings.Polynomial):
        ones = np.stack([over.unit(True)[[0, 0]], over.variable()])
        ones[0, 1] = over.base.unit(False)
        for variable in variables:
            if not isinstance(variable.domain, Bool):
                raise error(
                    "wrong-domain", f'"{variable}" is {variable.domain}; polynomials count ones of bool variables'
                )
            weights.setdefault(variable, ones)
    elif unknown := [variable for variable in variables if variable not in weights]:
        raise error("needs-data", f'the circuit has variables, such as "{unknown[0]}"', caller(), hint="give x")
    nothing = Evidence.nothing(variables)
    found = Evidence(variables, nothing.values, nothing.observed, weights)
    return (_log(circuit, found) if over is semirings.LOG else evaluate_over(circuit, over, found))[0]


def _ready(kind: str, circuit: Circuit) -> None:
    wants_circuit(circuit)
    require(Query(kind, kind, (circuit,), span=caller()))


def likelihood(circuit: Circuit, x: ArrayLike) -> Any:
    """log p(x): [batch, variables] → [batch], or [variables] → a number; −inf is exact."""
    wants_circuit(circuit)
    values, _ = validate_array(x, circuit.variables)
    return _shaped(x, ask.log_likelihood(circuit, values))


def marginal(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> Any:
    """log of the mass of the observed values: what `observed` (or NaN in x) leaves out is summed out, per row."""
    _ready("marginal", circuit)
    values, mask = validate_array(x, circuit.variables, observed, missing="nan")
    return _shaped(x, ask.log_likelihood(circuit, values, mask))


def conditional(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> dict[str, Any]:
    """The distribution of each missing variable given the observed ones, by name.

    [batch, n] probabilities for a finite domain; else an object with mean, variance and cdf.
    """
    _ready("conditional", circuit)
    values, mask = validate_array(x, circuit.variables, observed, missing="nan")
    return {variable.name: found for variable, found in ask.conditional(circuit, values, mask).items()}


def map(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> ask.MostProbable:
    """The most probable completion of each row: values, log_probability, and whether it is proved exact."""
    _ready("map", circuit)
    values, mask = validate_array(x, circuit.variables, observed, missing="nan")
    return queries.most_probable(circuit, values, mask)


def marginal_map(
    circuit: Circuit, variables: Iterable[Variable | str], x: ArrayLike, observed: ArrayLike | None = None
) -> ask.MostProbable:
    """The most probable values of some variables in each row, with the other missing ones summed out.

    Like `map`: values [batch, variables], NaN where neither chosen nor observed; log_probability, of the marginal;
    and whether it is proved exact, as it is where the circuit is marginally deterministic for them.
    """
    _ready("marginal_map", circuit)
    chosen = variables_of(circuit, variables)
    values, mask = validate_array(x, circuit.variables, observed, missing="nan")
    return queries.most_probable_marginal(circuit, chosen, values, mask)


def count(circuit: Circuit, weights: Mapping[str | Variable, ArrayLike] | None = None) -> Any:
    """The number of assignments on which a deterministic circuit is not zero: an exact Python integer.

    With weights, [n] per variable in domain order (1 without), the exact total of the products of weights, a fraction.

    >>> p = parse("var x : bool; var y : cat(3); circuit p { return [x = 1] * [y = 2] }").circuit
    >>> count(p), count(p, {"x": [0.5, 0.25]})
    (1, Fraction(1, 4))
    """
    _ready("count", circuit)
    given = {variable_of(circuit, name): Value.of(weight) for name, weight in (weights or {}).items()}
    for variable, value in given.items():
        _weights(variable, value.floats)
    return queries.model_count(circuit, given)


def sample(circuit: Circuit, x: int | ArrayLike = 1, observed: ArrayLike | None = None, *, seed: int = 0) -> Floats:
    """Samples, [batch, variables]: so many unconditional ones, or the rest of each row given what is observed.

    Row i of a seed does not depend on how many rows there are.
    """
    _ready("sample", circuit)
    wants((int, np.integer), "a seed", seed)
    if isinstance(x, int | np.integer):
        if x < 0:
            raise error("wrong-value", f"the number of samples is {x}", caller(), hint="it is at least 0")
        return ask.sample(circuit, int(x), seed)
    values, mask = validate_array(x, circuit.variables, observed, missing="nan")
    return ask.sample_given(circuit, values, mask, seed)


def decode(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> ask.MostProbable:
    """The best joint value of a template's latents given each row (Viterbi): `values` [batch, latents].

    An HMM and a hidden Chow–Liu tree have a latent for each variable, in their order, a mixture one; states count from
    0. What is missing is summed out. `log_probability` is of states and row; NaN and −inf where the row is impossible.

    Raises: DanausError `no-latents`, `negative`, and `missing-package` without torch and llvmlite.
    """
    from .compiler import latents  # which imports torch

    _ready("decode", circuit)
    return latents.decode(circuit, *validate_array(x, circuit.variables, observed, missing="nan"))


def posterior(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> Floats:
    """The distribution of each latent of a template given each row, [batch, latents, states]; NaN where impossible.

    Raises: DanausError as `decode`.
    """
    from .compiler import latents  # which imports torch

    _ready("posterior", circuit)
    return latents.posterior(circuit, *validate_array(x, circuit.variables, observed, missing="nan"))


def flows(circuit: Circuit, x: ArrayLike, observed: ArrayLike | None = None) -> dict[str, Floats]:
    """Expected counts per parameter, by name, summed over the rows: θ · ∂ Σ log p / ∂ θ.

    For an entry of weights or of a categorical input it is how often, in expectation, it is used.

    Raises: DanausError `not-differentiable`, and `missing-package` without torch and llvmlite.
    """
    from .compiler import latents  # which imports torch

    _ready("flows", circuit)
    return latents.flows(circuit, *validate_array(x, circuit.variables, observed, missing="nan"))


def partition(circuit: Circuit) -> float:
    """The logarithm of the total mass."""
    _ready("partition", circuit)
    return ask.partition(circuit)


def moment(circuit: Circuit, variable: Variable | str, order: int) -> float:
    """E[xᵏ] of a variable under p/Z."""
    _ready("moment", circuit)
    wants((str, Variable), "a variable", variable)
    wants((int, np.integer), "an order, a natural number,", order)
    name = variable if isinstance(variable, str) else variable.name
    return ask.moment(circuit, circuit.variable(name), order)


def hamming(circuit: Circuit, *, method: str = "polynomial") -> Floats:
    """The logarithm of the mass of each number of ones, [variables + 1].

    By polynomials in t, which keep masses of any size and exact zeros; or by "roots": one batch of virtual evidence at
    roots of unity, which asks for values of the circuit alone, and takes a mass below 10⁻¹³ of what it adds up for 0.

    >>> p = parse("var x : bool; circuit p { return bernoulli(x, [0.25]) }").circuit
    >>> np.exp(hamming(p)).tolist(), np.exp(hamming(p, method="roots")).round(12).tolist()
    ([0.75, 0.25], [0.75, 0.25])

    Raises: DanausError `wrong-domain` where a variable is no boolean, `wrong-arguments`.
    """
    _ready("hamming", circuit)
    if method not in ("polynomial", "roots"):
        hint = 'it is "polynomial" or "roots"'
        raise error("wrong-arguments", f"hamming has no method {method!r}", caller(), hint=hint)
    return ask.hamming(circuit) if method == "polynomial" else ask.hamming_by_roots(circuit)


def _shaped(x: ArrayLike, found: Floats) -> Any:
    return found if np.ndim(x) == 2 else found[0]


__all__ = [
    "Budget",
    "Verdict",
    "check",
    "compatible",
    "compile",
    "conditional",
    "count",
    "decode",
    "equal",
    "evaluate",
    "fit",
    "flows",
    "hamming",
    "likelihood",
    "load",
    "load_bundle",
    "map",
    "marginal",
    "marginal_map",
    "marginalisation",
    "marginally_deterministic",
    "moment",
    "parse",
    "partition",
    "posterior",
    "sample",
    "save",
    "steer",
]
