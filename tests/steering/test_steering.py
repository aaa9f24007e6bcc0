"""Next-token distributions under a constraint, against enumeration and against the evaluator on the product circuit."""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.runtime.steering import next_token

LENGTH, VALUES = 5, 3
WORDS = np.array(list(itertools.product(range(VALUES), repeat=LENGTH)))
PREFIXES = [prefix for length in range(LENGTH) for prefix in itertools.product(range(VALUES), repeat=length)]
BEGINS = np.array(
    [[(WORDS[:, : len(p) + 1] == (*p, v)).all(axis=1) for v in range(VALUES)] for p in PREFIXES], dtype=np.float64
)
x = dn.Cat("x", VALUES, shape=LENGTH)


def masses(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mass of each prefix with each next token, [prefixes, values], from the values of all words."""
    return np.asarray(BEGINS @ values)


def shares(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    totals = rows.sum(axis=1, keepdims=True)
    return np.where(totals > 0, rows / np.where(totals > 0, totals, 1), 0)


def quiet(ask: Callable[[], Any]) -> NDArray[np.float64]:
    """The exponentials of an answer, without the warning of prefixes that cannot be completed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dn.DanausWarning)
        return np.asarray(ask().exp())


def models(seed: int) -> dict[str, Circuit]:
    dense = dn.hmm(x, 4, name="h", seed=seed)
    return {
        "dense": dense,
        "monarch": dn.hmm(x, 4, transition=dn.monarch(2, 2), name="h", seed=seed),
        "product": dn.multiply(dn.hmm(x, 2, name="g", seed=seed), dn.hmm(x, 3, name="h", seed=seed)),
        "factorised": dn.Circuit(dn.product([dn.categorical(each, width=1) for each in x]), name="f", seed=seed),
    }


def constraints(seed: int) -> dict[str, Circuit]:
    rng = np.random.default_rng(seed)
    states = int(rng.integers(1, 6))
    table = rng.integers(-1, states, (states, VALUES))
    random = dn.dfa(x, dn.automaton(table, rng.random(states) < 0.5), name="c")
    return {
        "automaton": random,
        "attribute": dn.Circuit(dn.product([dn.table(each, rng.random((1, VALUES))) for each in x]), name="a"),
        "part": dn.Circuit(dn.product([dn.table(x[i], rng.random((1, VALUES))) for i in (3, 1)]), name="a"),
        "hmm": dn.hmm(x, 2, name="k", seed=seed),
        "both": dn.multiply(dn.dfa(x, ".*<0>.*"), dn.dfa(x, "[^<1>]*<1>?[^<1>]*")),
    }


@pytest.mark.parametrize("kind", ["dense", "monarch", "product", "factorised"])
@pytest.mark.parametrize("constraint", ["automaton", "attribute", "part", "hmm", "both"])
def test_answers_are_those_of_enumeration(kind: str, constraint: str) -> None:
    for seed in range(2):
        p, c = models(seed)[kind], constraints(seed)[constraint]
        columns = [x.elements.index(variable) for variable in c.variables]
        alone, joint = dn.evaluate(p, WORDS), dn.evaluate(p, WORDS) * dn.evaluate(c, WORDS[:, columns])
        wanted, under = shares(masses(joint)), masses(joint) / masses(alone)
        for dtype, tolerance in (("float64", 1e-12), ("float32", 3e-6)):
            steering = dn.steer(p, c, dtype=dtype)
            found = quiet(lambda s=steering: s.next_token_log_probs(PREFIXES))
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=1e-300)
            assert ((found > 0) == (wanted > 0)).all()
            found = quiet(lambda s=steering: s.constraint_log_probs(PREFIXES))
            np.testing.assert_allclose(found, under, rtol=tolerance, atol=1e-300)
            np.testing.assert_allclose(np.exp(steering.log_probability()), joint.sum(), rtol=tolerance, atol=1e-300)


