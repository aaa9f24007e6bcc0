"""What a user holds: a model under a constraint, asked for the next token of a batch of prefixes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...ir.circuit import Circuit
from ...ir.diagnostic import DanausError, error, warn
from ...ir.domain import first_value
from ...ir.random import stream
from . import backward, next_token, prefixes
from .prefixes import Prefixes

LanguageModel: TypeAlias = Callable[[Tensor], "Tensor | ArrayLike"]
"""From prefixes [batch, length] of one length to the log-probabilities of the next token, [batch, values]."""

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
        if not sharpness > 0:
            raise error("wrong-value", f"the sharpness is {sharpness}", hint="it is positive")
        self.language_model = language_model
        self.sharpness = sharpness
        self._messages = backward.joined(model, constraint, dtype, device)
        self.variables = tuple(joint.model.variable for joint in self._messages.steps)
        self._prepared = False
        self._last: dict[tuple[int, ...], tuple[Prefixes, int]] = {}

    @property
    def memory(self) -> int:
        """The bytes of messages and tables that are held."""
        return self._messages.memory

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> Steering:
        """Computes the backward messages; `progress` is told how many of how many steps are done. Gives itself."""
        if not self._prepared:
            backward.prepare(self._messages, progress)
            self._prepared = True
        return self

    def log_probability(self) -> float:
        """log of the mass of the model times the constraint: for a normalised model, log P(constraint)."""
        joint = next_token.constrained(self.prepare()._messages, self.begin(1))
        return float(torch.logsumexp(joint, dim=1)[0])

    def begin(self, batch: int = 1) -> Prefixes:
        """A batch of empty prefixes, for `extend`."""
        return prefixes.start(self._messages, batch)

    def extend(self, before: Prefixes, tokens: ArrayLike | Tensor) -> Prefixes:
        """Each prefix with one more token [batch], a value of its variable.

        Raises: DanausError `wrong-shape`, `wrong-value`, `too-long` where nothing would be left to ask for.
        """
        if before.length >= len(self.variables) - 1:
            raise self._too_long(before.length + 1)
        given = np.asarray(tokens)
        if given.shape != (len(before),):
            raise error("wrong-shape", f"tokens of shape {list(given.shape)} for {len(before)} prefixes")
        codes = torch.as_tensor(self._codes(given, before.length), device=before.tokens.device)
        return prefixes.extended(self._messages, before, codes)

    def next_token_log_probs(self, prefix: PrefixesLike) -> Tensor:
        """log p(x_{t+1} = v | prefix, constraint), [batch, values] in domain order.

        `prefix` is an array [batch, length], a list of prefixes that may differ in length, or `Prefixes`. With a
        language model the rows are proportional to p_LM(v | prefix) · P(constraint | prefix, v), the second under the
        model. A prefix that cannot be completed gives a row of −inf, with a warning.

        Raises: DanausError `wrong-shape`, `wrong-value`, `too-long`.
        """
        self.prepare()
        if isinstance(prefix, Prefixes):
            return self._normalised(self._scores(prefix))
        rows = self._rows(prefix)
        groups = self._grouped(rows)
        values = self._messages.steps[0].emission.shape[0]
        out = torch.full((len(rows), values), -torch.inf, dtype=torch.float64)
        for group, places in groups:
            out[places] = self._scores(group).cpu()
        return self._normalised(out)

    def constraint_log_probs(self, prefix: PrefixesLike) -> Tensor:
        """log P(constraint | prefix, x_{t+1} = v) under the model, [batch, values]; of an attribute, its expectation.

        −inf also where the model gives the prefix and v no probability.
        """
        self.prepare()
        if isinstance(prefix, Prefixes):
            return self._ratio(prefix)
        rows = self._rows(prefix)
        groups = self._grouped(rows)
        return self._laid(groups, [self._ratio(group) for group, _ in groups], len(rows))

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Sequences under the constraint, [count, variables]: token by token, row i of a seed the same in any batch.

        Raises: DanausError `impossible-evidence` where no sequence satisfies the constraint.
        """
        self.prepare()
        at = self.begin(count)
        tokens = at.tokens
        for position in range(len(self.variables)):
            scores = self._scores(at)
            shares = torch.exp(scores - scores.amax(dim=1, keepdim=True))
            if count and not bool(torch.isfinite(shares).all()):
                raise error("impossible-evidence", "no sequence of the model satisfies the constraint")
            sums = shares.cumsum(dim=1)
            uniform = torch.as_tensor(stream(seed, f"token {position}", count), device=sums.device)
            chosen = torch.searchsorted(sums, uniform[:, None] * sums[:, -1:], right=True)[:, 0]
            last = shares.shape[1] - 1 - (shares > 0).flip(1).to(torch.int64).argmax(dim=1)
            chosen = torch.minimum(chosen, last)
            tokens = torch.cat([tokens, chosen[:, None]], dim=1)
            if position < len(self.variables) - 1:
                at = prefixes.extended(self._messages, at, chosen)
        return tokens + self._first

    @property
    def _first(self) -> int:
        return first_value(self.variables[0].domain)

    def _scores(self, at: Prefixes) -> Tensor:
        """Logarithms proportional to the distribution of the next token, [batch, values]."""
        if self.language_model is None and self.sharpness == 1:
            return next_token.constrained(self._messages, at)
        ratio = self._ratio(at)
        if self.sharpness != 1:
            ratio = _sharpened(ratio, self.sharpness)
        if self.language_model is None:
            return ratio + next_token.plain(self._messages, at)
        given: Any = self.language_model(at.tokens + self._first)
        own = torch.as_tensor(given, dtype=torch.float64, device=ratio.device)
        if own.shape != ratio.shape:
            shape, wanted = list(own.shape), list(ratio.shape)
            raise error("wrong-shape", f"the language model gave log-probabilities of shape {shape}, not {wanted}")
        if bool(torch.isnan(own).any()) or bool((own == torch.inf).any()):
            raise error("wrong-number", "the language model gave log-probabilities that are NaN or +inf")
        return own + ratio

    def _ratio(self, at: Prefixes) -> Tensor:
        joint = next_token.constrained(self._messages, at)
        alone = next_token.plain(self._messages, at)
        return torch.where(torch.isneginf(joint) | torch.isneginf(alone), -torch.inf, joint - alone)

    def _normalised(self, scores: Tensor) -> Tensor:
        total = torch.logsumexp(scores, dim=1, keepdim=True)
        impossible = torch.isneginf(total)[:, 0]
        if bool(impossible.any()):
            first = int(torch.nonzero(impossible)[0, 0])
            warn(f"{int(impossible.sum())} prefixes, such as row {first}, cannot be completed: their rows are -inf")
        return torch.where(impossible[:, None], -torch.inf, scores - total)

    def _laid(self, groups: list[tuple[Prefixes, list[int]]], found: list[Tensor], rows: int) -> Tensor:
        values = self._messages.steps[0].emission.shape[0]
        out = torch.full((rows, values), -torch.inf, dtype=torch.float64)
        for (_, places), part in zip(groups, found, strict=True):
            out[places] = part.cpu()
        return out

    def _rows(self, given: Iterable[Any] | Any) -> list[tuple[int, ...]]:
        """Prefixes as tuples of codes."""
        rows: list[tuple[int, ...]] = []
        try:
            arrays = [np.asarray(row) for row in given]
        except (TypeError, ValueError) as failure:
            raise error("wrong-shape", "the prefixes are no list of lists of tokens") from failure
        for row in arrays:
            if row.ndim != 1:
                raise error("wrong-shape", "the prefixes are no list of lists of tokens", hint="write [[]] or [[3, 1]]")
            if len(row) >= len(self.variables):
                raise self._too_long(len(row))
            rows.append(tuple(self._codes(row, 0).tolist()))
        return rows

    def _codes(self, values: Any, position: int) -> Any:
        size = len(self._messages.steps[0].emission)
        if values.size and values.dtype.kind not in "iu":
            raise error("wrong-dtype", f"tokens of dtype {values.dtype}, not whole numbers")
        codes = values.astype(np.int64) - self._first
        bad = (codes < 0) | (codes >= size)
        if bad.any():
            value = values[bad].ravel()[0]
            name = self.variables[position].name
            raise error("wrong-value", f'token {value} is no value of "{name}"', hint=f"there are {size} values")
        return codes

    def _too_long(self, length: int) -> DanausError:
        return error(
            "too-long", f"a prefix of {length} tokens leaves none to ask for: the model has {len(self.variables)}"
        )

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
