"""`dfa(x, …)` as it is written in a spec, against Python's own regular expressions and plain loops over all words."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import danaus as dn

VALUES, LENGTH = "abc", 5
WORDS = np.array(list(itertools.product(range(len(VALUES)), repeat=LENGTH)))
TEXTS = ["".join(VALUES[code] for code in word) for word in WORDS]
HEADER = f'var x[{LENGTH}] : cat("a", "b", "c")\nindex even[2, 3] = [[1, 0, 0], [0, 1, 1]]\nindex ends[1] = [0]\n'


def loaded(text: str) -> dn.Spec:
    return dn.parse(text)


def matches(pattern: str) -> Callable[[str], bool]:
    return lambda word: re.fullmatch(pattern, word) is not None


FORMS: dict[str, Callable[[str], bool]] = {
    '"a[bc]*a"': matches("a[bc]*a"),
    '("a[bc]*a")': matches("a[bc]*a"),
    'regex("(ab|<c>)*.?")': matches("(ab|c)*.?"),
    'keywords("bc", "ca")': lambda word: "bc" in word and "ca" in word,
    'keywords("bc", "ca", every=0)': lambda word: "bc" in word or "ca" in word,
    'keywords("bc", "ca", every=2-1)': lambda word: "bc" in word and "ca" in word,
    'keywords(["b", "c"], [2, 0], 1)': lambda word: "bc" in word and "ca" in word,
    "automaton([[1, 0, 0], [0, 1, 1]], [0])": lambda word: word.count("a") % 2 == 0,
    "automaton(even, ends, start=1)": lambda word: word.count("a") % 2 == 1,
    "automaton([[0, 1, -1], [-1, 0, 0]], [0, 1])": matches("(a|b[bc])*b?"),
    "automaton([[0, 0, 0]], [])": lambda word: False,
    'intersection("a.*", ".*b", keywords("c"))': lambda word: word[0] == "a" and word[-1] == "b" and "c" in word,
    'union("a.*", ".*b", "c+")': lambda word: word[0] == "a" or word[-1] == "b" or set(word) == {"c"},
    'complement("a.*")': lambda word: word[0] != "a",
    'concatenation("a*", "b|cc", complement("a+"))': lambda word: any(
        matches("a*(b|cc)")(word[:i]) and not matches("a+")(word[i:]) for i in range(LENGTH + 1)
    ),
    'star(union("ab", "c"))': matches("(ab|c)*"),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_one_where_its_words_are(form: str) -> None:
    spec = loaded(f"{HEADER}circuit c = dfa(x, {form})\nassert deterministic(c)\n")
    wanted = [FORMS[form](word) for word in TEXTS]
    assert dn.evaluate(spec.circuit, WORDS).tolist() == wanted
    assert dn.count(spec.circuit) == sum(wanted)
    assert bool(spec.diagnostics) == (not any(wanted))


def test_names_of_values_are_symbols() -> None:
    spec = loaded(
        'var x[3] : cat("cat", "dog", "cats", "a", "c", "t")\n'
        'circuit word = dfa(x, keywords("cat"))\n'  # the value, not its characters
        'circuit spelt = dfa(x, keywords(["c", "a", "t"]))\n'
        'circuit letters = dfa(x, keywords("ca", "t"))\n'  # no value is called "ca"
        'circuit any = dfa(x, keywords("cat", "dog", every=0))\n'
        'circuit text = dfa(x, over_tokens("<c>ats?", "actdogs"))\n'
        'circuit pattern = dfa(x, "<cat>(<dog>|<a>)+")\n'
    )
    words = np.array(list(itertools.product(range(6), repeat=3)))
    wanted = {
        "word": [0 in word for word in words],
        "spelt": [word.tolist() == [4, 3, 5] for word in words],
        "letters": [word.tolist() in ([4, 3, 5], [5, 4, 3]) for word in words],
        "any": [0 in word or 1 in word for word in words],
        "text": [word.tolist() == [4, 3, 5] for word in words],
        "pattern": [word[0] == 0 and set(word[1:]) <= {1, 3} for word in words],
    }
    for name, truths in wanted.items():
        assert dn.evaluate(spec.circuits[name], words).tolist() == truths, name
    x = dn.Cat("x", "cat", "dog", "cats", "a", "c", "t", shape=3)
    assert dn.keywords(["cat"], x) == dn.keywords([["cat"]], x) != dn.keywords([["c", "a", "t"]], x)


def test_values_stand_as_they_do_in_data() -> None:
    spec = loaded(
        "var x[3] : int(-1, 2)\nvar b[4] : bool\n"
        'circuit c = dfa(x, keywords([-1, 2]))\ncircuit d = dfa(b, "<1>*<0>*")\ncircuit e = dfa(b[1..3], keywords(1))\n'
    )
    c, d, e = (spec.circuits[name] for name in "cde")
    assert dn.count(c) == 8 and dn.evaluate(c, [[0, -1, 2], [-1, 0, 2]]).tolist() == [1, 0]
    assert dn.count(d) == 5 and dn.count(e) == 3 and [each.name for each in e.variables] == ["b[1]", "b[2]"]


def test_a_product_with_an_hmm_is_the_hmm_under_the_constraint(tmp_path: Path) -> None:
    text = f'{HEADER}circuit h = hmm(x, states=3)\ncircuit steered = multiply(h, dfa(x, keywords("ab", "c")))\n'
    spec = dn.parse(text)
    accepts = np.array(["ab" in word and "c" in word for word in TEXTS])
    wanted = dn.evaluate(spec.circuits["h"], WORDS) * accepts
    np.testing.assert_allclose(dn.evaluate(spec.circuits["steered"], WORDS), wanted, rtol=1e-12)
    assert np.exp(dn.partition(spec.circuits["steered"])) == pytest.approx(wanted.sum(), rel=1e-12)
    dn.save(spec.circuits["steered"], tmp_path / "s.circuit")
    again = dn.load(tmp_path / "s.circuit").circuits["steered"]
    np.testing.assert_allclose(dn.evaluate(again, WORDS), wanted, rtol=1e-12)


MISTAKES = {
    '"a[bc"': ("syntax", "4:23", "the pattern cannot go on with the end of the pattern"),
    '"a**)b"': ("syntax", "4:22", "cannot go on with ')'"),
    'regex("ab<d>")': ("unknown-symbol", "4:27", 'the alphabet has no symbol "d"'),
    '"[c-a]"': ("wrong-range", "4:20", "c-a goes backwards"),
    '"a{9999}"': ("too-large", "4:20", "4096 positions"),
    '".*a.{20}"': ("too-large", "4:18", "65536 states"),
    'keywords("d")': ("unknown-symbol", "4:27", 'no value named "d"'),
    'keywords("abd")': ("unknown-symbol", "4:30", 'no value named "d"'),
    'keywords(["a", "dd"])': ("unknown-symbol", "4:33", 'no value named "dd"'),
    "keywords(a)": ("not-a-number", "4:27", '"a" is not a number'),
    "keywords(3)": ("unknown-symbol", "4:27", "there is no value 3"),
    "keywords(1/2)": ("not-an-integer", "4:27", "0.5"),
    "keywords([])": ("wrong-arguments", "4:27", "without symbols"),
    "keywords()": ("wrong-arguments", "4:18", "1 or more arguments"),
    'keywords("a", every=2)': ("wrong-value", "4:38", "every is 2"),
    'keywords("a", all=1)': ("unknown-option", "4:32", "no option"),
    "automaton([[0, 0]], [0])": ("wrong-shape", "4:28", "3 values"),
    "automaton([[0, 0, 1]], [0])": ("wrong-index", "4:18", "state 1 is out of range"),
    "automaton([[0, 0, 0]], [1])": ("wrong-index", "4:18", "accepting state"),
    "automaton([[0, 0, 0]], [0], start=1)": ("wrong-index", "4:18", "the start 1"),
    "automaton([[0, 0, 0], [0]], [0])": ("wrong-shape", "4:28", "differ in length"),
    "automaton(ends, [0])": ("wrong-shape", "4:28", "not [states, values]"),
    "automaton(x, [0])": ("not-an-index", "4:28", "an array of variables"),
    'complement("a", "b")': ("wrong-arguments", "4:18", "1 argument, not 2"),
    'union("a")': ("wrong-arguments", "4:18", "2 or more"),
    'keyword("a")': ("unknown-form", "4:18", 'no automaton "keyword"'),
    "7": ("not-an-automaton", "4:18", "the number 7"),
    'over_tokens("a", 3)': ("wrong-arguments", "4:35", "not the characters"),
    'over_tokens("d", "abc")': ("unknown-symbol", "4:31", 'no symbol "d"'),
    'over_tokens("d", "aa")': ("duplicate-name", "4:35", "stands twice"),
}


@pytest.mark.parametrize("form", MISTAKES)
def test_a_mistake_is_shown_where_it_stands(form: str) -> None:
    code, place, message = MISTAKES[form]
    with pytest.raises(dn.DanausError) as caught:
        loaded(f"{HEADER}circuit c=dfa(x, {form})\n")
    (found,) = caught.value.diagnostics
    assert found.code == code and message in found.message and found.span is not None
    assert f"{found.span.line}:{found.span.column}" == place


def test_what_else_does_not_fit_is_refused() -> None:
    for text, code in (
        ('var u[2] : real\ncircuit c = dfa(u, "a")', "wrong-alphabet"),
        ("var b : bool\nvar x : cat(3)\ncircuit c = dfa([b, x], keywords(1))", "wrong-domain"),
        ('var x[2] : cat(3)\ncircuit c = dfa(x, keywords("a"))', "unknown-symbol"),
        ('var x[2] : cat(3)\ncircuit c = dfa(x, over_tokens("a", "ab"))', "wrong-alphabet"),
        ("var x[2] : cat(3)\ncircuit c = dfa(x)", "wrong-arguments"),
        ('var x[100000] : bool\ncircuit c = dfa(x, ".*<1>.{10}")', "too-large"),
    ):
        with pytest.raises(dn.DanausError) as caught:
            loaded(text)
        assert caught.value.diagnostics[0].code == code, text


def test_an_empty_language_is_a_warning() -> None:
    spec = loaded('var x[4] : bool\ncircuit c = dfa(x, "<1>{5}")\nassert near(integrate(c), 0, 0)\n')
    (found,) = spec.diagnostics
    assert (found.code, found.severity, str(found.span)) == ("empty-language", "warning", "<text>:2:20")
    assert "no sequence of 4 values" in found.message and dn.count(spec.circuit) == 0