def test_masses_are_those_of_enumeration_before_they_are_shares() -> None:
    """What is taken out in scaling comes back: the mass of each prefix with each next token, not only its share."""
    p, c = dn.hmm(x, 4, seed=6), constraints(3)["attribute"]
    alone, joint = dn.evaluate(p, WORDS), dn.evaluate(p, WORDS) * dn.evaluate(c, WORDS)
    steering = dn.steer(p, c, dtype="float64").prepare()
    at = steering.begin(2)
    for tokens in ([0, 2], [2, 2], [1, 0], [0, 1], None):
        rows = [PREFIXES.index(tuple(prefix)) for prefix in at.tokens.tolist()]
        found = next_token.plain(at.of, at).exp(), next_token.constrained(at.of, at).exp()
        np.testing.assert_allclose(found[0], masses(alone)[rows], rtol=1e-12)
        np.testing.assert_allclose(found[1], masses(joint)[rows], rtol=1e-12)
        at = at if tokens is None else steering.extend(at, tokens)


def test_answers_are_those_of_the_evaluator_on_the_product() -> None:
    h, c = dn.hmm(x, 4, seed=3), dn.dfa(x, dn.keywords([[0, 2], [1]], x))
    rows = np.full((4, LENGTH), np.nan)
    prefixes: list[list[int]] = [[], [0], [0, 2], [2, 0, 1]]
    for row, prefix in zip(rows, prefixes, strict=True):
        row[: len(prefix)] = prefix
    conditionals = dn.conditional(dn.multiply(h, c), rows)
    found = dn.steer(h, c, dtype="float64").next_token_log_probs(prefixes).exp()
    for row, prefix in enumerate(prefixes):
        np.testing.assert_allclose(found[row], conditionals[f"x[{len(prefix)}]"][row], rtol=1e-10)


def test_prefixes_extended_one_by_one_answer_alike() -> None:
    steering = dn.steer(dn.hmm(x, 4), dn.dfa(x, ".*<0><1>.*"), dtype="float64").prepare()
    beam = steering.begin(3)
    tokens = np.array([[0, 1, 2, 2], [1, 1, 0, 1], [2, 0, 1, 0]])
    for length in range(LENGTH):
        fresh = dn.steer(dn.hmm(x, 4), dn.dfa(x, ".*<0><1>.*"), dtype="float64")
        wanted = fresh.next_token_log_probs(tokens[:, :length])
        assert torch.allclose(steering.next_token_log_probs(beam), wanted, rtol=1e-12)
        assert torch.allclose(steering.next_token_log_probs(tokens[:, :length].tolist()), wanted, rtol=1e-12)
        if length < LENGTH - 1:
            beam = steering.extend(beam, tokens[:, length])
    turned = beam.select([2, 0, 0])
    assert torch.equal(steering.next_token_log_probs(turned)[1], steering.next_token_log_probs(beam)[0])


def test_prefixes_of_several_earlier_questions_are_put_together() -> None:
    steering = dn.steer(dn.hmm(x, 4), dn.dfa(x, ".*<0><1>.*"), dtype="float64")
    questions: list[list[list[int]]] = [[[0], [1]], [[0, 1], [2, 2], [1, 1]], [[2, 2, 0], [0, 1, 0], [1, 1, 2]]]
    for asked in questions:
        found = steering.next_token_log_probs(asked)
        fresh = dn.steer(dn.hmm(x, 4), dn.dfa(x, ".*<0><1>.*"), dtype="float64")
        assert torch.allclose(found, fresh.next_token_log_probs(asked), rtol=1e-12)


