"""The `.uai` format: a Markov or Bayesian network as numbers, to the common form.

    MARKOV | BAYES                       which only says whether the tables are conditional
    number of variables, then the number of values of each
    number of factors, then for each the size of its scope and the scope
    for each factor the number of its entries and the entries, the last variable of the scope fastest

White space separates, whatever it is. Variables have no names: they are x1 … xn, bool where they have two values.
"""

from __future__ import annotations

from ...ir.domain import Bool, Cat, FiniteDomain
from ...ir.parameter import Floats
from ...ir.span import Source
from .network import Factor, Network, normalised
from .words import Words

MOST_VARIABLES = 1_000_000


def parse_uai(source: Source) -> Network:
    """The network of a text; rows of a Bayesian one that sum to 1 within 1e-5 are renormalised.

    Raises: DanausError with the place of the word that is wrong.
    """
    words = Words(source)
    kind = words.take("MARKOV or BAYES")
    if kind.upper() not in ("MARKOV", "BAYES"):
        raise words.wrong(f'a .uai file begins with MARKOV or BAYES, not "{kind[:20]}"')
    count = words.count("the number of variables", MOST_VARIABLES)
    sizes = words.integers(count, "the number of values of a variable", 1)
    factors = words.count("the number of factors", MOST_VARIABLES)
    scopes = [_scope(words, count) for _ in range(factors)]
    bayesian = kind.upper() == "BAYES"
    tables = [_table(words, [sizes[variable] for variable in scope], bayesian) for scope in scopes]
    words.finish("the last table")
    domains: list[FiniteDomain] = [Bool() if size == 2 else Cat(size) for size in sizes]
    made = tuple(Factor(scope, table) for scope, table in zip(scopes, tables, strict=True))
    names = tuple(f"x{i + 1}" for i in range(count))
    return Network(names, tuple(domains), made)


def _scope(words: Words, count: int) -> tuple[int, ...]:
    size = words.count("the size of a scope", count)
    scope = words.integers(size, "a variable of a scope", 0, count - 1)
    if len(set(scope)) != size:
        raise words.wrong("a variable stands twice in a scope", hint="variables count from 0")
    return tuple(scope)


def _table(words: Words, sizes: list[int], bayesian: bool) -> Floats:
    wanted = 1
    for size in sizes:
        wanted *= size
    found = words.count("the number of a table's entries", None)
    if found != wanted:
        raise words.wrong(
            f"the table has {found} entries, but its scope has {wanted} assignments",
            hint="the entries are as many as the product of the variables' numbers of values",
        )
    table = words.numbers(wanted).reshape(sizes)
    if not bayesian or not sizes:
        return table
    rows, wrong = normalised(table)
    if wrong is not None:
        sum_ = float(table.reshape(-1, sizes[-1])[wrong].sum())
        message = f"row {wrong + 1} of the table sums to {sum_:.9g}, not 1"
        raise words.wrong(message, wanted - wrong * sizes[-1], "the values of the last variable of a scope are a row")
    return rows
