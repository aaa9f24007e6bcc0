"""Prefixes of one length, and the forward messages of each: what one more token needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...ir.diagnostic import error
from .backward import Messages


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """A batch of prefixes [batch, length], in codes 0 … n-1, with their messages; `Steering.extend` makes longer ones.

    They are of one `Steering`, whose messages they hold on to: `of`. `model` [batch, edges] is proportional to the
    joint mass of the prefix and each state, `constraint` [batch, edges'] the weight of each of the automaton's moves
    out of the states that it may be in; `log_scale` [batch] is what scaling took out of the first, and `log_weight` out
    of the second.
    """

    of: Messages
    tokens: Tensor
    model: Tensor
    constraint: Tensor
    log_scale: Tensor
    log_weight: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        return self.tokens.shape[1]

    def select(self, rows: Sequence[int] | Tensor) -> Prefixes:
        """The prefixes of these rows, which may repeat: the survivors of a beam.

        Raises: DanausError `wrong-index`.
        """
        given = rows.cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise error("wrong-index", f"{str(rows)[:60]} are no numbers of rows", hint="write [2, 0, 0]")
        if given.size and not (given.min() >= 0 and given.max() < len(self)):
            raise error("wrong-index", "a row is out of range", hint=f"there are {len(self)} prefixes, from row 0")
        index = torch.as_tensor(given.astype(np.int64), device=self.tokens.device)
        return Prefixes(self.of, *(each[index] for each in self._parts()))

    @staticmethod
    def joined(parts: Sequence[Prefixes]) -> Prefixes:
        """Prefixes of one length, as one batch."""
        columns = zip(*(part._parts() for part in parts), strict=True)
        return Prefixes(parts[0].of, *(torch.cat(each) for each in columns))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.tokens, self.model, self.constraint, self.log_scale, self.log_weight


def start(messages: Messages, count: int) -> Prefixes:
    """`count` empty prefixes."""
    joint, device = messages.steps[0], messages.maps.device
    one = torch.ones((1, 1), dtype=torch.float64, device=device)
    model = messages.maps.transposed(joint.model.out, one).T.expand(count, -1)
    constraint = joint.out.sum(dim=0).expand(count, -1)
    none = torch.zeros(count, dtype=torch.float64, device=device)
    return _scaled(messages, torch.zeros((count, 0), dtype=torch.int64, device=device), model, constraint, none, none)


def extended(messages: Messages, prefixes: Prefixes, tokens: Tensor) -> Prefixes:
    """Each prefix with a token [batch] at its end, of which another has to follow."""
    joint, following = messages.steps[prefixes.length], messages.steps[prefixes.length + 1]
    assert joint.model.rest is not None and joint.rest is not None
    seen = prefixes.model * joint.emission[tokens].double()
    dtype = messages.maps.dtype
    states = messages.maps.transposed(joint.model.rest, _normal(seen)[0].T.to(dtype))
    model = messages.maps.transposed(following.model.out, states).T.double()
    read = prefixes.constraint * (joint.letters.table.T[tokens] @ joint.reads.T)
    constraint = read @ joint.rest @ following.out
    longer = torch.cat([prefixes.tokens, tokens[:, None]], dim=1)
    return _scaled(messages, longer, model, constraint, prefixes.log_scale + _normal(seen)[1], prefixes.log_weight)


def _scaled(of: Messages, tokens: Tensor, model: Tensor, constraint: Tensor, scale: Tensor, weight: Tensor) -> Prefixes:
    first, second = _normal(model), _normal(constraint)
    return Prefixes(of, tokens, first[0], second[0], scale + first[1], weight + second[1])


def _normal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of which the largest entry is 1, and the logarithms of what they were divided by; zeros stay."""
    largest = rows.amax(dim=1)
    return rows / torch.where(largest > 0, largest, 1.0)[:, None], torch.log(largest)