def test_a_language_model_is_guided() -> None:
    rng = np.random.default_rng(0)
    bigram = np.log(rng.dirichlet(np.ones(VALUES), VALUES + 1))

    def language_model(tokens: torch.Tensor) -> NDArray[np.float64]:
        return bigram[tokens[:, -1].numpy() if tokens.shape[1] else np.full(len(tokens), VALUES)]

    h, c = dn.hmm(x, 4, seed=1), constraints(4)["attribute"]
    alone = masses(dn.evaluate(h, WORDS))
    under = masses(dn.evaluate(h, WORDS) * dn.evaluate(c, WORDS)) / alone
    own = np.exp([bigram[prefix[-1] if prefix else VALUES] for prefix in PREFIXES])
    guided = dn.steer(h, c, language_model=language_model, dtype="float64")
    np.testing.assert_allclose(guided.next_token_log_probs(PREFIXES).exp(), shares(own * under), rtol=1e-12)
    sharp = dn.steer(h, c, language_model=language_model, sharpness=3.0, dtype="float64")
    odds = (under / (1 - under)) ** 3
    np.testing.assert_allclose(sharp.next_token_log_probs(PREFIXES).exp(), shares(own * odds / (1 + odds)), rtol=1e-9)


def test_every_sample_accepts_and_samples_are_distributed_as_the_product() -> None:
    h, automaton = dn.hmm(x, 4, seed=2), dn.keywords([[0, 2]], x)
    steering = dn.steer(h, dn.dfa(x, automaton))
    drawn = steering.sample(20_000, seed=5).numpy()
    assert automaton.accepts(drawn).all()
    assert (steering.sample(10, seed=5).numpy() == drawn[:10]).all()
    wanted = dn.evaluate(h, WORDS) * automaton.accepts(WORDS)
    found = np.bincount(drawn @ VALUES ** np.arange(LENGTH)[::-1], minlength=len(WORDS)) / len(drawn)
    assert np.abs(found - wanted / wanted.sum()).max() < 0.015  # four deviations of the commonest word


def test_many_classes_and_few_give_the_same() -> None:
    """Beyond 256 classes of tokens, a matrix product for each automaton state takes the place of one for each class."""
    y = dn.Cat("y", 400, shape=4)
    h = dn.hmm(y, 3)
    rng = np.random.default_rng(1)
    table = rng.integers(0, 7, (7, 400))
    c = dn.dfa(y, dn.automaton(table, [0, 3]))
    found = dn.steer(h, c, dtype="float64").next_token_log_probs([[5], [399], [17]]).exp()
    rows = np.full((3, 4), np.nan)
    rows[:, 0] = [5, 399, 17]
    np.testing.assert_allclose(found, dn.conditional(dn.multiply(h, c), rows)["y[1]"], rtol=1e-10)


def test_rare_keywords_do_not_underflow_in_float32() -> None:
    """Ten keywords of probability 1e-6 each: 1e-60, beyond float32; powers of two per automaton state hold them."""
    y = dn.Cat("y", 12, shape=10)
    row = np.array([1 - 11e-6] + [1e-6] * 11)
    model = dn.Circuit(dn.product([dn.categorical(each, [row / row.sum()]) for each in y]))
    c = dn.dfa(y, dn.regex("".join(f"<{i}>" for i in range(1, 11)), 12))
    steering = dn.steer(model, c)
    assert steering.log_probability() == pytest.approx(10 * np.log(1e-6), rel=1e-6)
    assert steering.next_token_log_probs([[1, 2, 3]]).argmax() == 4


def test_an_impossible_prefix_is_a_row_of_minus_infinity_with_a_warning() -> None:
    steering = dn.steer(dn.hmm(x, 2), dn.dfa(x, "<0>.*"))
    with pytest.warns(dn.DanausWarning, match="the prefix of row 1 cannot"):
        found = steering.next_token_log_probs([[0], [1]])
    assert torch.isneginf(found[1]).all() and torch.isfinite(found[0]).all()
    with pytest.warns(dn.DanausWarning, match="the prefix of 2 rows, such as row 1, cannot"):
        steering.next_token_log_probs([[0], [1, 0], [2]])


def test_a_constraint_that_no_sequence_satisfies_is_told() -> None:
    nothing = dn.dfa(x, "<0>{9}")
    with pytest.warns(dn.DanausWarning, match="no sequence of the model satisfies"):
        steering = dn.steer(dn.hmm(x, 2), nothing).prepare()
    assert steering.log_probability() == -np.inf
    with pytest.raises(dn.DanausError, match="no sequence of the model"):
        steering.sample(3)


