"""Handwritten digits, end to end: scikit-learn's 1,797 images become circuits, proofs, and exact answers.

Ten Chow–Liu trees, one per digit, are mixed into one distribution of the label and 64 binary pixels. `danaus check`
proves its properties; `danaus run` then tells the digit from an image, from half of one, and paints the other half.

    python examples/digits.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

TRAIN = 1400
SIDE = 8


def write_rows(path: Path, label: NDArray[np.int64] | None, pixels: NDArray[np.int64], seen: NDArray[np.bool_]) -> None:
    """A data file with a header; what is not seen is an empty field."""
    names = [f"pixel[{i}]" for i in range(SIDE * SIDE)]
    with path.open("w") as file:
        print(",".join(["label", *names] if label is not None else names), file=file)
        for values in pixels:
            fields = [str(value) if there else "" for value, there in zip(values, seen, strict=True)]
            print(",".join(["", *fields] if label is not None else fields), file=file)


def write_spec(path: Path, counts: NDArray[np.int64]) -> None:
    """The circuit: a tree per digit, joined by the label."""
    trees = "\n".join(f'circuit d{k} = chow_liu("digit{k}.csv", smoothing=1)' for k in range(10))
    parts = ", ".join(f"[label = {k}] * d{k}" for k in range(10))
    weights = ", ".join(f"{count}/{counts.sum()}" for count in counts)
    path.write_text(
        f"""# Binary images of digits: which digit it is, and what each pixel is given that.
var label : cat(10)
var pixel[{SIDE * SIDE}] : bool

{trees}

circuit digits {{
  return sum(concat({parts}), [[{weights}]])
}}

assert smooth(digits) and decomposable(digits)
assert normalized(digits) and nonnegative(digits)

query likelihood = marginal(digits)
query digit = conditional(digits)
query completed = map(digits)
query painted = sample(digits)
"""
    )


def danaus(*arguments: str | Path) -> None:
    """Shows a command, and runs it."""
    print("$ danaus", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "danaus", *map(str, arguments)], check=True)
    print(flush=True)


def column(path: Path, names: list[str]) -> NDArray[np.float64]:
    """Some columns of an answer."""
    header = path.read_text().split("\n", 1)[0].split(",")
    rows = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
    found: NDArray[np.float64] = rows[:, [header.index(name) for name in names]]
    return found


def picture(pixels: NDArray[np.float64]) -> list[str]:
    """An image as lines of text."""
    return ["".join("██" if pixel else " ·" for pixel in line) for line in pixels.reshape(SIDE, SIDE)]


def main(folder: Path) -> None:
    """Learns, checks, and asks."""
    data = load_digits()
    pixels = (data.images.reshape(-1, SIDE * SIDE) >= 8).astype(np.int64)
    labels = data.target.astype(np.int64)
    everything = np.ones(SIDE * SIDE, dtype=bool)
    upper = np.arange(SIDE * SIDE) < SIDE * SIDE // 2
    for k in range(10):
        write_rows(folder / f"digit{k}.csv", None, pixels[:TRAIN][labels[:TRAIN] == k], everything)
    write_rows(folder / "images.csv", labels, pixels[TRAIN:], everything)
    write_rows(folder / "halves.csv", labels, pixels[TRAIN:], upper)
    spec = folder / "digits.circuit"
    write_spec(spec, np.bincount(labels[:TRAIN]))

    danaus("check", spec)
    for name, text in (("images", "whole images"), ("halves", "the upper half only")):
        answer = folder / f"{name}_digit.csv"
        danaus("run", spec, "digit", "--data", folder / f"{name}.csv", "-o", answer)
        guess = column(answer, [f"label={k}" for k in range(10)]).argmax(axis=1)
        print(f"digit told from {text}: {np.mean(guess == labels[TRAIN:]):.1%} of {len(guess)} test images right\n")
    danaus("run", spec, "likelihood", "--data", folder / "images.csv", "-o", folder / "likelihood.csv")
    logs = column(folder / "likelihood.csv", ["log_probability"])
    print(f"mean log-likelihood of the test images: {logs.mean():.3f} nats\n")
    danaus("run", spec, "painted", "--data", folder / "halves.csv", "--seed", "1", "-o", folder / "painted.csv")
    painted = column(folder / "painted.csv", [f"pixel[{i}]" for i in range(SIDE * SIDE)])
    print("test images, and their lower halves painted anew from the upper ones:")
    for images in (pixels[TRAIN : TRAIN + 5], painted[:5]):
        print()
        for line in zip(*(picture(image) for image in images), strict=True):
            print("    ".join(line))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        main(target)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
