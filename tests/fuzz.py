"""Inputs that no person would write, by the hundred thousand: each must end in a circuit or in diagnostics.

    python tests/fuzz.py --count 100000 --seed 0

Three kinds in turn: sentences of a small grammar of the language with sizes and names at random; tokens of known specs
dropped, doubled, swapped and replaced; bytes of them flipped, cut and spliced. What comes out is evaluated at one row
where it is small. A traceback, ten seconds or four gigabytes is a failure, and the input is printed.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from danaus.compiler import driver
from danaus.compiler.judge import judge
from danaus.ir.diagnostic import DanausError, Gatherer
from danaus.ir.evaluate import Evidence, evaluate
from danaus.ir.semirings import LINEAR
from danaus.ir.span import Source

SECONDS = 10
BYTES = 4 << 30
ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(r'"[^"\n]*"|\w+|\.\.|\s+|.', re.DOTALL)

# Specs that are slow by design: changed a little, they still are.
SLOW = ("endless_loop",)

# Words of the language, and some names.
VOCABULARY = """
var param const index circuit assert query import as load for in reversed return and or not inf bool cat 
int count real simplex unit positive bernoulli categorical table gaussian poisson binomial 
discretized_logistic kron product concat gather sum width map dense diagonal block_diagonal monarch 
sparse permute compose hmm rat quad_tree mixture states depth repetitions shape layer cp tucker integrate 
restrict evidence add scale rename smooth multiply near decomposable structured normalized nonnegative 
equal likelihood marginal moment p q x y z a b i
"""
WORDS = VOCABULARY.split()
SIGNS = ["(", ")", "[", "]", "{", "}", ",", ";", ":", "=", "*", "+", "-", "/", "..", ".", "\n", "#", '"', "==", "%"]
NUMBERS = ["0", "1", "2", "3", "-1", "0.5", ".5", "1/3", "1e3", "1e-3", "1e400", "1e-400", "1000000000000"]


def corpus() -> list[str]:
    """Known specs: the examples and the malformed ones."""
    paths = [*ROOT.glob("examples/*.circuit"), *ROOT.glob("tests/golden/malformed/*.circuit")]
    return [path.read_text() for path in sorted(paths) if path.stem not in SLOW]


def sentence(rng: random.Random) -> str:
    """A spec from a grammar: most of its forms are right, its names and sizes often are not."""
    size = lambda: rng.choice(["1", "2", "2", "3", "3", "4", "0", "20", "10000000000", "1/2", "i"])  # noqa: E731
    name = lambda: rng.choice(["a", "b", "c", "a", "b", "p"])  # noqa: E731
    variable = lambda: rng.choice(["x", "y", "z[0]", "z[1]", "r", "n", "k", "z", "q"])  # noqa: E731

    def numbers(depth: int = 1) -> str:
        if depth == 0:
            return rng.choice([*NUMBERS, "0.5", "0.25", "1"])
        return f"[{', '.join(numbers(depth - 1) for _ in range(rng.randrange(4)))}]"

    def linear(depth: int = 2) -> str:
        form = rng.randrange(8 if depth else 6)
        return [
            "dense",
            "diagonal",
            f"block_diagonal({size()})",
            f"monarch({size()}, {size()})",
            f"permute({numbers()})",
            f"sparse({numbers()}, {numbers()})",
            "kron",
            f"compose({linear(depth - 1)}, {linear(depth - 1)})" if depth else "",
        ][form]

    def sound(depth: int = 4) -> str:
        """A block of width 2, or 1 where it is an indicator, that should elaborate."""
        if depth == 0 or rng.random() < 0.15:
            return rng.choice(
                [
                    f"bernoulli({rng.choice(['x', 'z[0]', 'z[1]'])}, width=2)",
                    "categorical(y, [[0.2, 0.3, 0.5], [1/3, 1/3, 1/3]])",
                    "table(k, [[1, -1, 0, 0.5, 2], [0, 0, 0, 0, 0]])",
                    "gaussian(r, width=2)",
                    "poisson(n, [0.5, 3])",
                    "binomial(k, width=2)",
                    f"[{rng.choice(['x = 1', 'z[0] = 0', 'k = 4', 'y = 2', 'n = 3'])}]",
                ]
            )
        a, b = sound(depth - 1), sound(depth - 1)
        return rng.choice(
            [
                f"{a} * {b}",
                f"({a} * {b})",
                f"sum({a} * table(x, width=2), width=2, map={rng.choice(['dense', 'diagonal', 'permute([1, 0])'])})",
                f"sum(kron({a}, {b}) * bernoulli(x, width=1), width=2)",
                f"sum(concat({a}, {b}), width=2)",
                f"kron(bernoulli(x, width=2), {a})[0..2]",
                f"gather({a}, [0, 0])",
                f"product(concat({a}, {b}), [[0, 1], [0]])",
                f"sum({a} * table(y, width=2), [[1, -1], [0, 0.5]])",
            ]
        )

    def block(depth: int = 3) -> str:
        if depth == 0 or rng.random() < 0.2:
            return rng.choice(
                [
                    name(),
                    f"[{variable()} = {rng.choice(NUMBERS)}]",
                    f"bernoulli({variable()}, width={size()})",
                    f"categorical({variable()}, {numbers(2)})",
                    f"table({variable()}, {numbers(2)})",
                    f"gaussian({variable()}, {numbers()}, {numbers()})",
                    f"poisson({variable()}, width={size()})",
                    f"binomial({variable()}, width={size()})",
                    f"discretized_logistic({variable()}, width={size()})",
                ]
            )
        inner = block(depth - 1)
        return rng.choice(
            [
                f"{inner} * {block(depth - 1)}",
                f"({inner})",
                f"kron({inner}, {block(depth - 1)})",
                f"concat({inner}, {block(depth - 1)})",
                f"{name()}[{size()}..{size()}]",
                f"{name()}[{size()}]",
                f"gather({inner}, {numbers()})",
                f"product({inner}, {numbers(2)})",
                f"sum({inner}, {numbers(2)})",
                f"sum({inner}, width={size()})",
                f"sum({inner}, width={size()}, map={linear()})",
                f"sum({inner}, w, map={linear()})",
            ]
        )

    def lines(depth: int = 2) -> str:
        out: list[str] = []
        for _ in range(rng.randrange(1, 4)):
            if depth and rng.random() < 0.2:
                bounds = f"{rng.choice(['0', '1', 'i'])}..{size()}"
                bounds = f"reversed({bounds})" if rng.random() < 0.3 else bounds
                out.append(f"for i in {bounds} {{\n{lines(depth - 1)}\n}}")
            else:
                out.append(f"{name()} = {block()}")
        return "\n".join(out)

    circuit = lambda: rng.choice(  # noqa: E731
        [
            "p",
            "integrate(p)",
            f"integrate(p, [{variable()}])",
            f"restrict(p, {variable()} = {rng.choice(NUMBERS)})",
            f"evidence(p, {variable()} = {numbers()})",
            "add(p, p)",
            f"scale(p, {rng.choice(NUMBERS)})",
            f"rename(p, {variable()} = {variable()})",
            "smooth(p)",
            "multiply(p, p)",
            f"hmm(z, states={size()})",
            f"rat(z, depth={size()}, repetitions={size()}, states={size()})",
            f"quad_tree(z, shape=[{size()}, {size()}], states={size()})",
            f"mixture([p, p], {numbers()})",
        ]
    )
    return "\n".join(
        [
            'var x : bool\nvar y : cat("low", "high", "top")\nvar z[2] : bool',
            "var r : real\nvar n : count\nvar k : int(0, 4)",
            f"param w[{size()}, {size()}] = {numbers(2)}" if rng.random() < 0.3 else "param w[2, 2]",
            f"circuit p {{ return sum({sound()}, width=1) }}"
            if rng.random() < 0.5
            else f"circuit p {{\n{lines()}\nreturn {block()}{rng.choice(['', '[0]', '[0]'])}\n}}",
            f"circuit q = {circuit()}" if rng.random() < 0.7 else "",
            f"assert {rng.choice(['smooth', 'decomposable', 'structured', 'normalized', 'nonnegative'])}({circuit()})",
            f"assert near({rng.choice(['integrate(p)', circuit()])}, 1, 0.5) or not smooth(p)"
            if rng.random() < 0.5
            else "",
        ]
    )


def mixed(rng: random.Random, text: str) -> str:
    """A known spec with some of its tokens dropped, doubled, swapped or replaced."""
    tokens = TOKEN.findall(text)
    for _ in range(rng.randrange(1, 6)):
        if not tokens:
            break
        at = rng.randrange(len(tokens))
        match rng.randrange(4):
            case 0:
                del tokens[at]
            case 1:
                tokens.insert(at, tokens[at])
            case 2:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case _:
                tokens[at] = rng.choice([*WORDS, *SIGNS, *NUMBERS])
    return "".join(tokens)


def broken(rng: random.Random, text: str) -> str:
    """A known spec with some of its bytes flipped, cut or spliced, as far as it is still text."""
    data = bytearray(text.encode())
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randrange(1, 30)]
            case 2:
                data[at:at] = data[: rng.randrange(40)]
            case _:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 5)))
    return data.decode("utf-8", errors="surrogateescape").encode("utf-8", errors="replace").decode()


def inputs(count: int, seed: int) -> Iterator[str]:
    """So many inputs, the same for a seed."""
    rng = random.Random(seed)
    known = corpus()
    for number in range(count):
        match number % 3:
            case 0:
                yield sentence(rng)
            case 1:
                yield mixed(rng, rng.choice(known))
            case _:
                yield broken(rng, rng.choice(known))


def attempt(text: str) -> bool:
    """Takes an input as far as it goes; gives whether it is a spec.

    Raises: whatever is no diagnostic.
    """
    try:
        spec = driver.parse(text, folder=ROOT / "examples")
        judge(spec)
        for circuit in spec.circuits.values():
            if circuit.nodes < 10_000:
                with np.errstate(all="ignore"):
                    evaluate(circuit, LINEAR, Evidence.nothing(circuit.variables))
    except DanausError as failure:
        str(failure)
        return False
    return True


def syntax_only(text: str) -> None:
    """The parser alone, which must never raise."""
    driver.parse_source(Source("fuzz", text), Gatherer())


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def main() -> int:
    """Runs a campaign; exits with 1 after the first failures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    signal.signal(signal.SIGALRM, _late)
    started, good, failures, slowest = time.time(), 0, 0, 0.0
    for number, text in enumerate(inputs(options.count, options.seed)):
        signal.alarm(SECONDS)
        before = time.time()
        try:
            good += attempt(text)
        except Exception:
            failures += 1
            print(f"--- input {number} of seed {options.seed}\n{text}\n---", traceback.format_exc(), sep="\n")
            if failures >= 20:
                break
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.time() - before)
    spent = time.time() - started
    print(f"{options.count} inputs, {good} specs, {failures} failures, slowest {slowest:.2f} s, {spent:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
