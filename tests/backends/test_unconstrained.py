"""Numbers without constraints against torch's softmax, exp and sigmoid, and the executable's own derivatives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

import danaus as dn
from danaus.backends.cpu import packed
from danaus.backends.cpu.links import PIECE, Links
from danaus.ir.circuit import Circuit
from danaus.runtime.links import Link, Place
from danaus.runtime.straight import Straightly
from danaus.runtime.unconstrained import Unconstrained
from small_circuits import evidence, random_circuit

BY_TORCH = {
    "softmax": lambda x: torch.softmax(x, -1),
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x * 1.0,
}
PLACES: tuple[tuple[Link, int, int], ...] = (
    ("softmax", 3, 5),
    ("softmax", 7, 1),
    ("exp", 1, 2 * PIECE + 3),
    ("sigmoid", 4, 3),
    ("identity", 2, 9),
    ("softmax", 4, 256),
    ("sigmoid", 1, 1),
)


def _circuits() -> dict[str, Circuit]:
    x, y, z = dn.Bool("x"), dn.Real("y"), dn.Count("z")
    p = dn.param("p", [3], "unit", [0.2, 0.7, 0.4])
    m = dn.param("m", [3], "real", [0.0, 1.0, -2.0])
    s = dn.param("s", [3], "positive", [1.0, 0.5, 2.0])
    rate = dn.param("rate", [3], "positive", [1.0, 3.0, 0.2])
    w = dn.param("w", [1, 3], "simplex", [[0.3, 0.5, 0.2]])
    families = dn.bernoulli(x, p) * dn.gaussian(y, m, s) * dn.poisson(z, rate)
    shape = {"shape": [4, 4], "states": 3}
    table = dn.param("t", [3, 2], "simplex", [[0.1, 0.9], [0.5, 0.5], [0.7, 0.3]])
    densities = dn.categorical(x, table) * dn.gaussian(y, m, s)
    return {
        "families": dn.Circuit(dn.sum(families, w)),
        "densities": dn.Circuit(dn.sum(densities, dn.param("v", [1, 3], "simplex", [[0.3, 0.5, 0.2]]))),
        "chain": dn.hmm(dn.Cat("x", 5, shape=9), states=7),
        "monarch": dn.hmm(dn.Cat("x", 3, shape=6), states=12, transition=dn.monarch(3, 4)),
        "image": dn.quad_graph(dn.Cat("x", 5, shape=16), layer="tucker", **shape),
    }


@pytest.mark.parametrize(("size", "outer", "error"), [(4, 8, 2e-6), (8, 8, 1e-14), (4, 4, 2e-6), (8, 4, 1e-6)])
def test_links_are_those_of_torch(size: int, outer: int, error: float) -> None:
    random = np.random.default_rng(size)
    dtype, kind = (np.float32 if each == 4 else np.float64 for each in (size, outer))
    links = Links([Place(*place) for place in PLACES], size, outer)
    count = sum(rows * columns for _, rows, columns in PLACES)
    numbers = (2 * random.normal(size=count)).astype(dtype)
    numbers[3] = -np.inf
    held, slopes, out = np.empty(count, dtype=kind), random.normal(size=count), np.empty(count, dtype=dtype)
    free = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    parts, start, pieces = [], 0, []
    for link, rows, columns in PLACES:
        own = slice(start, start + rows * columns)
        parts.append(BY_TORCH[link](free[own].reshape(rows, columns)).reshape(-1))
        pieces.append(slopes[own].astype(kind))
        start = own.stop
    want = torch.cat(parts)
    (want * torch.from_numpy(-0.5 * slopes)).sum().backward()
    links.hold(numbers, held)
    links.pull(out, held, np.array([each.ctypes.data for each in pieces]), -0.5)
    assert free.grad is not None
    np.testing.assert_allclose(held, want.detach(), rtol=error * 10, atol=error * 1e-3)
    np.testing.assert_allclose(out, free.grad, rtol=0, atol=error * np.abs(free.grad.numpy()).max())
    assert abs(held[15 + 7 + 2 * PIECE + 3 + 12 + 18 :][:256].sum(dtype=float) - 1) < (
        1e-14 if outer == 8 else 1e-6
    )  # a row


@pytest.mark.parametrize("name", list(_circuits()))
def test_derivatives_are_those_of_torchs_links(name: str) -> None:
    circuit, random = _circuits()[name], np.random.default_rng(1)
    x = random.integers(0, 2, size=(20, len(circuit.variables))).astype(float)
    observed = random.random(x.shape) < 0.7
    weights = torch.linspace(-1.0, 2.0, 20, dtype=torch.float64)
    free = dn.compile(circuit, dtype="float64").unconstrained(torch.float64)
    (free.log_likelihood(x, observed) * weights).sum().backward()
    model = dn.compile(circuit, dtype="float64")
    learnable = model.learnable()
    logits = {each: free.numbers.detach()[own].clone().requires_grad_(True) for each, own in free.at.items()}
    links = {"simplex": "softmax", "positive": "exp", "unit": "sigmoid", "real": "identity", None: "identity"}
    parts = {
        each: BY_TORCH[links[learnable[each].constraint]](numbers.reshape(learnable[each].shape))
        for each, numbers in logits.items()
    }
    log = torch.func.functional_call(model, parts, (x, observed))
    (log * weights).sum().backward()
    assert free.numbers.grad is not None
    for each, own in free.at.items():
        gradient = logits[each].grad
        assert gradient is not None
        np.testing.assert_allclose(free.numbers.grad[own], gradient, rtol=1e-8, atol=1e-9, err_msg=each)


@pytest.fixture
def on_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _straight(free: Unconstrained, x: np.ndarray) -> bool:
    """Whether derivatives come past the parameters."""
    values, observed = free.executable.checked(x)
    return isinstance(free.derivatives(values, observed, np.ones(len(x))), Straightly)


@pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["chain", "monarch", "image", "wide"])
def test_straight_from_free_numbers_is_by_way_of_parameters(
    name: str,
    threads: int,
    dtype: str,
    error: float,
    on_threads: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_threads(threads)
    monkeypatch.setattr(packed, "FEW_NUMBERS", 0)  # small ones, too, are packed by native code
    # wide: inputs of whole vectors, which are transposed in blocks, and joins, whose zeros are looked for
    wide = dn.quad_tree(dn.Cat("x", 16, shape=9), shape=[3, 3], states=16)
    circuit, random = _circuits()[name] if name != "wide" else wide, np.random.default_rng(2)
    x = random.integers(0, 3, size=(45, len(circuit.variables)))
    free = dn.compile(circuit, dtype=dtype).unconstrained(getattr(torch, dtype))
    plain = dn.compile(circuit, dtype=dtype).unconstrained(getattr(torch, dtype))
    assert _straight(free, x)
    for step in range(3):
        numbers = torch.from_numpy(random.normal(size=free.numbers.shape)).to(free.numbers)
        if step == 2:
            numbers[::7] = -torch.inf  # weights that are exactly 0
        for each in (free, plain):
            with torch.no_grad():
                each.numbers.copy_(numbers)
        values, observed = free.executable.checked(x)
        weights = random.random(len(x)) if step else np.ones(len(x))
        found = free.derivatives(values, observed, weights)
        wanted = plain.model.derivatives(values, observed, weights)
        np.testing.assert_allclose(found.log, wanted.log, rtol=error, atol=error)
        if step < 2:
            assert isinstance(found, Straightly)
            assert isinstance(found.found, torch.Tensor) == (threads == 1)  # through links while in the cache
            slopes, want = free.pulled(found, 0.5), plain.pulled(wanted, 0.5)
            np.testing.assert_allclose(slopes, want, rtol=0, atol=error * float(want.abs().max()))
    for name, tensor in free.model.named_parameters():
        assert torch.equal(tensor, dict(plain.model.named_parameters())[name])


@pytest.mark.parametrize(("dtype", "logit"), [(torch.float32, -83.0), (torch.float64, -83.0), (torch.float64, -230.0)])
def test_small_probabilities_of_free_numbers_are_exact(
    dtype: torch.dtype, logit: float, on_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_threads(1)
    monkeypatch.setattr(packed, "FEW_NUMBERS", 0)
    model = dn.compile(dn.quad_tree(dn.Cat("x", 16, shape=4), shape=[2, 2], states=16))
    free = model.unconstrained(dtype)
    name = next(each for each, own in free.at.items() if own.stop - own.start == 256)
    first = free.at[name].start
    with torch.no_grad():
        free.numbers.zero_()
        free.numbers[first : first + 256].reshape(16, 16)[:, 3] = logit
    rows = np.stack([np.full(4, 3), np.zeros(4)]).astype(int)
    values, observed = model.checked(rows)
    found = free.derivatives(values, observed, np.ones(2))
    assert not isinstance(found, Straightly)  # derivatives may be beyond float32
    np.testing.assert_allclose(found.log, np.asarray(dn.likelihood(free.model.circuit, rows)), rtol=1e-5)
    assert found.log[0] < logit + 5 - 3 * np.log(16)


def test_free_numbers_beside_parameters_that_are_none() -> None:
    x = dn.Cat("x", 8, shape=3)
    fixed = dn.param("fixed", [8, 8], "simplex", np.full((8, 8), 1 / 8))
    fixed.learnable = False
    inputs = [dn.categorical(each, dn.param(f"e{i}", [8, 8], "simplex")) for i, each in enumerate(x)]
    circuit = dn.Circuit(dn.sum(dn.sum(inputs[0] * inputs[1] * inputs[2], fixed), dn.param("w", [1, 8], "simplex")))
    model = dn.compile(circuit)
    free, rows = model.unconstrained(), np.zeros((5, 3), dtype=int)
    assert _straight(free, rows)
    assert "fixed" not in free.at
    with torch.no_grad():
        dict(model.named_parameters())["fixed"][:, 1:] = 0  # in place: it counts from the next call on
    values, observed = model.checked(rows)
    found = free.derivatives(values, observed, np.ones(5))
    np.testing.assert_allclose(found.log, model.log_likelihood(rows), rtol=1e-5)


def test_an_optimiser_climbs_and_the_circuit_follows() -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=6), states=5)
    x = np.random.default_rng(0).integers(0, 2, size=(64, 6))
    model = dn.compile(circuit)
    free = model.unconstrained()
    assert [name for name, _ in free.named_parameters()] == ["numbers"]
    before = model.log_likelihood(x).mean()
    optimiser = torch.optim.Adam(free.parameters(), lr=0.1)
    for _ in range(30):
        optimiser.zero_grad()
        (-free.log_likelihood(x).mean()).backward()
        optimiser.step()
    after = free.model.log_likelihood(x).mean()
    assert after > before + 1
    assert dn.check(free.model.circuit, "normalized")["normalized"].status == "proved"
    log = np.asarray(dn.evaluate(free.model.circuit, x, semiring="log"))
    np.testing.assert_allclose(log.mean(), float(after), rtol=1e-5)


def test_derivatives_taken_ahead_are_those_of_their_backward() -> None:
    """A sum, a sum again (taken ahead), a mean (another factor), weights of each row, twice the same, none."""
    circuit = dn.hmm(dn.Cat("x", 4, shape=5), states=3)
    x = np.random.default_rng(0).integers(0, 4, size=(10, 5))
    for make in (
        lambda: dn.compile(circuit, dtype="float64"),
        lambda: dn.compile(circuit, dtype="float64").unconstrained(torch.float64),
    ):
        module = make().requires_grad_()
        fresh = [make().requires_grad_() for _ in range(6)]
        losses = [
            lambda log: log.sum(),
            lambda log: -log.sum(),
            lambda log: log.mean(),
            lambda log: (log * torch.arange(10.0, dtype=torch.float64)).sum(),
            lambda log: 3 * log.sum(),
            lambda log: 3 * log.sum(),
        ]
        for loss, alone in zip(losses, fresh, strict=True):
            module.zero_grad()
            module.log_likelihood(x)  # nobody asks for its derivatives
            loss(module.log_likelihood(x)).backward()
            loss(alone.log_likelihood(x)).backward()
            for mine, other in zip(module.parameters(), alone.parameters(), strict=True):
                assert mine.grad is not None and other.grad is not None
                np.testing.assert_allclose(mine.grad, other.grad, rtol=1e-12, atol=1e-12)


def test_ahead_is_taken_and_given_up() -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=5), states=3)
    x = np.zeros((7, 5), dtype=np.int64)
    model = dn.compile(circuit).requires_grad_()
    assert model.ahead.weight is None
    torch.autograd.backward(model.log_likelihood(x).mean())
    assert model.ahead.weight == pytest.approx(1 / 7)
    log = model.log_likelihood(x)
    assert model.ahead.weight is None
    torch.autograd.backward(log.sum(), retain_graph=True)
    once = [tensor.grad.clone() for tensor in model.parameters() if tensor.grad is not None]
    torch.autograd.backward(log.sum())
    for tensor, before in zip(model.parameters(), once, strict=True):  # a mean and two sums
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad, before * (2 + 1 / 7) / (1 + 1 / 7), rtol=1e-5)


def test_what_was_taken_ahead_is_given_once() -> None:
    """The gradients of a first backward are the arrays themselves: a second one may not find what was added to them."""
    model = dn.compile(dn.hmm(dn.Cat("x", 4, shape=5), states=3), dtype="float64").requires_grad_()
    x = np.zeros((7, 5), dtype=np.int64)
    torch.autograd.backward(model.log_likelihood(x).sum())
    once = [tensor.grad.clone() for tensor in model.parameters() if tensor.grad is not None]
    model.zero_grad()
    log = model.log_likelihood(x)  # takes derivatives ahead
    for _ in range(4):
        torch.autograd.backward(log.sum(), retain_graph=True)
    for tensor, before in zip(model.parameters(), once, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad, 4 * before, rtol=1e-12)


def test_derivatives_are_of_the_parameters_of_the_call() -> None:
    """`functional_call` gives a call other parameters, which the backward finds after the module has its own again."""
    circuit = dn.hmm(dn.Cat("x", 4, shape=5), states=3)
    x = np.random.default_rng(0).integers(0, 4, size=(6, 5))
    model, other = dn.compile(circuit, dtype="float64"), dn.compile(circuit, dtype="float64")
    torch.manual_seed(0)
    values = {name: torch.rand(each.shape, dtype=torch.float64).softmax(-1) for name, each in model.tensors().items()}
    given = {name: value.clone().requires_grad_() for name, value in values.items()}
    torch.autograd.backward(torch.func.functional_call(model, given, (x,)).sum())
    other.assign(values)
    torch.autograd.backward(other.requires_grad_().log_likelihood(x).sum())
    for name, tensor in other.tensors().items():
        assert given[name].grad is not None and tensor.grad is not None
        np.testing.assert_allclose(given[name].grad, tensor.grad, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_start_where_they_were(seed: int) -> None:
    circuit = random_circuit(seed)
    x, _ = evidence(circuit, 8, seed, 0.0)
    model = dn.compile(circuit, dtype="float64")
    if model.compiled is None or not model.learnable():
        with pytest.raises(dn.DanausError):
            model.unconstrained()
        return
    want = model.log_likelihood(x)
    free = model.unconstrained(torch.float64)
    with torch.no_grad():
        free.numbers.add_(0.0)  # as if it had moved
        found = free.log_likelihood(x)
    possible = torch.isfinite(want)
    np.testing.assert_allclose(found[possible], want[possible], rtol=1e-9, atol=1e-9)


def test_state_moves_between_modules_and_copies() -> None:
    circuit = dn.hmm(dn.Cat("x", 4, shape=5), states=3)
    x = np.zeros((2, 5), dtype=np.int64)
    one, other = dn.compile(circuit).unconstrained(), dn.compile(circuit).unconstrained()
    with torch.no_grad():
        one.numbers.normal_()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.model.log_likelihood(x), other.model.log_likelihood(x))
    apart = copy.deepcopy(one.state_dict())
    assert set(apart) == {"numbers"}


def test_reset_takes_what_was_assigned() -> None:
    model = dn.compile(dn.hmm(dn.Cat("x", 4, shape=5), states=3), dtype="float64")
    free = model.unconstrained(torch.float64)
    values = {
        name: torch.softmax(torch.randn(tensor.shape, dtype=torch.float64), -1)
        for name, tensor in model.tensors().items()
    }
    model.assign(values)
    free.reset()
    with torch.no_grad():
        free.numbers.add_(0.0)
    for name, tensor in free.model.tensors().items():
        np.testing.assert_allclose(tensor.detach(), values[name], rtol=1e-12)


def test_what_cannot_be_free_is_said() -> None:
    x = dn.Cat("x", 3)
    fixed = dn.Circuit(
        dn.sum(dn.categorical(x, [[0.2, 0.3, 0.5], [1, 0, 0]]), dn.const("w", [1, 2], "simplex", [[0.5, 0.5]]))
    )
    model = dn.compile(dn.hmm(dn.Cat("x", 4, shape=5), states=3))
    with pytest.raises(dn.DanausError, match="float16"):
        model.unconstrained(torch.float16)
    free = model.unconstrained()
    with pytest.raises(dn.DanausError, match="float16"):
        free.half().log_likelihood(np.zeros((1, 5), dtype=np.int64))
    if not dn.compile(fixed).learnable():
        with pytest.raises(dn.DanausError, match="no learnable"):
            dn.compile(fixed).unconstrained()


def test_a_change_between_forward_and_backward_is_refused() -> None:
    free = dn.compile(dn.hmm(dn.Cat("x", 4, shape=5), states=3)).unconstrained()
    log = free.log_likelihood(np.zeros((1, 5), dtype=np.int64))
    with torch.no_grad():
        free.numbers.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        torch.autograd.backward(log.sum())
