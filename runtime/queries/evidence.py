"""Virtual evidence as it is given: weights on the values of variables, one row of them for each row of data.

Each value of a weighted variable counts with its weight; its column of the data is ignored.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch

from ...ir.diagnostic import error
from ...ir.domain import FiniteDomain, Variable
from ...ir.parameter import Floats
from ...ir.span import caller


def as_array(x: Any) -> Any:
    """Rows as numpy sees them: a tensor without a copy where it is in memory of the processor.

    Raises: DanausError `wrong-dtype` for a tensor that is not so: a sparse one, or one that holds no numbers.
    """
    if not isinstance(x, torch.Tensor):
        return x
    if x.layout != torch.strided:
        raise error("wrong-dtype", f"the tensor has the layout {x.layout}", caller(), hint="give x.to_dense()")
    if x.is_meta:
        raise error("wrong-dtype", "the tensor is on the device meta, which holds no numbers", caller())
    rows = x.detach().cpu()
    try:
        return (rows.float() if rows.dtype == torch.bfloat16 else rows).numpy()  # numpy has no bfloat16
    except TypeError:
        message = f"the tensor has dtype {x.dtype}"
        raise error("wrong-dtype", message, caller(), hint="give whole numbers or floats") from None


def weights_of(variable: Variable, given: Any, rows: int) -> Floats:
    """Weights on a variable's values, [rows, n], from [rows, n] or [n].

    Raises: DanausError `infinite-domain`, `wrong-dtype`, `wrong-shape`, `wrong-value`.
    """
    if not isinstance(variable.domain, FiniteDomain):
        raise error("infinite-domain", f'"{variable}" ({variable.domain}) takes no weights on its values')
    weights = np.asarray(given)
    if weights.dtype.kind not in "biuf":
        raise error("wrong-dtype", f'the weights on "{variable}" have dtype {weights.dtype}')
    count = variable.domain.size
    if weights.shape not in ((count,), (rows, count)):
        raise error(
            "wrong-shape", f'the weights on "{variable}" have shape {list(weights.shape)}, not [{rows}, {count}]'
        )
    spread = np.broadcast_to(weights.astype(np.float64), (rows, count))
    wrong = np.argwhere(~(np.isfinite(spread) & (spread >= 0)))
    if len(wrong):
        row, code = wrong[0].tolist()
        raise error(
            "wrong-value",
            f'row {row} (from 0) has the weight {spread[row, code]:g} on a value of "{variable}"',
            hint="weights are finite and at least 0",
        )
    return np.ascontiguousarray(spread)


def without_columns(x: Any, observed: Any, columns: Collection[int]) -> tuple[Any, Any]:
    """Rows and their mask without what stands in some columns, which are neither values nor read."""
    rows = np.array(x)
    if rows.ndim != 2 or not columns or rows.shape[1] <= max(columns):
        return rows, observed
    mask = np.array(np.broadcast_to(observed, rows.shape)) if observed is not None else None
    if mask is None:
        mask = ~np.isnan(rows) if rows.dtype.kind == "f" else np.ones(rows.shape, dtype=bool)
    mask[:, list(columns)] = False
    return rows, mask
