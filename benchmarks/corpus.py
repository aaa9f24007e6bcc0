"""Real text as rows of GPT-2 tokens, and CommonGen's keyword sets in the same tokens, for `benchmarks/steering.py`.

The text is the first 6.9 million characters of text8: small letters and blanks. The vocabulary is restricted to the
tokens that occur in it or in a keyword; codes are by falling frequency.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
HELD = 0.05


@dataclass(frozen=True, slots=True)
class Corpus:
    """`train` and `held` are rows of codes [rows, length], `tokens` the text of each code, `sets` keywords as codes."""

    train: NDArray[np.int64]
    held: NDArray[np.int64]
    tokens: list[str]
    sets: list[list[list[int]]]

    def text(self, codes: NDArray[np.int64]) -> str:
        """The text that codes spell."""
        return "".join(self.tokens[code] for code in codes.tolist()).replace("Ġ", " ")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Byte pairs: the pairs that are merged, the first first, and the words that were spelt already."""

    ranks: dict[tuple[str, str], int]
    known: dict[str, list[str]]

    @staticmethod
    def read() -> Encoder:
        with gzip.open(DATA / "tokens/gpt2/vocab.bpe.gz", "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1:]
        pairs = [tuple(line.split(" ")) for line in lines if line]
        return Encoder({(first, second): rank for rank, (first, second) in enumerate(pairs)}, {})

    def spelt(self, word: str) -> list[str]:
        """The tokens of a word of small letters, a blank before it."""
        if word not in self.known:
            parts = ["Ġ", *word]
            while len(parts) > 1:
                best = min(pairwise(parts), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if best not in self.ranks:
                    break
                merged: list[str] = []
                for part in parts:
                    joins = merged and (merged[-1], part) == best
                    merged = [*merged[:-1], merged[-1] + part] if joins else [*merged, part]
                parts = merged
            self.known[word] = parts
        return self.known[word]


def read(length: int) -> Corpus:
    """The corpus in rows of a length; the last twentieth of it is held out."""
    encoder = Encoder.read()
    with gzip.open(DATA / "text/text8_prefix_6877825.txt.gz", "rt", encoding="ascii") as file:
        spelt = [token for word in file.read().split() for token in encoder.spelt(word)]
    sets: list[list[str]] = []
    with gzip.open(DATA / "constraints/commongen/common-gen_validation.json.gz", "rt", encoding="utf-8") as file:
        for row in json.load(file):
            if row["concepts"] not in sets:
                sets.append(row["concepts"])
    words = {word: encoder.spelt(word) for concepts in sets for word in concepts}
    names, counts = np.unique([*spelt, *(token for each in words.values() for token in each)], return_counts=True)
    tokens = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    codes = {token: code for code, token in enumerate(tokens)}
    text = np.array([codes[token] for token in spelt])
    rows = text[: len(text) // length * length].reshape(-1, length)
    cut = int(len(rows) * (1 - HELD))
    coded = [[[codes[token] for token in words[word]] for word in concepts] for concepts in sets]
    return Corpus(rows[:cut], rows[cut:], tokens, coded)