def test_a_language_model_that_stops_is_told() -> None:
    def stops(tokens: torch.Tensor) -> torch.Tensor:
        return torch.full((len(tokens), VALUES), -torch.inf if tokens.shape[1] == 2 else 0.0)

    with pytest.raises(dn.DanausError, match="no token 2 that the language model allows"):
        dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*"), language_model=stops).sample(3)


def test_prefixes_of_all_lengths_and_none() -> None:
    """Codes of a domain that begins at 2; a batch of none; a model of one variable."""
    y = dn.Int("y", 2, 4, shape=3)
    steering = dn.steer(dn.hmm(y, 3, seed=1), dn.dfa(y, "<2>.*<3>.*"), dtype="float64")
    words = np.array(list(itertools.product((2, 3, 4), repeat=3)))
    joint = dn.evaluate(dn.hmm(y, 3, seed=1), words) * [word[0] == 2 and 3 in word[1:] for word in words.tolist()]
    asked: list[list[int]] = [[], [2], [2, 3], [], [2, 4]]
    found = quiet(lambda: steering.next_token_log_probs(asked))
    for row, prefix in zip(found, asked, strict=True):
        mass = [joint[(words[:, : len(prefix) + 1] == [*prefix, v]).all(axis=1)].sum() for v in (2, 3, 4)]
        np.testing.assert_allclose(row, np.array(mass) / sum(mass), rtol=1e-12)
    assert steering.sample(9).min() == 2
    for none in ([], np.zeros((0, 2), dtype=int), steering.begin(0)):
        assert steering.next_token_log_probs(none).shape == (0, 3)
    assert steering.sample(0).shape == (0, 3)
    one = dn.Cat("one", 3, shape=1)
    only = dn.steer(dn.hmm(one, 2), dn.dfa(one, "<1>"))
    assert only.next_token_log_probs([[]]).exp().tolist() == [[0, 1, 0]] and only.sample(4).tolist() == [[1]] * 4


def test_answers_of_a_language_model_may_be_arrays_or_tensors_with_derivatives() -> None:
    wanted = dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*<0>"), language_model=lambda t: np.zeros((len(t), VALUES)))
    for answer in (
        torch.zeros,
        lambda *shape: torch.zeros(*shape, requires_grad=True),
        lambda *s: np.zeros(s).tolist(),
    ):
        steering = dn.steer(
            dn.hmm(x, 2),
            dn.dfa(x, ".*<0>"),
            language_model=lambda t, answer=answer: answer(len(t), VALUES),  # type: ignore[misc]
        )
        found = steering.next_token_log_probs([[1, 2]])
        assert torch.equal(found, wanted.next_token_log_probs([[1, 2]])) and not found.requires_grad


def test_samples_are_the_same_in_any_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    steering = dn.steer(dn.hmm(x, 3), dn.dfa(x, ".*<0>.*"))
    whole = steering.sample(11, seed=3)
    monkeypatch.setattr("danaus.runtime.steering.steering._NUMBERS_AT_ONCE", 4 * VALUES)
    assert torch.equal(steering.sample(11, seed=3), whole)


def test_the_emissions_of_an_hmm_are_held_once() -> None:
    y = dn.Cat("y", 1000, shape=6)
    steering = dn.steer(dn.hmm(y, 16), dn.dfa(y, ".*<7>.*")).prepare()
    emissions, letters = 1000 * 16 * 4, 1000 * 2 * 8
    assert emissions + letters < steering.memory < 1.1 * (emissions + letters)


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    steering = dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).prepare(lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)] and steering.memory > 0


def plain(**options: Any) -> dn.Steering:
    return dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*"), **options)


def answering(answer: object) -> torch.Tensor:
    return plain(language_model=lambda tokens: answer).next_token_log_probs([[]])


def unsigned(row: list[list[int]]) -> Circuit:
    return dn.Circuit(dn.product([dn.table(each, row) for each in x]))


