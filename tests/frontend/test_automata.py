"""Automata accept what they say, by enumeration: Python's `re`, substrings, and the laws of sets are the oracles."""

import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danaus.frontend.automata import Automaton, alphabet, keywords, over_tokens, regex
from danaus.ir.diagnostic import DanausError
from danaus.ir.domain import Cat, Int, Variable

LETTERS = "abc"
Word = tuple[int, ...]
WORDS: list[Word] = [word for length in range(6) for word in itertools.product(range(3), repeat=length)]


def language(automaton: Automaton) -> set[Word]:
    return {word for word in WORDS if automaton.accepts(np.array(word, dtype=np.int64))}


def text(word: Word) -> str:
    return "".join(LETTERS[code] for code in word)


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "a", "ab", "a|b", "(ab)*c?", "a{2,3}b+", "[^a]*a.", "[a-c]{2}", "(a|ab)(c|bca?)", "((a|b)*c){1,2}"),
        *("a{0}b", "(a*)*", "(a?b?){2,}", "a{2,}", "|a", "()a", "[ab]*a[ab]{3}", "(a|b|c)*", ".*a.?"),
    ],
)
def test_a_pattern_matches_as_python_says(pattern: str) -> None:
    automaton = regex(pattern, LETTERS)
    wanted = {word for word in WORDS if re.fullmatch(pattern, text(word))}
    assert language(automaton) == wanted
    for length in range(6):
        assert automaton.count(length) == sum(len(word) == length for word in wanted)


@st.composite
def automata(draw: Callable[..., object]) -> Automaton:
    states = draw(st.integers(1, 4))
    assert isinstance(states, int)
    seed = draw(st.integers(0, 2**32 - 1))
    assert isinstance(seed, int)
    rng = np.random.default_rng(seed)
    return Automaton.of(rng.integers(-1, states, (states, 3)), rng.random(states) < 0.4, int(rng.integers(states)))


@settings(max_examples=40, deadline=None)
@given(automata(), automata())
def test_operations_are_those_of_languages(first: Automaton, second: Automaton) -> None:
    a, b = language(first), language(second)
    assert language(first & second) == a & b
    assert language(first | second) == a | b
    assert language(~first) == set(WORDS) - a
    joined = {word for word in WORDS if any(word[:i] in a and word[i:] in b for i in range(len(word) + 1))}
    assert language(first + second) == joined
    star: set[Word] = {()}
    for word in sorted(WORDS, key=len):
        if any(word[:i] in a and word[i:] in star for i in range(1, len(word) + 1)):
            star.add(word)
    assert language(first.star()) == star


@settings(max_examples=40, deadline=None)
@given(automata(), automata())
def test_two_automata_of_one_language_are_equal(first: Automaton, second: Automaton) -> None:
    assert ~(~first & ~second) == first | second
    assert first.star().star() == first.star()
    assert (first + second) + first == first + (second + first)
    assert hash(~~first) == hash(first)


@pytest.mark.parametrize("words", [["ab", "ba"], ["aa", "a"], ["abc", "bc", "cc"], ["aab"], ["abab", "ba"]])
def test_keywords_are_contained(words: list[str]) -> None:
    for every, rule in ((True, all), (False, any)):
        wanted = {word for word in WORDS if rule(each in text(word) for each in words)}
        assert language(keywords(words, LETTERS, every=every)) == wanted


def test_symbols_go_by_name_code_and_range() -> None:
    colours = Variable("x", Cat(3, ("red", "green", "blue")))
    assert regex("<red><blue>*", colours).accepts([0, 2, 2])
    assert keywords([["blue", 0]], colours).accepts([1, 2, 0])
    assert regex("<5-6>[<7>-<9>]", Variable("n", Int(5, 9))).count(2) == 6
    assert alphabet("xyz").symbol("y") == 1


def test_an_automaton_over_characters_runs_over_tokens() -> None:
    vocabulary = ["c", "at", "cat", "a", "t", "?", ""]
    over = over_tokens(keywords(["cat"], "act"), vocabulary, "act")
    for tokens in itertools.product(range(len(vocabulary)), repeat=3):
        spelt = "".join(vocabulary[token] for token in tokens)
        assert over.accepts(list(tokens)) == ("cat" in spelt and "?" not in spelt)
    assert over_tokens(regex("<97>+", 256), [b"aa", b"b"], 256).accepts([0, 0])


def test_a_large_vocabulary_costs_classes_not_symbols() -> None:
    automaton = keywords([[17, 40_000], [3]], 50_000)
    assert automaton.moves.shape == (6, 4)
    assert automaton.accepts([[1, 17, 40_000, 3], [3, 17, 4, 40_000]]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("pattern", "code", "column", "width"),
    [
        ("a(", "syntax", 3, 1),
        ("a)", "syntax", 2, 1),
        ("*a", "syntax", 1, 1),
        ("ab[]", "syntax", 4, 1),
        ("x", "unknown-symbol", 1, 1),
        ("ab<zed>", "unknown-symbol", 3, 5),
        ("a{3,1}", "wrong-range", 2, 5),
        ("[c-a]", "wrong-range", 2, 1),
        ("a{99999}", "too-large", 2, 7),
    ],
)
def test_a_mistake_in_a_pattern_has_its_place(pattern: str, code: str, column: int, width: int) -> None:
    with pytest.raises(DanausError) as caught:
        regex(pattern, LETTERS)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.column, found.span.end_column) == (code, column, column + width)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Automaton.of([[0, 2]], [0]), "wrong-index"),
        (lambda: Automaton.of([[0, 0]], [1]), "wrong-index"),
        (lambda: Automaton.of([0, 0], [0]), "wrong-shape"),
        (lambda: Automaton.of([[0.5]], [0]), "wrong-dtype"),
        (lambda: Automaton.of([[0, 0]], [0], 3), "wrong-index"),
        (lambda: regex("a", "ab") & regex("a", "abc"), "wrong-alphabet"),
        (lambda: regex("a", "ab").accepts([2]), "wrong-index"),
        (lambda: regex("a", 0), "wrong-alphabet"),
        (lambda: regex("a", "aa"), "duplicate-name"),
        (lambda: keywords([], 3), "wrong-arguments"),
        (lambda: keywords([[]], 3), "wrong-arguments"),
        (lambda: keywords([[3]], 3), "unknown-symbol"),
        (lambda: over_tokens(regex("a", "ab"), ["a"], "abc"), "wrong-alphabet"),
        (lambda: regex("[ab]*a[ab]{30}", "ab"), "too-large"),
    ],
)
def test_what_is_no_automaton_is_refused(make: Callable[[], object], code: str) -> None:
    with pytest.raises(DanausError) as caught:
        make()
    assert caught.value.diagnostics[0].code == code


def test_groups_may_be_nested_deep() -> None:
    deep = 3000
    assert regex("(" * deep + "a|b" + ")" * deep, "abc") == regex("a|b", "abc")
    with pytest.raises(DanausError, match=r"<pattern>:1:3001: error.unknown-symbol"):
        regex("(" * deep + "d" + ")" * deep, "abc")


def test_subsets_of_many_states_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = regex("a.{6}b", "ab")
    assert (regex(".*", "ab") + one).states > 100
    monkeypatch.setattr("danaus.frontend.automata.subset._TRUTHS", 1000)
    with pytest.raises(DanausError, match="too-large"):
        regex(".*", "ab") + one
