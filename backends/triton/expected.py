"""The instructions of matrix units that a launch's kernel must have, by the shapes of its products and the GPU.

What enters is a launch; what leaves is a kind of instruction, against which the machine code is read. A product whose
left operand has fewer than 64 rows is none for the wide units of sm_90 and sm_100, nor are several blocks at once.
"""

from __future__ import annotations

from . import policy
from .blocks import batched
from .launch import Launch
from .policy import Precision
from .stage import is_vector, matrix_of
from .sweep import LoopForm
from .targets import Gpu
from .value import Form, Matrix

WIDE = 64


def kind_of(launch: Launch, gpu: Gpu, precision: Precision) -> str | None:
    """The kind of instruction that a launch multiplies with; None where it has no matrix units for its products."""
    rows = _tallest(launch)
    if rows <= policy.VECTOR:
        return None
    if gpu.backend == "hip":
        return "mfma"
    if precision == "ieee":
        return None
    if rows < WIDE or gpu.architecture == 80:
        return "mma.sync"
    return "wgmma" if gpu.architecture == 90 else "tcgen05"


def has_loop(launch: Launch) -> bool:
    """Whether a launch multiplies in a loop: over the turns of a path, or over columns."""
    form, constants = launch.form, dict(launch.kernel.constants)
    if not isinstance(form, Form):
        return form.count > 2
    return form.matrix is not None and form.matrix.columns > 8 * int(constants["INNER"])  # fewer turns are unrolled


def _tallest(launch: Launch) -> int:
    """Rows of the tallest left operand."""
    form, constants = launch.form, dict(launch.kernel.constants)
    if isinstance(form, LoopForm):
        return max(_tall(matrix_of(stage)) for stage in form.stages)
    if isinstance(form, Form):
        return _rows(form) if _rows(form) <= policy.VECTOR else int(constants["ROWS"])
    last = len(form.stages) - 1
    whole = (
        int(constants.get(f"ROWS_{number}", _tall(matrix_of(stage))))
        for number, stage in enumerate(form.stages)
        if _rows(stage) > policy.VECTOR or (not form.scratch and not (number == last and is_vector(stage)))
    )
    return max(whole, default=0)


def _tall(matrix: Matrix) -> int:
    """Rows of a matrix on chip; several blocks at once are none for the wide units."""
    found = batched(matrix)
    return found.rows if found.count == 1 or found.alone else min(found.rows, WIDE // 2)


def _rows(form: Form) -> int:
    return 0 if form.matrix is None else form.matrix.rows
