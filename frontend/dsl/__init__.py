"""Circuits built in Python: the language's domains, families, block forms, maps and templates as functions.

What a user calls enters through here, under the names of the language, and becomes the IR that a spec file becomes.
Follow a call from `variables` to `inputs`, `forms` and `maps`, and to `circuit`, where parameters get their values.
"""

from .automata import automaton, dfa, keywords, over_tokens, regex
from .block import Block
from .circuit import Circuit
from .forms import concat, gather, product, sum
from .inputs import bernoulli, binomial, categorical, discretized_logistic, gaussian, indicator, poisson, table
from .maps import block_diagonal, compose, dense, diagonal, kron, monarch, permute, sparse
from .parameters import const, index, param
from .templates import chow_liu, hclt, hmm, mixture, poon_domingos, quad_graph, quad_tree, rat
from .variables import Bool, Cat, Count, Int, Real, Variables

__all__ = [
    "Block",
    "Bool",
    "Cat",
    "Circuit",
    "Count",
    "Int",
    "Real",
    "Variables",
    "automaton",
    "bernoulli",
    "binomial",
    "block_diagonal",
    "categorical",
    "chow_liu",
    "compose",
    "concat",
    "const",
    "dense",
    "dfa",
    "diagonal",
    "discretized_logistic",
    "gather",
    "gaussian",
    "hclt",
    "hmm",
    "index",
    "indicator",
    "keywords",
    "kron",
    "mixture",
    "monarch",
    "over_tokens",
    "param",
    "permute",
    "poisson",
    "poon_domingos",
    "product",
    "quad_graph",
    "quad_tree",
    "rat",
    "regex",
    "sparse",
    "sum",
    "table",
]
