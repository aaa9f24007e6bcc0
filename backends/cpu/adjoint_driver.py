"""The function that runs an adjoint's records for tiles of the batch: forward, and back to the tables.

Tiles of one call add to the same sums, so each thread has sums of its own.
"""

from __future__ import annotations

from . import outer, pulls
from .adjoint_plan import FIELDS, RECORD, AdjointPlan
from .builder import Function
from .driver import forward, groups, slots_of
from .plan import Kernel
from .pulls import ANSWERS
from .vectors import ROW, Vectors

ARGUMENTS = (
    "ptr noalias %records, i64 %count, ptr noalias %arena, ptr noalias %words, ptr noalias %codes, i64 %row, "
    "ptr noalias %soft, i64 %softness, ptr %slots, i64 %panel, ptr noalias %weights, ptr noalias %sums, "
    "ptr noalias %flows, i64 %strict, ptr noalias %out, i64 %group, i64 %first, i64 %last"
)


def adjoint_driver(plan: AdjointPlan, tolerance: float, vectors: Vectors) -> Function:
    """The function `adjoint`: all records for the tiles from first to last. %strict is 0, or the bits of a NaN."""
    v = vectors
    f = Function("adjoint", ARGUMENTS, vectors)
    bits = f.op(f"trunc i64 %strict to {v.integer}") if v.size == 4 else "%strict"
    strict = f.splat(f.op(f"bitcast {v.integer} {bits} to {v.number}"))

    def group(first: str, last: str) -> None:
        def record(i: str) -> None:
            pc = f.at("%records", i, RECORD)
            names = {name: f.load(f.at(pc, None, offset=8 * n), "i64") for n, name in enumerate(FIELDS)}
            labels, joined = [f.fresh("k") for _ in plan.kernels], f.fresh("joined")
            cases = " ".join(f"i64 {n}, label %{label}" for n, label in enumerate(labels))
            f.do(f"switch i64 {names['kernel']}, label %{labels[0]} [ {cases} ]")
            for kernel, label in zip(plan.kernels, labels, strict=True):
                f.label(label)

                def tile(t: str, kernel: Kernel = kernel) -> None:
                    codes = f.at(f.at("%codes", f.op(f"mul i64 {t}, %row"), 1), names["column"])
                    offset = f.op(f"mul i64 {t}, %softness")
                    soft, flows = f.at("%soft", offset, 1), f.at("%flows", offset, 1)
                    answer, weights = f.at("%out", t, ANSWERS * ROW), f.at("%weights", t, ROW)
                    slots = slots_of(f, t, first, plan.slots)
                    if kernel.kind.startswith("pull") or kernel.kind in ("seed", "clear"):
                        _emit(f, kernel, names, codes, soft, flows, answer, weights, strict, tolerance, slots)
                    else:
                        forward(f, kernel, names, names["data"], codes, soft, slots)

                f.loop(last, tile, start=first)
                f.do(f"br label %{joined}")
            f.label(joined)

        f.loop("%count", record)

    groups(f, group)
    return f


def _emit(
    f: Function,
    kernel: Kernel,
    names: dict[str, str],
    codes: str,
    soft: str,
    flows: str,
    answer: str,
    weights: str,
    strict: str,
    tolerance: float,
    slots: str,
) -> None:
    out, first, second, third, fourth = (
        f.at(slots, names[name]) for name in ("out", "first", "second", "third", "fourth")
    )
    gradient, words, sizes = f.at("%sums", names["gradient"]), f.at("%words", names["words"]), kernel.sizes
    match kernel.kind:
        case "seed":
            pulls.seed(f, tolerance, first, out, answer, weights)
        case "clear":
            pulls.clear(f, sizes[0], out)
        case "pull load":
            pulls.load(f, sizes[0], first, gradient, codes, answer)
        case "pull fill":
            pulls.fill(f, sizes[0], first, gradient, answer)
        case "pull copy":
            pulls.copy(f, sizes[0], first, f.at(soft, names["data"]), f.at(flows, names["data"]), answer)
        case "pull multiply" | "pull pairs":
            emit = pulls.multiply if kernel.kind == "pull multiply" else pulls.pairs
            adds = bool(sizes[2]), bool(sizes[3])
            emit(f, sizes[0], sizes[1], first, (second, third), (out, fourth), adds)
        case "pull join":
            pulls.join(f, first, slots, words, answer, strict)
        case "pull gather":
            pulls.gather(f, sizes[0], first, out, words)
        case "pull scale":
            table = f.at("%arena", names["data"])
            pulls.scale(f, sizes[0], first, second, out, bool(sizes[1]), table, gradient if sizes[2] else None)
        case _:
            blocks, rows, columns, *strides, shared, add, wanted = sizes
            read, write = (strides[0], strides[1]), (strides[2], strides[3])
            table, panel = f.at("%arena", names["data"]), f.at("%slots", "%panel")
            outer.contract(
                f,
                blocks,
                rows,
                columns,
                read,
                write,
                bool(shared),
                bool(add),
                first,
                second,
                out,
                table,
                gradient if wanted else None,
                panel,
            )
