"""`danaus.steer`: a model and a constraint to what gives the next token under both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .arguments import wants, wants_circuit
from .ir.circuit import Circuit
from .ir.diagnostic import error, placed
from .ir.span import caller

if TYPE_CHECKING:
    from .runtime.steering import LanguageModel, Steering


def steer(
    model: Circuit,
    constraint: Circuit,
    *,
    language_model: LanguageModel | None = None,
    sharpness: float = 1.0,
    dtype: str = "float32",
    device: str = "cpu",
) -> Steering:
    """A chain model, such as an HMM, under a constraint on the whole sequence: what comes next, given a prefix.

    The constraint is an automaton (`dfa`), a product of inputs (a factorised attribute), or another chain over
    variables of the model, in its order. With a language model, a function from prefixes [batch, length] to
    log-probabilities of the next token [batch, values], answers are proportional to p_LM(v | prefix) · q, where q =
    P(constraint | prefix, v) under the model; with a sharpness a, σ(a · logit q) in place of q. float32 loses what is
    beyond its range beside the largest of an automaton state; float64 does not.

    >>> import danaus as dn
    >>> x = dn.Cat("x", 3, shape=4)
    >>> s = dn.steer(dn.hmm(x, states=2), dn.dfa(x, "<0>*<2><0>*"))
    >>> s.next_token_log_probs([[0, 0, 0], [2]]).exp().round().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]

    Raises: DanausError `not-a-chain`, `not-compatible`, `wrong-domain`, `negative`, `missing-package`, `unknown-type`,
    `unknown-device`.
    """
    wants_circuit(model)
    wants_circuit(constraint)
    wants(str, "a name", dtype, device)
    with placed(caller()):
        if dtype not in ("float32", "float64"):
            raise error("unknown-type", f'there is no type "{dtype}"', hint="there are float32 and float64")
        try:
            from .runtime.steering import make
        except ImportError as failure:
            message = f"{failure.name} is not installed"
            raise error("missing-package", message, hint='pip install "danaus[torch]"') from failure
        return make(model, constraint, language_model, sharpness, dtype, device)
