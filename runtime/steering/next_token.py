"""The masses of every next token: of the model alone, and of the model with the constraint on the whole sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .backward import Joint, Messages
from .prefixes import Prefixes

_MOST_GROUPS = 256
_SMALL = 16
_NUMBERS_AT_ONCE = 1 << 25


def plain(messages: Messages, prefixes: Prefixes) -> Tensor:
    """log p(prefix, next = v) under the model, [batch, values]: what follows is summed out."""
    joint = messages.steps[prefixes.length]
    if not messages.totals:
        messages.totals = _totals(messages)
    follows, scale = messages.totals[prefixes.length]
    rows = prefixes.model * follows
    largest = rows.amax(dim=1, keepdim=True)
    rows = (rows / torch.where(largest > 0, largest, 1.0)).to(joint.emission.dtype)
    return torch.log((rows @ joint.emission.T).double()) + torch.log(largest) + (prefixes.log_scale + scale)[:, None]


def _totals(messages: Messages) -> list[tuple[Tensor, float]]:
    """For each step, the mass of all that may follow, per edge, and the logarithm that multiplies it."""
    dtype = messages.maps.dtype
    edges = messages.steps[-1].emission.shape[1]
    found = [(torch.ones(edges, dtype=torch.float64, device=messages.maps.device), 0.0)]
    for before, joint in zip(messages.steps[-2::-1], messages.steps[:0:-1], strict=True):
        follows, scale = found[-1]
        sums = joint.emission.sum(dim=0).double() * follows
        assert before.model.rest is not None
        states = messages.maps.apply(joint.model.out, sums[:, None].to(dtype))
        above = messages.maps.apply(before.model.rest, states)[:, 0].double()
        largest = float(above.max())
        found.append((above / (largest or 1.0), scale + (math.log(largest) if largest else -math.inf)))
    return found[::-1]


def constrained(messages: Messages, prefixes: Prefixes) -> Tensor:
    """log of the mass of all sequences that begin with prefix and v, times the constraint: [batch, values]."""
    joint = messages.steps[prefixes.length]
    batch = len(prefixes)
    if prefixes.length == len(messages.steps) - 1:
        ones = torch.ones((joint.emission.shape[1], 1), dtype=joint.emission.dtype, device=messages.maps.device)
        weights = prefixes.constraint @ joint.reads  # [batch, inputs]
        meets, scales = weights[:, None, :], torch.zeros(batch, dtype=torch.float64, device=messages.maps.device)
        message = ones
    else:
        assert joint.rest is not None
        after = messages.after[prefixes.length]
        message = after.values
        uses = torch.einsum("be,es,ec->bsc", prefixes.constraint, joint.rest, joint.reads)
        exponents = torch.where((uses > 0).any(dim=2), after.exponents, -torch.inf)
        top = exponents.amax(dim=1)
        top = torch.where(torch.isneginf(top), 0.0, top)
        meets = uses * torch.exp2(exponents - top[:, None])[:, :, None]
        scales = top * torch.log(torch.tensor(2.0, dtype=torch.float64))
    few = joint.letters.labels is not None and meets.shape[2] <= _MOST_GROUPS
    found = _grouped(joint, prefixes, message, meets) if few else _by_state(joint, prefixes, message, meets)
    return found + (scales + prefixes.log_scale + prefixes.log_weight)[:, None]


def _grouped(joint: Joint, prefixes: Prefixes, message: Tensor, meets: Tensor) -> Tensor:
    """A matrix product for the values of each label: every value meets one combination of states."""
    dtype = message.dtype
    batch, _, labels = meets.shape
    flat = meets.permute(1, 0, 2).reshape(meets.shape[1], batch * labels)
    mixed = (message @ flat.to(dtype)).reshape(len(message), batch, labels).double()
    mixed = mixed * prefixes.model.T[:, :, None]
    largest = mixed.amax(dim=(0, 2))
    mixed = (mixed / torch.where(largest > 0, largest, 1.0)[None, :, None]).to(dtype)
    largest_group = max(joint.letters.groups, key=lambda group: len(group[1]))[0]
    out = (
        joint.emission @ mixed[:, :, largest_group]
    )  # of all values: to gather those of the group would copy the table
    small: list[Tensor] = []
    for label, members in joint.letters.groups:
        if label == largest_group:
            continue
        if len(members) <= _SMALL:
            small.append(members)
        else:
            out[members] = joint.emission[members] @ mixed[:, :, label]
    assert joint.letters.labels is not None
    if small:
        members = torch.cat(small)
        width = max(1, _NUMBERS_AT_ONCE // max(1, batch * len(mixed)))
        for part in torch.split(members, width):
            out[part] = torch.einsum("ve,ebv->vb", joint.emission[part], mixed[:, :, joint.letters.labels[part]])
    weights = joint.letters.table.amax(dim=0)
    return torch.log(out.T.double() * weights) + torch.log(largest)[:, None]


def _by_state(joint: Joint, prefixes: Prefixes, message: Tensor, meets: Tensor) -> Tensor:
    """A matrix product with all values for each automaton state that some prefix may reach next."""
    used = torch.nonzero((meets > 0).any(dim=2).any(dim=0))[:, 0].tolist()
    batch = len(prefixes)
    parts = prefixes.model[:, :, None] * message.double()[None, :, used]
    largest = parts.amax(dim=(1, 2)) if used else torch.zeros(batch, dtype=torch.float64, device=message.device)
    parts = parts / torch.where(largest > 0, largest, 1.0)[:, None, None]
    out = torch.zeros((batch, len(joint.emission)), dtype=torch.float64, device=message.device)
    for place, state in enumerate(used):
        values = joint.emission @ parts[:, :, place].T.to(message.dtype)
        out += values.T.double() * (meets[:, state] @ joint.letters.table)
    return torch.log(out) + torch.log(largest)[:, None]
