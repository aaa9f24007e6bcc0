"""Time per token of decoding under CommonGen's keywords, beside decoding without, on HMMs of real text.

    python benchmarks/corpus_hmm.py FOLDER 64 16        # and so on: the HMMs
    python benchmarks/steering.py FOLDER [STATES …]

A decode is a batch of 16 sequences of 32 GPT-2 tokens, sampled token by token. "Free" is the same HMM under the
automaton that accepts everything, "steered" under a keyword set, both of them sampled in turns; "guided" is a bigram
model of the same text, steered by the HMM, and "bigram" that model alone. Times are of the one thread itself, the
medians of some decodes; every steered or guided sample must hold its keywords. Beyond 256 states there are fewer.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import corpus
import corpus_hmm
import numpy as np
import torch
from numpy.typing import NDArray

import danaus as dn
from danaus.ir.circuit import Circuit

BATCH = 16
KEYWORDS = (3, 4, 5)
SHARE = 0.9
HMMS: tuple[tuple[int, list[int]], ...] = (
    (64, []),
    (64, [8, 8]),
    (256, []),
    (256, [16, 16]),
    (1024, []),
    (1024, [32, 32]),
    (4096, [64, 64]),
)


class Bigram:
    """p(v | last) = SHARE · counts of pairs + the rest of counts of tokens, as a language model."""

    def __init__(self, rows: NDArray[np.int64], tokens: int) -> None:
        counts = np.bincount(rows.ravel(), minlength=tokens) + 0.1
        self.single = counts / counts.sum()
        pairs, times = np.unique(rows[:, :-1].ravel() * tokens + rows[:, 1:].ravel(), return_counts=True)
        first, self.second = np.divmod(pairs, tokens)
        totals = np.bincount(first, weights=times, minlength=tokens)
        self.share = SHARE * times / totals[first]
        self.offsets = np.searchsorted(first, np.arange(tokens + 1))

    def __call__(self, prefixes: torch.Tensor) -> NDArray[np.float64]:
        out = np.tile((1 - SHARE) * self.single, (len(prefixes), 1))
        if not prefixes.shape[1]:
            return np.log(out)
        for row, last in zip(out, prefixes[:, -1].tolist(), strict=True):
            own = slice(self.offsets[last], self.offsets[last + 1])
            row[self.second[own]] += self.share[own]
        return np.log(out)

    def sample(self, count: int, length: int, seed: int) -> NDArray[np.int64]:
        """Sequences of the model alone."""
        random = np.random.default_rng(seed)
        tokens = torch.zeros((count, 0), dtype=torch.int64)
        for _ in range(length):
            sums = np.exp(self(tokens)).cumsum(axis=1)
            uniform = random.random(count)
            chosen = [np.searchsorted(row, u * row[-1]) for row, u in zip(sums, uniform, strict=True)]
            tokens = torch.cat([tokens, torch.as_tensor(np.array(chosen))[:, None]], dim=1)
        return tokens.numpy()


def chosen_sets(data: corpus.Corpus) -> list[list[list[int]]]:
    """A keyword set of each size, the same each time, and one with words of two tokens; keywords are codes."""
    random = np.random.default_rng(5)
    found = []
    for size in KEYWORDS:
        plain = [each for each in data.sets if len(each) == size and max(map(len, each)) == 1]
        found.append(plain[int(random.integers(len(plain)))])
    several = [each for each in data.sets if len(each) == 5 and max(map(len, each)) == 2]
    return [*found, several[int(random.integers(len(several)))]]


def timed(calls: dict[str, Callable[[int], object]], turns: int) -> dict[str, float]:
    """Milliseconds of this thread for a token, the calls in turns: the median of some decodes."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns):
        for name, call in calls.items():
            start = time.thread_time()
            call(turn)
            found[name].append((time.thread_time() - start) / (BATCH * corpus_hmm.LENGTH) * 1e3)
    return {name: statistics.median(each) for name, each in found.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Decode:
    """A decode whose samples must be accepted; `last` keeps them."""

    steering: dn.Steering
    automaton: dn.Automaton
    last: list[NDArray[np.int64]] = field(default_factory=list)

    def __call__(self, turn: int) -> None:
        drawn = self.steering.sample(BATCH, seed=turn).numpy()
        assert self.automaton.accepts(drawn).all()
        self.last[:] = [drawn[0]]


def row(hmm: Circuit, free: dn.Steering, model: Bigram, words: list[list[int]]) -> tuple[list[str], dict[str, Decode]]:
    """The cells of a keyword set, and its decodes."""
    x = hmm.variables
    automaton = dn.keywords(words, x)
    constraint = dn.dfa(x, automaton)
    steered = dn.steer(hmm, constraint)
    start = time.thread_time()
    steered.prepare()
    prepared = time.thread_time() - start
    decodes = {"free": Decode(free, dn.regex(".*", x)), "steered": Decode(steered, automaton)}
    calls: dict[str, Callable[[int], object]] = {**decodes}
    large = len(steered.begin().model[0]) > 256
    if not large:
        guided = dn.steer(hmm, constraint, language_model=model).prepare()
        decodes["guided"] = calls["guided"] = Decode(guided, automaton)
        calls["bigram"] = lambda turn: model.sample(BATCH, corpus_hmm.LENGTH, turn)
    found = timed(calls, 2 if large else 3)
    cells = [str(len(words)), str(automaton.states), f"{prepared:.2f}", f"{steered.memory / 1e6:.0f}"]
    cells += [f"{found['free']:.2f}", f"{found['steered']:.2f}", f"{found['steered'] / found['free']:.2f}"]
    return cells + [f"{found[each]:.2f}" if each in found else "–" for each in ("bigram", "guided")], decodes


def main(folder: Path, wanted: list[int]) -> None:
    """Prints a row of the table for each HMM and keyword set, and a sentence of each."""
    torch.set_num_threads(1)
    data = corpus.read(corpus_hmm.LENGTH)
    model = Bigram(data.train, len(data.tokens))
    rows = f"rows of {corpus_hmm.LENGTH}: {len(data.train)} to learn from, {len(data.held)} held out"
    print(f"{len(data.tokens)} tokens; {rows}\n")
    print("| HMM | keywords | automaton states | prepare, s | memory, MB | free, ms | steered, ms | ratio ", end="")
    print("| bigram, ms | guided, ms |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    sentences: list[str] = []
    for states, blocks in HMMS:
        if (wanted and states not in wanted) or not corpus_hmm.path(folder, states, blocks).exists():
            continue
        name = f"Monarch {blocks[0]} × {blocks[1]}" if blocks else f"dense {states}"
        hmm = corpus_hmm.kept(folder, len(data.tokens), states, blocks)
        free = dn.steer(hmm, dn.dfa(hmm.variables, ".*")).prepare()
        sets = chosen_sets(data)
        for words in sets if states <= 256 else sets[::2]:
            cells, decodes = row(hmm, free, model, words)
            print(f"| {' | '.join([name, *cells])} |", flush=True)
            keywords = ", ".join(data.text(np.array(word)).strip() for word in words)
            for which in ("steered", "guided"):
                if which in decodes:
                    sentences.append(f"- {name}, {which}; {keywords}: *{data.text(decodes[which].last[0]).strip()}*")
    print("\n" + "\n".join(sentences))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(each) for each in sys.argv[2:]])