def mixed() -> Circuit:
    return dn.Circuit(dn.product([dn.categorical(x[0], width=1), dn.categorical(dn.Cat("y", 2), width=1)]))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: dn.steer(dn.rat(dn.Bool("b", shape=8), 2, 2, 2), dn.dfa(dn.Bool("b", shape=8), ".*")), "not-a-chain"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(dn.Cat("y", 3, shape=5), ".*")), "not-compatible"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.hmm([x[2], x[1], x[0]], 2)), "not-compatible"),
        (lambda: dn.steer(dn.hmm(dn.Real("u", shape=3), 2), dn.hmm(x, 2)), "wrong-domain"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.Circuit(dn.table(x[0], [[1, -1, 0]]))), "negative"),
        (lambda: dn.steer(unsigned([[1, -1, 1]]), dn.dfa(x, ".*")), "negative"),
        (lambda: dn.steer(dn.scale(dn.hmm(x, 2), -1), dn.dfa(x, ".*")).sample(1), "negative"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.scale(dn.dfa(x, ".*"), -1)), "negative"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*"), dtype="int8"), "unknown-type"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*"), device="abacus"), "unknown-device"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).next_token_log_probs([[0, 1, 2, 0, 1]]), "too-long"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).next_token_log_probs([[0, 3]]), "wrong-value"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).next_token_log_probs([0, 1]), "wrong-shape"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).next_token_log_probs(7), "wrong-shape"),
        (lambda: dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).next_token_log_probs([["a"]]), "wrong-dtype"),
        (lambda: plain().next_token_log_probs([[0], [1.0]]), "wrong-dtype"),
        (lambda: plain().next_token_log_probs([[0, -1]]), "wrong-value"),
        (lambda: plain().next_token_log_probs(dn.steer(dn.hmm(x, 2), dn.dfa(x, ".*")).begin(1)), "wrong-arguments"),
        (lambda: plain().extend([[0]], [1]), "wrong-arguments"),
        (lambda: plain().begin(-1), "wrong-value"),
        (lambda: plain().sample(1.5), "wrong-value"),
        (lambda: plain().sample(2, seed="a"), "wrong-value"),
        (lambda: plain().sample(1 << 40), "too-large"),
        (lambda: (s := plain()).extend(s.begin(2), [0]), "wrong-shape"),
        (lambda: (s := plain()).extend(s.begin(2), [0, 3]), "wrong-value"),
        (lambda: plain().begin(2).select([2]), "wrong-index"),
        (lambda: plain().begin(2).select([-1]), "wrong-index"),
        (lambda: plain().begin(2).select([True, False]), "wrong-index"),
        (lambda: plain().prepare(3), "wrong-arguments"),
        (lambda: plain(sharpness=0), "wrong-value"),
        (lambda: plain(sharpness=np.nan), "wrong-value"),
        (lambda: plain(sharpness="much"), "wrong-value"),
        (lambda: plain(language_model=3), "wrong-arguments"),
        (lambda: answering([0.0]), "wrong-shape"),
        (lambda: answering(np.zeros((1, 2))), "wrong-shape"),
        (lambda: answering([[0.0], [0.0, 1.0]]), "wrong-shape"),
        (lambda: answering(np.full((1, VALUES), np.nan)), "wrong-number"),
        (lambda: answering(np.full((1, VALUES), np.inf)), "wrong-number"),
        (lambda: answering(None), "wrong-dtype"),
        (lambda: answering("ab"), "wrong-dtype"),
        (lambda: answering(np.zeros((1, VALUES), dtype=complex)), "wrong-dtype"),
        (lambda: answering(torch.zeros((1, VALUES), dtype=torch.complex64)), "wrong-dtype"),
        (lambda: dn.steer(mixed(), dn.Circuit(dn.table(x[0], [[1, 0, 1]]))), "wrong-domain"),
    ],
)
def test_what_cannot_be_steered_is_refused(make: Callable[[], object], code: str) -> None:
    with pytest.raises(dn.DanausError) as caught:
        make()
    assert caught.value.diagnostics[0].code == code
