"""Tokens per second of decoding under keywords, beside decoding without: GPT-2's vocabulary, CommonGen's keyword sets.

    python benchmarks/steering.py [STATES …]

The HMMs are random: times do not hang on the numbers, and are the one thread's own. A decode is 32 steps of a batch of
16, each a question for the next token and an extension by the most probable one; "free" is the same under the automaton
that accepts everything.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import danaus as dn
from danaus.ir.circuit import Circuit

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
LENGTH, BATCH = 32, 16


def keyword_sets(count: int) -> tuple[int, list[list[int]]]:
    """The size of the vocabulary, and keyword sets whose words are one token each, a blank before them."""
    with gzip.open(DATA / "tokens/gpt2/encoder.json.gz", "rt") as file:
        encoder: dict[str, int] = json.load(file)
    found: list[list[int]] = []
    with gzip.open(DATA / "constraints/commongen/common-gen_validation.json.gz", "rt") as file:
        for row in json.load(file):
            words = ["Ġ" + word for word in row["concepts"]]
            if all(word in encoder for word in words):
                found.append([encoder[word] for word in words])
    return len(encoder), sorted(found, key=len)[-count:]


def decode(steering: dn.Steering) -> tuple[float, np.ndarray]:
    """Seconds of one decode, and its tokens."""
    start = time.thread_time()
    at = steering.begin(BATCH)
    for position in range(LENGTH):
        chosen = steering.next_token_log_probs(at).argmax(dim=1)
        if position < LENGTH - 1:
            at = steering.extend(at, chosen)
    return time.thread_time() - start, np.concatenate([at.tokens.numpy(), chosen.numpy()[:, None]], axis=1)


def main(states: list[int]) -> None:
    """Prints a row of the table for each HMM."""
    torch.set_num_threads(1)
    size, sets = keyword_sets(2)
    x = dn.Cat("x", size, shape=LENGTH)
    print("| HMM | automaton states | prepare, s | memory, MB | free, tokens/s | constrained, tokens/s |")
    print("|---|---|---|---|---|---|")
    for count in states:
        root = int(count**0.5)
        shapes: list[tuple[str, Circuit]] = [(f"dense {count}", dn.hmm(x, count))]
        if root * root == count:
            shapes.append((f"Monarch {root} × {root}", dn.hmm(x, count, transition=dn.monarch(root, root))))
        for name, model in shapes:
            free, _ = min(
                (decode(dn.steer(model, dn.dfa(x, ".*")).prepare()) for _ in range(2)), key=lambda each: each[0]
            )
            automaton = dn.keywords([[token] for token in sets[-1]], x)
            steering = dn.steer(model, dn.dfa(x, automaton))
            start = time.thread_time()
            steering.prepare()
            prepared = time.thread_time() - start
            taken, tokens = min((decode(steering) for _ in range(2)), key=lambda each: each[0])
            assert automaton.accepts(tokens).all()
            figures = f"{prepared:.2f} | {steering.memory / 1e6:.0f}"
            speeds = f"{BATCH * LENGTH / free:.0f} | {BATCH * LENGTH / taken:.0f}"
            print(f"| {name} | {automaton.states} | {figures} | {speeds} |", flush=True)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [64, 256, 1024])
