"""Whether a path of groups is one launch or one for each group: whichever is predicted to take less.

What enters is the path as one launch and its groups by form; what leaves is a choice. Times are those of `roofline.py`
for a batch that stands for its class. In one launch nothing lies between two stages but a barrier, and no gap between
two launches; but a program has all of a stage to do, where group by group the tiles of a stage are spread over the
device, and it reads all weights. What is quicker hangs on the GPU: on how much its caches hold, and how many
multiprocessors there are to spread tiles over.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from . import policy
from .chain import ChainForm, weights_of
from .launch import AnyForm
from .policy import Precision
from .roofline import seconds_of
from .targets import Gpu
from .tiled import NONE, launched, tiled
from .value import Form

GAIN = 0.1
"""One launch must be faster by this share: the roofline leaves out its barriers, and that its stages do not overlap."""


def one_launch(
    whole: ChainForm, groups: Mapping[Form, int], alike: int, rows: int, precision: Precision, gpu: Gpu
) -> bool:
    """Whether a path is run in one launch on a GPU; so many paths of its shape are run together.

    Of loops with few weights it is not asked (`policy.LOOPED`).
    """
    if whole.body and weights_of(whole, precision)[0] <= policy.LOOPED:
        return True
    together = seconds(whole, alike, rows, precision, gpu)
    apart = sum(count * seconds(form, alike, rows, precision, gpu) for form, count in groups.items())
    return together <= (1 - GAIN) * apart


@lru_cache(maxsize=256)
def seconds(form: AnyForm, alike: int, rows: int, precision: Precision, gpu: Gpu) -> float:
    """The least time of one launch of so many groups of a form."""
    launch = launched(form, tiled(form, rows, precision, gpu, NONE), 0, alike)
    return seconds_of(launch, policy.typical(rows, gpu), gpu, precision)
