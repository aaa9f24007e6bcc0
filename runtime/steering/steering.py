"""What a user holds: a model under a constraint, asked for the next token of a batch of prefixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error, warn
from ...ir.domain import Variable
from ...ir.random import stream
from . import backward, next_token, prefixes
from .given import MAX_NUMBERS, Vocabulary, log_probabilities, whole
from .prefixes import Prefixes

LanguageModel: TypeAlias = Callable[[Tensor], "Tensor | ArrayLike"]
"""From prefixes [batch, length] of one length to the log-probabilities of the next token, [batch, values]."""

_NUMBERS_AT_ONCE = 1 << 24

PrefixesLike: TypeAlias = "Prefixes | Sequence[Sequence[int]] | ArrayLike"


class Steering:
    """p(next token | prefix, constraint) of a chain model, or of a language model that it guides.

    The messages are computed once, by `prepare` or at the first question: [states, automaton states] for each step.
    Prefixes that lengthen those of the last question by a token cost one step each.
    """

    def __init__(
        self,
        model: Circuit,
        constraint: Circuit,
        language_model: LanguageModel | None,
        sharpness: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        if (
            isinstance(sharpness, bool)
            or not isinstance(sharpness, int | float | np.floating)
            or not 0 < sharpness < inf
        ):
            raise error("wrong-value", f"the sharpness is {sharpness!r}", hint="it is a positive number")
        if language_model is not None and not callable(language_model):
            message = f"{type(language_model).__name__} where a language model is expected"
            raise error("wrong-arguments", message, hint="a function from tokens [batch, length] to [batch, values]")
        self.language_model = language_model
        self.sharpness = sharpness
        self._messages = backward.joined(model, constraint, dtype, device)
        self._vocabulary = Vocabulary.of([joint.model.variable for joint in self._messages.steps])
        self._prepared = False
        self._last: dict[tuple[int, ...], tuple[Prefixes, int]] = {}

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of the sequence, in its order."""
        return self._vocabulary.variables

    @property
    def memory(self) -> int:
        """The bytes of messages and tables that are held."""
        return self._messages.memory

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> Steering:
        """Computes the backward messages; `progress` is told how many of how many steps are done. Gives itself.

        Where no sequence of the model satisfies the constraint, a warning says so.
        """
        if progress is not None and not callable(progress):
            raise error("wrong-arguments", f"{type(progress).__name__} where a function of (done, steps) is expected")
        if not self._prepared:
            backward.prepare(self._messages, progress)
            self._prepared = True
            if self.log_probability() == -inf:
                warn("no sequence of the model satisfies the constraint")
        return self

    def log_probability(self) -> float:
        """log of the mass of the model times the constraint: for a normalised model, log P(constraint)."""
        joint = next_token.constrained(self.prepare()._messages, self.begin(1))
        return float(torch.logsumexp(joint, dim=1)[0])

    def begin(self, batch: int = 1) -> Prefixes:
        """A batch of empty prefixes, for `extend`."""
        return prefixes.start(self._messages, whole(batch, "batch"))

    def extend(self, before: Prefixes, tokens: ArrayLike | Tensor) -> Prefixes:
        """Each prefix with one more token [batch], a value of its variable.

        Raises: DanausError `wrong-shape`, `wrong-value`, `too-long` where nothing would be left to ask for.
        """
        self._require_own(before)
        if before.length >= len(self.variables) - 1:
            raise self._vocabulary.too_long(before.length + 1)
        given = np.asarray(tokens)
        if given.shape != (len(before),):
            raise error("wrong-shape", f"tokens of shape {list(given.shape)} for {len(before)} prefixes")
        codes = torch.as_tensor(
            self._vocabulary.codes(given, self.variables[before.length :][:1]), device=before.tokens.device
        )
        return prefixes.extended(self._messages, before, codes)

    def next_token_log_probs(self, prefix: PrefixesLike) -> Tensor:
        """log p(x_{t+1} = v | prefix, constraint), [batch, values] in domain order.

        `prefix` is an array [batch, length], a list of prefixes that may differ in length, or `Prefixes`. With a
        language model the rows are proportional to p_LM(v | prefix) · P(constraint | prefix, v), the second under the
        model. A prefix that cannot be completed gives a row of −inf, with a warning.

        Raises: DanausError `wrong-shape`, `wrong-value`, `too-long`.
        """
        self.prepare()
        return self._normalised(self._answers(prefix, self._scores))

    def constraint_log_probs(self, prefix: PrefixesLike) -> Tensor:
        """log P(constraint | prefix, x_{t+1} = v) under the model, [batch, values]; of an attribute, its expectation.

        −inf also where the model gives the prefix and v no probability.
        """
        self.prepare()
        return self._answers(prefix, self._ratio)

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Sequences under the constraint, [count, variables]: token by token, row i of a seed the same in any batch.

        Raises: DanausError `impossible-evidence` where no sequence satisfies the constraint, `wrong-value`,
        `too-large`.
        """
        rows, words = whole(count, "number of samples"), len(self.variables)
        whole(seed, "seed")
        if rows * words > MAX_NUMBERS:
            raise error("too-large", f"{rows} samples of {words} variables", hint=f"at most {MAX_NUMBERS // words}")
        self.prepare()
        uniform = np.stack([stream(seed, f"token {position}", rows) for position in range(words)])
        step = max(1, _NUMBERS_AT_ONCE // self._vocabulary.size)
        parts = [self._drawn(uniform[:, start : start + step]) for start in range(0, max(rows, 1), step)]
        return torch.cat(parts) + self._vocabulary.first

    def _drawn(self, uniform: NDArray[np.float64]) -> Tensor:
        """Sequences of codes, for uniform numbers [variables, rows]."""
        at = self.begin(uniform.shape[1])
        for row in torch.as_tensor(uniform, device=at.tokens.device):
            scores = self._scores(at)
            shares = torch.exp(scores - scores.amax(dim=1, keepdim=True))
            if not bool(torch.isfinite(shares).all()):
                raise self._impossible(at.length)
            sums = shares.cumsum(dim=1)
            chosen = torch.searchsorted(sums, row[:, None] * sums[:, -1:], right=True)[:, 0]
            last = shares.shape[1] - 1 - (shares > 0).flip(1).to(torch.int64).argmax(dim=1)
            chosen = torch.minimum(chosen, last)
            if at.length == len(self.variables) - 1:
                return torch.cat([at.tokens, chosen[:, None]], dim=1)
            at = prefixes.extended(self._messages, at, chosen)
        raise AssertionError("a sequence has a variable")

    def _impossible(self, position: int) -> DanausError:
        if self.language_model is None:
            return error("impossible-evidence", "no sequence of the model satisfies the constraint")
        return error(
            "impossible-evidence",
            f"no token {position} that the language model allows can lead to the constraint under the model",
            hint="a language model that gives every token some probability never comes to such an end",
        )

    def _scores(self, at: Prefixes) -> Tensor:
        """Logarithms proportional to the distribution of the next token, [batch, values]."""
        if self.language_model is None and self.sharpness == 1:
            return next_token.constrained(self._messages, at)
        ratio = self._ratio(at)
        if self.sharpness != 1:
            ratio = _sharpened(ratio, self.sharpness)
        if self.language_model is None:
            return ratio + next_token.plain(self._messages, at)
        return log_probabilities(self.language_model(at.tokens + self._vocabulary.first), ratio) + ratio

    def _ratio(self, at: Prefixes) -> Tensor:
        joint = next_token.constrained(self._messages, at)
        alone = next_token.plain(self._messages, at)
        return torch.where(torch.isneginf(joint) | torch.isneginf(alone), -torch.inf, joint - alone)

    def _normalised(self, scores: Tensor) -> Tensor:
        total = torch.logsumexp(scores, dim=1, keepdim=True)
        impossible = torch.isneginf(total)[:, 0]
        if bool(impossible.any()):
            first, count = int(torch.nonzero(impossible)[0, 0]), int(impossible.sum())
            which = f"row {first}" if count == 1 else f"{count} rows, such as row {first},"
            warn(f"the prefix of {which} cannot be completed: its answers are -inf")
        return torch.where(impossible[:, None], -torch.inf, scores - total)

    def _answers(self, prefix: PrefixesLike, ask: Callable[[Prefixes], Tensor]) -> Tensor:
        """What is asked of each prefix, in the order that they are given in."""
        if isinstance(prefix, Prefixes):
            self._require_own(prefix)
            return ask(prefix)
        rows = self._vocabulary.prefixes(prefix)
        out = torch.full((len(rows), self._vocabulary.size), -torch.inf, dtype=torch.float64)
        for group, places in self._grouped(rows):
            out[places] = ask(group).cpu()
        return out

    def _require_own(self, given: Prefixes) -> None:
        if not isinstance(given, Prefixes):
            message = f"{type(given).__name__} where prefixes are expected"
            raise error("wrong-arguments", message, hint="`begin` and `extend` make them")
        if given.of is not self._messages:
            raise error("wrong-arguments", "the prefixes are of another steering", hint="begin with this one's `begin`")

    def _grouped(self, rows: list[tuple[int, ...]]) -> list[tuple[Prefixes, list[int]]]:
        """Prefixes by length, with the places of their rows; what the last question knew of them is not done again."""
        waiting: dict[tuple[int, int], list[int]] = {}
        for place, row in enumerate(rows):
            known = len(row)
            while known and row[:known] not in self._last:
                known -= 1
            waiting.setdefault((len(row), known), []).append(place)
        groups: list[tuple[Prefixes, list[int]]] = []
        for (length, known), places in waiting.items():
            at = self._known([rows[place][:known] for place in places])
            codes = torch.as_tensor(np.array([rows[place][known:] for place in places]), device=at.tokens.device)
            for step in range(length - known):
                at = prefixes.extended(self._messages, at, codes[:, step])
            groups.append((at, places))
        self._last = {rows[place]: (at, i) for at, places in groups for i, place in enumerate(places)}
        return groups

    def _known(self, rows: list[tuple[int, ...]]) -> Prefixes:
        if not rows[0]:
            return self.begin(len(rows))
        held: dict[int, Prefixes] = {}
        offsets: dict[int, int] = {}
        total = 0
        index: list[int] = []
        for row in rows:
            batch, place = self._last[row]
            if id(batch) not in held:
                held[id(batch)], offsets[id(batch)] = batch, total
                total += len(batch)
            index.append(offsets[id(batch)] + place)
        return Prefixes.joined(list(held.values())).select(index)


def make(
    model: Circuit,
    constraint: Circuit,
    language_model: LanguageModel | None,
    sharpness: float,
    dtype: str,
    device: str,
) -> Steering:
    """The steering of a model by a constraint, with the names that `danaus.steer` takes.

    Raises: DanausError `unknown-device` where torch has none of that name.
    """
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as failure:
        raise error(
            "unknown-device", f'torch has no device "{device}" here', hint='such as "cpu" or "cuda"'
        ) from failure
    numbers = torch.float64 if dtype == "float64" else torch.float32
    return Steering(model, constraint, language_model, sharpness, numbers, place)


def _sharpened(logs: Tensor, sharpness: float) -> Tensor:
    """log σ(a · logit q) for log q, so that 0 and 1 stay: Weng et al., "TRACE", ICML 2025."""
    if bool((logs > 1e-6).any()):
        raise error("wrong-value", "the constraint is above 1", hint="a sharpness other than 1 takes one within [0, 1]")
    logs = logs.clamp(max=0.0)
    others = torch.log(-torch.expm1(logs))
    logit = torch.where(torch.isneginf(logs), -torch.inf, logs - others)
    return torch.nn.functional.logsigmoid(sharpness * logit)
