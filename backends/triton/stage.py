"""One stage of a path whose state stands in registers, as lines of a kernel.

The state is the logarithms of a stage's sums below an offset in float64 that takes up the largest value at each stage.
A stage that reads nothing else, as the second factor of a factorised map, takes the sums as they are: they are brought
near 1 by a power of two, without a logarithm. What is lost below the largest value is bounded as it goes: u, the
logarithm of a bound beside the offset, becomes

    log(R · exp(u + m − shift) + (R + 2 K) · 2⁻¹²⁶)

with R the largest sum of a row of the K columns and m the largest emission, and a row of data is flagged where anything
was lost and u is not far below the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from . import policy
from .blocks import Weights, product_lines, put_together, taken_apart, weights_lines
from .dense import whole
from .grids import Grid, given, relaid, taken
from .paths import slot_before
from .policy import Precision
from .precision import padded
from .text import ZERO, At, Lines
from .value import Constant, Form, Look, Matrix, Read, leaves

TINY = 2.0**-126

TOLERANCE = -14.5
"""The logarithm of the share of a result, 5e-7, up to which what was lost does not matter."""


def matrix_of(stage: Form) -> Matrix:
    """The matrix of a stage."""
    assert stage.matrix is not None
    return stage.matrix


def continues(stage: Form) -> bool:
    """Whether a stage takes the sums before it as they are."""
    return isinstance(stage.value, Read)


def is_vector(stage: Form) -> bool:
    """Whether a stage is multiplied row by row."""
    return matrix_of(stage).rows <= policy.VECTOR and matrix_of(stage).blocks == 1


def grid_before(stage: Form, before: Grid | None, vector: bool) -> Grid | None:
    """How a stage takes its nodes; a vector takes them as they stand."""
    if vector and before is not None:
        return before
    return taken(matrix_of(stage))


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with where its operands are: names by slot; `alone` without a state before it, `ready` weights that were
    loaded before, `vector` for the last one, which may be multiplied row by row into sums; `grid` how it takes the
    state before it, which stands as `stands` (None as it is taken), and whether what follows reads logarithms (`logs`)
    or sums (`sums`), which are taken unless it has `logs_only`. Names of states and sums end in what `taken` says where
    it takes them, and in `given` where it gives them.

    What was lost is told for each node where it is `apart`: a tile, which takes registers but is reduced once, after a
    loop; else by row of data, of the same reduction as the largest.
    """

    form: Form
    names: dict[int, str]
    grid: Grid
    alone: bool = False
    ready: Weights | None = None
    vector: bool = False
    logs: bool = True
    sums: bool = False
    apart: bool = False
    stands: Grid | None = None
    taken: str = ""
    given: str = ""
    logs_only: bool = False


def stage_lines(lines: Lines, stage: Stage, precision: Precision) -> str:
    """Lines that bring the state, the offset and u on by one stage; the name of what is negative where something was
    lost."""
    form, matrix = stage.form, matrix_of(stage.form)
    nodes, mask = stage.grid.nodes(lines)
    scale = stage.names[1]
    if continues(form) and not stage.alone and not stage.logs_only:
        p, apart = _sums_taken(lines, stage, matrix)
    else:
        p, apart = _logs_taken(lines, stage, nodes, mask)
    lines.add(f"offset += tl.load({scale}).to(tl.float64)")
    if stage.vector and is_vector(form):
        _, columns = padded(matrix)
        masked = "" if mask is None else f", {mask}, 0.0"
        for row in range(matrix.rows):
            weight = lines.let("weight", f"tl.load({stage.names[0]} + {row * columns} + {nodes}{masked})")
            lines.add(f"sum_{row} = tl.log(tl.sum({weight}[:, None] * {p}, 0))")
        return apart
    weights = stage.ready or weights_lines(lines, matrix, stage.names[0], precision)
    right = p if taken_apart(matrix, p) == p else lines.let("p", taken_apart(matrix, p))
    total = product_lines(lines, matrix, precision, weights, right)
    total = put_together(matrix, total)
    if stage.sums:
        lines.add(f"sums{stage.given} = {total}")
        total = f"sums{stage.given}"
    if stage.logs:
        lines.add(f"state{stage.given} = tl.log({total})")
    return apart


def _before(lines: Lines, stage: Stage, name: str, empty: str) -> str:
    """The state before a stage, or its sums, as the stage takes it."""
    name += stage.taken
    return name if stage.stands is None else relaid(lines, name, stage.stands, stage.grid, empty)


