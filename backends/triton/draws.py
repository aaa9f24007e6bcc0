"""Lines of kernels that draw: the counter-based generator, and a choice in proportion to masses by integer sums.

The number for a row, a node and a choice is that of ir/random.py, bit by bit: Philox4x32-10 with the seed as its key
and (row low, row high, node, choice) as its counter. Masses become integers, the largest of 41 bits, and their
sums are integers too: what is drawn depends neither on the order of additions nor on the device, as long as the masses
are the same. A mass below 2^-40 of the largest is never drawn.
"""

from __future__ import annotations

from .network import indented

BITS = 40
"""The largest mass has so many bits: 2^22 of them add up within 63."""

KEYS = ("key_low", "key_high")


def words(row: str, node: str, number: str) -> list[str]:
    """Lines for `first` and `second`, two words of 32 random bits each, for 64-bit rows and 32-bit nodes and choices;
    the three have one shape."""
    return [
        f"c0 = ({row} & 0xFFFFFFFF).to(tl.uint32)",
        f"c1 = ({row} >> 32).to(tl.uint32)",
        f"c2 = ({node}).to(tl.uint32, bitcast=True)",
        f"c3 = ({number}).to(tl.uint32, bitcast=True)",
        f"k0 = ({node} * 0 + key_low).to(tl.uint32, bitcast=True)",
        f"k1 = ({node} * 0 + key_high).to(tl.uint32, bitcast=True)",
        "for _ in tl.static_range(10):",
        "    h0 = tl.umulhi(c0, 0xD2511F53)",
        "    h1 = tl.umulhi(c2, 0xCD9E8D57)",
        "    l0 = c0 * 0xD2511F53",
        "    l1 = c2 * 0xCD9E8D57",
        "    c0 = h1 ^ c1 ^ k0",
        "    c2 = h0 ^ c3 ^ k1",
        "    c1 = l1",
        "    c3 = l0",
        "    k0 = k0 + 0x9E3779B9",
        "    k1 = k1 + 0xBB67AE85",
        "first = c0",
        "second = c1",
    ]


LEVEL = [
    "bits = (first.to(tl.uint64) << 20) | (second.to(tl.uint64) >> 12)",
    "level = ((bits << 1) | 1) << 11",
]
"""The number (2k + 1) / 2^53 of ir/random.py times 2^64, which is exact."""


def scaled(form: str) -> list[str]:
    """Lines for `scale`, a power of two by which masses become integers, from the largest term `top` in float64; terms
    that are logarithms become masses by their distance to it."""
    if form == "linear":
        return [
            "power = ((top.to(tl.int64, bitcast=True) >> 52) & 2047) - 1023",
            f"scale = ((1023 + {BITS} - power) << 52).to(tl.float64, bitcast=True)",
        ]
    return ['top = tl.where(top == float("-inf"), 0.0, top)']


def mass(form: str) -> str:
    """The integer of `term`."""
    return "(term * scale).to(tl.int64)" if form == "linear" else f"(tl.exp(term - top) * {2.0**BITS}).to(tl.int64)"


def drawn(form: str, loop: str, term: list[str], shape: str) -> list[str]:
    """Lines for `chosen`: which of the terms of a loop is drawn by `level`; −1 among no terms.

    `term` are lines that give `term` in float64 for turn e of the loop, no share where there is none.
    """
    none = "0.0" if form == "linear" else 'float("-inf")'
    return [
        f"top = tl.full({shape}, {none}, tl.float64)",
        loop,
        *indented([*term, "top = tl.maximum(top, term)"], 1),
        *scaled(form),
        f"total = tl.zeros({shape}, tl.int64)",
        loop,
        *indented([*term, f"total += {mass(form)}"], 1),
        "mark = tl.umulhi(level, total.to(tl.uint64)).to(tl.int64)",
        f"running = tl.zeros({shape}, tl.int64)",
        f"chosen = tl.zeros({shape}, tl.int32)",
        loop,
        *indented([*term, f"running += {mass(form)}", "chosen += (running <= mark).to(tl.int32)"], 1),
    ]


def largest(loop: str, term: list[str], shape: str) -> list[str]:
    """Lines for `chosen`: the first of the largest terms of a loop."""
    return [
        f'top = tl.full({shape}, float("-inf"), tl.float64)',
        f"chosen = tl.zeros({shape}, tl.int32)",
        loop,
        *indented(
            [
                *term,
                "chosen = tl.where(term > top, e, chosen)",
                "top = tl.maximum(top, term)",
            ],
            1,
        ),
    ]
