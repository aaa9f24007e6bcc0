"""Files read a piece at a time: the same words, numbers and places as of the whole text, wherever it is cut."""

from __future__ import annotations

import gzip
import os
import random
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from danaus.frontend.formats import stream
from danaus.frontend.formats.tokens import Words
from danaus.ir.diagnostic import DanausError

WORDS = [
    "0",
    "-0",
    "7",
    "-7",
    "12345678",
    "-123456789",
    "999999999999999999",
    "-000012",
    "A",
    "c",
    "cc",
    "0.5",
    "-1e-3",
]
WORDS += ["-", "--1", "+5", "1" * 19, "nan", "-inf", "é", "1_0", "9" * 40, ":", "/", "2147483648"]
GAPS = [" ", "  ", "\t", "\n", "\n", "\r\n", "\n\n", " \n "]


def said(text: str) -> list[list[tuple[str, int, int]]]:
    """The words of each line that is neither empty nor a comment, with their lines and columns."""
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        found, column = [], 0
        for word in line.replace("\r", " ").replace("\t", " ").split(" "):
            if word:
                found.append((word, number, column + 1))
            column += len(word) + 1
        if found and found[0][0] != "c":
            lines.append(found)
    return lines


def whole(word: str) -> int | None:
    digits = word.removeprefix("-")
    return int(word) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def number(word: str) -> float | None:
    try:
        return None if "_" in word else float(word)
    except ValueError:
        return None


@pytest.mark.parametrize("piece", [1, 3, 64, 1 << 18])
def test_words_numbers_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(stream, "_PIECE", piece)
    chosen = random.Random(piece)
    for trial in range(60):
        text = "".join(chosen.choice(WORDS) + chosen.choice(GAPS) for _ in range(chosen.randrange(40)))
        text = chosen.choice(["", "\n", " "]) + text.rstrip() * chosen.randrange(2) + text
        path = tmp_path / f"{trial}.nnf"
        path.write_bytes(text.encode())
        words = Words.read(path)
        expected = said(text)
        assert words.counts.tolist() == [len(line) for line in expected]
        assert words.letters.tolist() == [line[0][0].encode()[0] for line in expected]
        assert words.alone.tolist() == [len(line[0][0].encode()) == 1 for line in expected]
        for place, (word, line, column) in enumerate(chain.from_iterable(expected)):
            lettered = place in words.lines and word[0] > "9"
            at = np.array([place])
            if whole(word) is not None:
                assert words.integers(at) == whole(word)
            elif not lettered:
                with pytest.raises(DanausError) as failure:
                    words.integers(at)
                (found,) = failure.value.diagnostics
                assert found.code == "wrong-number" and found.span is not None
                assert (found.span.line, found.span.column) == (line, column)
            if not lettered and number(word) is not None:
                assert np.array_equal(words.floats(at), [number(word)], equal_nan=True)
            elif not lettered:
                with pytest.raises(DanausError, match="wrong-number"):
                    words.floats(at)
            assert words.word(place) == word
            assert (words.span(place).line, words.span(place).column) == (line, column)


def test_every_length_of_numbers(tmp_path: Path) -> None:
    chosen = random.Random(0)
    numbers = [chosen.randrange(10**digits) * chosen.choice([1, -1]) for digits in range(1, 19) for _ in range(200)]
    numbers += [sign * (10**digits - 1) for digits in range(1, 19) for sign in (1, -1)]
    (tmp_path / "a.nnf").write_text(" ".join(map(str, numbers)))
    assert Words.read(tmp_path / "a.nnf").values.tolist() == numbers


def test_every_byte_that_is_no_digit(tmp_path: Path) -> None:
    """One wrong byte at each place of words of up to nine letters is seen."""
    odd = [byte for byte in range(33, 256) if byte not in b"0123456789"]
    made = [
        bytes([*b"1" * at, byte, *b"1" * (length - at - 1)])
        for length in (1, 8, 9)
        for at in range(length)
        for byte in odd
        if byte != ord("-") or at or length == 1
    ]
    (tmp_path / "a.nnf").write_bytes(b"0 " + b" ".join(made))
    assert Words.read(tmp_path / "a.nnf").odd.tolist() == list(range(1, len(made) + 1))


def test_packed_files_and_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_PIECE", 16)
    text = "1 2 3\n" * 50 + "4 x\n"
    (tmp_path / "a.nnf.gz").write_bytes(gzip.compress(text.encode()))
    os.mkfifo(tmp_path / "b.nnf")
    writer = threading.Thread(target=(tmp_path / "b.nnf").write_text, args=(text,))
    writer.start()
    for name in ("a.nnf.gz", "b.nnf"):
        words = Words.read(tmp_path / name)
        with pytest.raises(DanausError) as failure:
            words.require_integers()
        (found,) = failure.value.diagnostics
        assert found.span is not None and (found.span.line, found.span.column) == (51, 3)
    writer.join()


def test_a_file_that_changes_between_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.nnf"
    path.write_text("1 2\n3 x\n")
    words = Words.read(path)
    path.write_text("1\n")
    with pytest.raises(DanausError, match="wrong-number"):
        words.require_integers()
