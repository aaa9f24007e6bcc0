"""Steers a toy language model, a bigram table, with an HMM that was fitted to its samples, towards keywords.

The language model says what words follow each other; the HMM says how likely the keywords are to come still; the
automaton says what the keywords are. Every sentence that comes out holds them.
"""

from __future__ import annotations

import numpy as np
import torch

import danaus as dn

WORDS = ("the", "a", "dog", "cat", "ball", "chases", "sees", "and", "sleeps", ".")
LENGTH = 8
FOLLOWS = {
    "the": "dog cat ball",
    "a": "dog cat ball",
    "dog": "chases sees sleeps and .",
    "cat": "chases sees sleeps and .",
    "ball": "and .",
    "chases": "the a",
    "sees": "the a",
    "and": "the a",
    "sleeps": "and .",
    ".": ".",
}


def bigram() -> np.ndarray:
    """P(next | last) for each word, and, in the last row, of the first word."""
    table = np.full((len(WORDS) + 1, len(WORDS)), 1e-3)
    for word, following in FOLLOWS.items():
        for each in following.split():
            table[WORDS.index(word), WORDS.index(each)] = 1
    table[-1, :2] = 1
    return table / table.sum(axis=1, keepdims=True)


def main() -> None:
    """Fits the HMM to samples of the bigram, and prints steered sentences."""
    table = bigram()

    def language_model(tokens: torch.Tensor) -> np.ndarray:
        last = tokens[:, -1].numpy() if tokens.shape[1] else np.full(len(tokens), len(WORDS))
        return np.log(table[last])

    rng = np.random.default_rng(0)
    rows = np.zeros((4000, LENGTH), dtype=int)
    for position in range(LENGTH):
        chances = table[rows[:, position - 1] if position else np.full(len(rows), len(WORDS))]
        rows[:, position] = (chances.cumsum(axis=1) > rng.random((len(rows), 1))).argmax(axis=1)

    x = dn.Cat("x", *WORDS, shape=LENGTH)
    hmm = dn.fit(dn.hmm(x, states=12, name="hmm"), rows, epochs=30).circuit
    both = dn.keywords([["cat"], ["ball", "."]], x)
    steering = dn.steer(hmm, dn.dfa(x, both), language_model=language_model).prepare()

    print(f"P(keywords) = {np.exp(steering.log_probability()):.3f}; {both!r}")
    sentences = steering.sample(5, seed=1).numpy()
    assert both.accepts(sentences).all()
    for sentence in sentences:
        print(" ".join(WORDS[word] for word in sentence))


if __name__ == "__main__":
    main()
