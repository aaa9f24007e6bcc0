"""Code for the pull of matrices: the transposed matrix times the derivative, and sums over lanes of outer products.

The second is a matrix product too, with the lanes in between: x is brought into rows of lanes by transposing squares of
it, in panels of two vectors of columns, and each panel meets the derivative's rows in register blocks.
"""

from __future__ import annotations

from .builder import Function
from .loads import transposed
from .maps import register_block, row_blocks
from .state import State, state, values
from .vectors import ROW, Vectors


def padded_columns(columns: int, vectors: Vectors) -> int:
    """The columns of a matrix's derivative as it is summed: whole vectors."""
    return -(-columns // vectors.width) * vectors.width


def panel_bytes(vectors: Vectors) -> int:
    """What a panel takes: two vectors for every lane."""
    return 2 * vectors.bytes * vectors.lanes


def contract(
    f: Function,
    blocks: int,
    rows: int,
    columns: int,
    read: tuple[int, int],
    write: tuple[int, int],
    shared: bool,
    add: bool,
    result: str,
    source: str,
    share: str,
    data: str,
    gradient: str | None,
    panel: str,
) -> None:
    """Of matrices on blocks of nodes; `data` is the transposed table, `gradient` sums [blocks, rows, columns padded]
    where the table's derivatives are wanted."""
    v = f.vectors
    xs, ds, gs, table = values(f, source), values(f, result), values(f, share), f.at(data, None, offset=ROW)
    group = min(2, v.columns)
    wide = padded_columns(columns, v)
    states = [state(f, source, c) for c in range(v.columns)]
    strided = write[1] != 1 and rows > 1
    stride = ROW if strided else write[1] * ROW

    def block(i: str) -> None:
        d = f.at(ds, i, write[0] * ROW)
        if strided:  # rows so far apart share few places of the caches, and each is read many times
            d = _copied(f, rows, d, write[1] * ROW, f.at(panel, None, offset=panel_bytes(v)))
        w = table if shared else f.at(table, i, rows * columns * v.size)
        offset = column = 0
        for size, count in row_blocks(columns, v):

            def columns_of(n: str, size: int = size, offset: int = offset, column: int = column) -> None:
                weights = f.at(w, n, size * rows * v.size, offset)
                for c in range(0, v.columns, group):  # the weights stay in cache from one group of lanes to the next
                    g = f.at(f.at(gs, i, read[0] * ROW), c, v.bytes)
                    place = f.at(g, n, size * read[1] * ROW, column * read[1] * ROW)

                    def store(r: int, half: int, value: str, c: int = c, place: str = place) -> None:
                        value = f.multiply(value, states[c + half].scale)
                        target = f.at(place, None, offset=r * read[1] * ROW + half * v.bytes)
                        f.store(f.add(f.load(target), value) if add else value, target)

                    register_block(f, weights, f.at(d, c, v.bytes), rows, size, group, stride, store)

            f.loop(count, columns_of)
            offset += count * size * rows * v.size
            column += count * size
        if gradient is not None:
            sums = gradient if shared else f.at(gradient, i, rows * wide * v.size)
            _outers(f, rows, columns, f.at(xs, i, read[0] * ROW), read[1] * ROW, d, stride, states, panel, sums)

    f.loop(blocks, block)


def _copied(f: Function, rows: int, d: str, stride: int, place: str) -> str:
    """Rows from so many bytes apart, one after the other."""
    v = f.vectors

    def row(r: str) -> None:
        source, target = f.at(d, r, stride), f.at(place, r, ROW)
        for c in range(v.columns):
            f.store(f.load(f.at(source, c, v.bytes)), f.at(target, c, v.bytes))

    f.loop(rows, row)
    return place


def _outers(
    f: Function,
    rows: int,
    columns: int,
    x: str,
    apart: int,
    d: str,
    stride: int,
    states: list[State],
    panel: str,
    sums: str,
) -> None:
    """Adds the outer products of d and x to sums [rows, columns padded], panel by panel."""
    v = f.vectors
    wide = padded_columns(columns, v)
    full = columns // (2 * v.width)
    if full:

        def both(n: str) -> None:
            _panel(f, f.at(x, n, 2 * v.width * apart), apart, [v.width, v.width], states, panel)
            _outer(f, rows, wide, 2, d, stride, panel, f.at(sums, n, 2 * v.bytes))

        f.loop(full, both)
    rest = columns - full * 2 * v.width
    if rest:
        there = [min(rest, v.width), rest - v.width] if rest > v.width else [rest]
        _panel(f, f.at(x, full * 2 * v.width, apart), apart, there, states, panel)
        _outer(f, rows, wide, len(there), d, stride, panel, f.at(sums, full * 2, v.bytes))


def _panel(f: Function, x: str, stride: int, there: list[int], states: list[State], panel: str) -> None:
    """Nodes of x in range, as [lanes, vectors of nodes]; `there` says how many nodes each vector has."""
    v = f.vectors
    for half, nodes in enumerate(there):
        base = f.at(x, half * v.width, stride)
        for c in range(v.columns):
            found = [
                f.multiply(f.load(f.at(base, None, offset=k * stride + c * v.bytes)), states[c].scale)
                for k in range(nodes)
            ] + ["zeroinitializer"] * (v.width - nodes)
            for lane, value in enumerate(transposed(f, found)):
                place = ((c * v.width + lane) * len(there) + half) * v.bytes
                f.store(value, f.at(panel, None, offset=place))


def _outer(f: Function, rows: int, wide: int, vectors: int, d: str, stride: int, panel: str, sums: str) -> None:
    """sums[r, c] += Σ over lanes of d[r, lane] · panel[lane, c]."""
    v = f.vectors
    row = 0
    for size, count in row_blocks(rows, v):

        def rows_of(n: str, size: int = size, row: int = row) -> None:
            first = f.at(d, n, size * stride, row * stride)
            place = f.at(sums, n, size * wide * v.size, row * wide * v.size)
            step = 4

            def lane(b: str, *carried: str) -> list[str]:
                after = list(carried)
                lanes, scalars = f.at(panel, b, vectors * v.bytes), f.at(first, b, v.size)
                for u in range(step):
                    xs = [f.load(f.at(lanes, None, offset=(u * vectors + g) * v.bytes)) for g in range(vectors)]
                    for r in range(size):
                        one = f.splat(f.load(f.at(scalars, None, offset=r * stride + u * v.size), v.number))
                        for g in range(vectors):
                            after[r * vectors + g] = f.fma(one, xs[g], after[r * vectors + g])
                return after

            zeros = [(v.floats, "zeroinitializer")] * (size * vectors)
            found = f.loop(v.lanes, lane, step, zeros)
            for r in range(size):
                for g in range(vectors):
                    target = f.at(place, None, offset=r * wide * v.size + g * v.bytes)
                    f.store(f.add(f.load(target), found[r * vectors + g]), target)

        f.loop(count, rows_of)
        row += count * size