def _logs_taken(lines: Lines, stage: Stage, nodes: str, mask: str | None) -> tuple[str, str]:
    """Lines for what is multiplied, from a value of logarithms; its name, and that of where something was lost."""
    form, matrix, size = stage.form, matrix_of(stage.form), stage.grid.size
    before = slot_before(form)
    held = {} if stage.alone or before is None else {before: _before(lines, stage, "state", ZERO)}
    x = whole(lines, form.value, At(nodes, mask), stage.names, str(size), held)
    scale = stage.names[1]
    _extremes(lines, stage, x, ZERO)
    lines.add(f"shift = tl.where(top == {ZERO}, 0.0, top)")
    if stage.apart:
        apart = lines.let("apart", f"tl.where({x} > {ZERO}, {x} - shift[None, :], 0.0) - tl.load({scale} + 1)")
    else:
        apart = lines.let("apart", f"low - shift - tl.load({scale} + 1)")
    lines.add("offset += shift.to(tl.float64)", f"widest = tl.load({scale} + 2)")
    largest = "" if stage.alone else "".join(f" + {each}" for each in _largest(form, stage.names))
    kept = "" if stage.alone else f"widest * tl.exp(u{largest} - shift) + "
    _bound(lines, matrix, kept)
    return lines.let("p", f"tl.exp({x} - shift[None, :])"), apart


def _sums_taken(lines: Lines, stage: Stage, matrix: Matrix) -> tuple[str, str]:
    """The same from sums: a power of two, made of the bits of the largest, brings them below 2."""
    scale, sums = stage.names[1], _before(lines, stage, "sums", "0.0")
    _extremes(lines, stage, sums, "0.0")
    lines.add(
        "bits = top.to(tl.int32, bitcast=True) & 0x7F800000",
        "bits = tl.where(bits == 0, 0x3F800000, bits)",
        "bits = tl.minimum(bits, 0x7E800000)",
        f"offset += ((bits >> 23) - 127).to(tl.float64) * {log(2.0)!r}",
    )
    lines.add("power = (0x7F000000 - bits).to(tl.float32, bitcast=True)")
    p = lines.let("p", f"{sums} * power[None, :]")
    lines.add(f"edge = tl.maximum(tl.exp(tl.load({scale} + 1)), {TINY!r}) * 1.0001")
    if stage.apart:
        apart = lines.let("apart", f"tl.where(({sums} > 0.0) & ({p} < edge), -1.0, 0.0)")
    else:
        apart = lines.let("apart", "low * power - edge")
    lines.add(
        f"shift = ((bits >> 23) - 127).to(tl.float32) * {log(2.0)!r}",
        f"widest = tl.load({scale} + 2)",
    )
    _bound(lines, matrix, "widest * tl.exp(u - shift) + ")
    return p, apart


def _extremes(lines: Lines, stage: Stage, x: str, zero: str) -> None:
    """Lines for the largest of a tile, by row of data, and, if need be, the least that is no zero."""
    if stage.apart:
        lines.add(f"top = tl.max({x}, 0)")
        return
    lines.add(
        f"both = tl.max(tl.join({x}, tl.where({x} > {zero}, -{x}, {ZERO})), 0)",
        "top, low = tl.split(both)",
        "low = -low",
    )


def _bound(lines: Lines, matrix: Matrix, kept: str) -> None:
    lines.add(f"u = tl.log({kept}(widest + {2.0 * matrix.columns}) * {TINY!r} + tl.zeros([BATCH], tl.float32))")


def _largest(stage: Form, names: dict[int, str]) -> list[str]:
    """The largest of what is multiplied by the state, by row of data."""
    found: list[str] = []
    for leaf in leaves(stage.value):
        match leaf:
            case Look(table, column, width, rows):
                found.append(f"tl.load({names[table]} + {rows * width} + {names[column]})")
            case Constant(table, width):
                found.append(f"tl.load({names[table]} + {width})")
            case _:
                pass
    return found


def result_lines(lines: Lines, stage: Form, vector: bool, state: str) -> None:
    """Lines that write what the last stage gave, a state unless it is a vector, and flag rows of data."""
    matrix = matrix_of(stage)
    if vector and is_vector(stage):
        for row in range(matrix.rows):
            lines.add(f"tl.store(y + {row} * stride, (sum_{row} + offset).to(tl.float32))")
        least = "sum_0"
        for row in range(1, matrix.rows):
            least = f"tl.minimum({least}, sum_{row})"
    else:
        grid = given(matrix)
        assert grid is not None
        nodes, mask = grid.nodes(lines)
        masked = "" if mask is None else f", {mask}[:, None]"
        inside = state if mask is None else f"tl.where({mask}[:, None], {state}, 0.0)"
        lines.add(
            f"found = ({state} + offset[None, :]).to(tl.float32)",
            f"tl.store(y[None, :] + {nodes}[:, None] * stride, found{masked})",
        )
        least = f"tl.min({inside}, 0)"
    lines.add(
        f"sure = (lost == 0) | (u <= {least} + {TOLERANCE})",
        "tl.store(flags + b, tl.full([BATCH], 1, tl.int32), sure == 0)",
    )
