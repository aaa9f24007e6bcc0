"""HMMs of the text of `corpus.py`, learnt by mini-batch EM and kept in a folder, for `steering.py`.

    python benchmarks/corpus_hmm.py FOLDER STATES EPOCHS [BLOCK …]

STATES alone is dense; BLOCK … are the sizes of a Monarch transition. A model is `FOLDER/hmm_STATES[_monarch].npz`, its
parameters by name, with a line in `FOLDER/learnt.jsonl` of how it was learnt.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import corpus
import numpy as np

import danaus as dn
from danaus.ir.circuit import Circuit

LENGTH = 32


def untrained(tokens: int, states: int, blocks: list[int], seed: int = 0) -> Circuit:
    """An HMM over rows of tokens, with random numbers."""
    x = dn.Cat("x", tokens, shape=LENGTH)
    return dn.hmm(x, states, transition=dn.monarch(*blocks) if blocks else None, name="h", seed=seed)


def path(folder: Path, states: int, blocks: list[int]) -> Path:
    """Where a model is kept."""
    return folder / f"hmm_{states}{'_monarch' if blocks else ''}.npz"


def main(folder: Path, states: int, epochs: int, blocks: list[int]) -> None:
    """Learns one model and keeps it."""
    data = corpus.read(LENGTH)
    circuit = untrained(len(data.tokens), states, blocks)
    start = time.perf_counter()

    def told(epoch: object) -> None:
        print(epoch, flush=True)

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
        progress=told,
    )
    store = fitted.circuit.store
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {each.name: store[each].floats.astype(np.float32) for each in fitted.circuit.parameters}
    np.savez(path(folder, states, blocks), **arrays)
    line = {
        "states": states,
        "blocks": blocks,
        "epochs": epochs,
        "held": fitted.best.valid / LENGTH,
        "train": fitted.best.train / LENGTH,
        "minutes": (time.perf_counter() - start) / 60,
    }
    with (folder / "learnt.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(each) for each in sys.argv[4:]])
