"""HMMs of the text of `corpus.py`, learnt by mini-batch EM and kept in a folder, for `steering.py`.

    python benchmarks/corpus_hmm.py FOLDER STATES EPOCHS [BLOCK …]

STATES alone is dense; BLOCK … are the sizes of a Monarch transition. A model is `FOLDER/hmm_STATES[_monarch].npz`, its
parameters by name, with a line in `FOLDER/learnt.jsonl` of how it was learnt. It begins at random, or, where FOLDER has
a model of a quarter of the states, from that one, each state split in four that differ by noise.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import corpus
import numpy as np
from numpy.typing import NDArray

import danaus as dn
from danaus.ir.circuit import Circuit
from danaus.ir.parameter import Value

LENGTH = 32


def untrained(tokens: int, states: int, blocks: list[int], seed: int = 0) -> Circuit:
    """An HMM over rows of tokens, with random numbers."""
    x = dn.Cat("x", tokens, shape=LENGTH)
    return dn.hmm(x, states, transition=dn.monarch(*blocks) if blocks else None, name="h", seed=seed)


def with_numbers(circuit: Circuit, arrays: Mapping[str, NDArray[np.floating]]) -> Circuit:
    """The circuit over numbers by name, rows made to sum to 1."""
    values = {}
    for each in circuit.parameters:
        numbers = np.asarray(arrays[each.name], dtype=np.float64)
        values[each] = Value.of(numbers / numbers.sum(axis=-1, keepdims=True))
    return circuit.over(circuit.store.updated(values))


def kept(folder: Path, tokens: int, states: int, blocks: list[int]) -> Circuit:
    """A model of the folder."""
    with np.load(path(folder, states, blocks)) as arrays:
        return with_numbers(untrained(tokens, states, blocks), arrays)


def split(arrays: Mapping[str, NDArray[np.floating]], blocks: list[int]) -> dict[str, NDArray[np.floating]]:
    """The numbers of a model whose states are each split in four; of a Monarch one, each digit in two."""
    random = np.random.default_rng(0)

    def noisy(numbers: NDArray[np.floating]) -> NDArray[np.floating]:
        found: NDArray[np.floating] = numbers * np.exp(0.3 * random.standard_normal(numbers.shape, dtype=np.float32))
        return found

    def repeated(numbers: NDArray[np.floating], times: int, axes: tuple[int, ...]) -> NDArray[np.floating]:
        for axis in axes:
            numbers = np.repeat(numbers, times, axis)
        return numbers

    def by_digits(numbers: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
        """States as pairs of digits, each digit split in two, or each state in four."""
        if not blocks:
            return np.repeat(numbers, 4, axis)
        half = [block // 2 for block in blocks]
        laid = np.moveaxis(numbers, axis, 0)
        laid = repeated(laid.reshape(*half, -1), 2, (0, 1))
        return np.moveaxis(laid.reshape(-1, *np.moveaxis(numbers, axis, 0).shape[1:]), 0, axis)

    out = {
        "h.initial": noisy(by_digits(arrays["h.initial"], 1)),
        "h.emission": noisy(by_digits(arrays["h.emission"], 0)),
    }
    for name in arrays:
        if name.startswith("h.transition"):
            times, axes = (2, (0, 1, 2)) if blocks else (4, (0, 1))
            out[name] = noisy(repeated(arrays[name], times, axes))
    return out


def path(folder: Path, states: int, blocks: list[int]) -> Path:
    """Where a model is kept."""
    return folder / f"hmm_{states}{'_monarch' if blocks else ''}.npz"


def main(folder: Path, states: int, epochs: int, blocks: list[int]) -> None:
    """Learns one model and keeps it."""
    data = corpus.read(LENGTH)
    circuit = untrained(len(data.tokens), states, blocks)
    smaller = path(folder, states // 4, blocks)
    if states > 256 and smaller.exists():
        with np.load(smaller) as found:
            circuit = with_numbers(circuit, split(found, blocks))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    line: dict[str, object] = {"states": states, "blocks": blocks, "epochs": epochs}
    if epochs:
        fitted = dn.fit(
            circuit,
            data.train,
            data.held,
            method="minibatch-em",
            epochs=epochs,
            batch=2048,
            step=0.7,
            pseudocount=0.01,
            dtype="float32",
            progress=lambda epoch: print(epoch, flush=True),
        )
        circuit = fitted.circuit
        valid = [epoch.valid / LENGTH for epoch in fitted.history if epoch.valid is not None]
        line |= {"first": valid[0], "held": max(valid)}
    store = circuit.store
    arrays = {each.name: store[each].floats.astype(np.float32) for each in store}
    np.savez(path(folder, states, blocks), **arrays)  # type: ignore[arg-type]  # names are no `allow_pickle`
    line["minutes"] = (time.perf_counter() - start) / 60
    with (folder / "learnt.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(each) for each in sys.argv[4:]])
