"""Danaus beside its peers on the same function, in one run: ratios of times, and which targets they reach.

    DANAUS_PEER_CIRKIT=…/python DANAUS_PEER_JAX=…/python python benchmarks/against_peers.py [NAME …]
        [--threads 1] [--seconds 5] [--default]

Peers run in processes of their own, with interpreters that the environment names (eager torch in this one's); a peer
whose interpreter is not named is left out. Danaus has a process of its own too. Before anything is timed,
log-likelihoods of all rows must agree to 1e-3 of their size. All runs take turns; times are medians by the clock, in
ms; `cpu` is the ratio of processor times, which a busy machine changes less. malloc is tuned for all (`servers.py`);
with `--default` the last column has peer / Danaus in ms without that.

Passes: `forward`; `both` is forward + backward with derivatives of all weights, as a user calls it (`alone`: the
compiled code without the call around it); `softmax` is `both` over free logits, which count
as changed before each run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from servers import Arm, Server, in_turns
from workloads import WORKLOADS, Workload, lay_out

INTERPRETERS = {
    "cirkit": os.environ.get("DANAUS_PEER_CIRKIT"),
    "jax": os.environ.get("DANAUS_PEER_JAX"),
    "torch": os.environ.get("DANAUS_PEER_TORCH", sys.executable),
}
ALONE = {"forward": "engine", "both": "reverse"}
HEADS = (
    "workload",
    "B",
    "pass",
    "peer",
    "peer ms",
    "Danaus ms",
    "alone ms",
    "ratio",
    "alone",
    "cpu",
    "asked",
    "default",
)


def same(first: Server, second: Server) -> None:
    """Raises AssertionError where log-likelihoods differ."""
    ours, theirs = np.array(first.ask("answer")), np.array(second.ask("answer"))
    assert np.allclose(ours, theirs, rtol=1e-3, atol=0), f"{second.name}: {abs(ours - theirs).max()}"


def started(peer: str, spec: dict[str, Any], stack: ExitStack, tuned: bool = True) -> Server | None:
    """A peer's server, once it is ready; None without an interpreter."""
    interpreter = INTERPRETERS[peer]
    if interpreter is None:
        return None
    server = stack.enter_context(Server(interpreter, f"{peer}_server.py", spec, tuned))
    server.ready()
    return server


def verdict(found: float, wanted: float | None) -> str:
    """What was asked for, and whether it is met."""
    if wanted is None:
        return ""
    return f"≥ {wanted:g}: " + ("met" if found >= wanted else f"missed, {found / wanted:.0%}")


def measure(name: str, workload: Workload, threads: int, seconds: float, default: bool) -> list[str]:
    """Rows of the table; and a line on Danaus alone."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        spec = {**workload.spec, "threads": threads, "folder": folder, "softmax": False, "write": True}
        cache = str(Path(folder) / "cache")
        lay_out(spec, Path(folder))
        peers: dict[str, Server] = {}
        for peer in workload.peers:
            server = started(peer, spec, stack)
            if server is not None:
                peers[peer] = server
        if not peers:
            return []
        after = {**spec, "write": False}
        ours = stack.enter_context(Server(sys.executable, "danaus_server.py", after, DANAUS_CACHE=cache))
        facts = ours.ready()
        arms: dict[str, Arm] = {each: (ours, each) for each in ("forward", "engine", "both", "reverse", "mm")}
        for peer, server in peers.items():
            same(ours, server)
            arms |= {f"{peer} {each}": (server, each) for each in ("forward", "both")}
        if "cirkit" in peers:
            free = started("cirkit", {**after, "softmax": True}, stack)
            assert free is not None
            same(ours, free)
            # numbers that change with each run would make the other runs take them over anew
            own = stack.enter_context(Server(sys.executable, "danaus_server.py", after, DANAUS_CACHE=cache))
            own.ready()
            arms |= {"softmax": (own, "softmax"), "cirkit softmax": (free, "both")}
        if default:
            plain = stack.enter_context(Server(sys.executable, "danaus_server.py", after, False, DANAUS_CACHE=cache))
            plain.ready()
            arms |= {f"default {each}": (plain, each) for each in ("forward", "both")}
            for peer in peers:
                beside = started(peer, after, stack, False)
                assert beside is not None
                arms |= {f"default {peer} {each}": (beside, each) for each in ("forward", "both")}
        found = in_turns(arms, seconds, least=3)
    wall = {arm: 1e3 * each["wall"] for arm, each in found.items()}
    lines = []
    for peer in peers:
        for each in ("forward", "both", "softmax"):
            if f"{peer} {each}" not in wall:
                continue
            theirs, own, alone = wall[f"{peer} {each}"], wall[each], ALONE.get(each)
            plainly = (
                f"{wall[f'default {peer} {each}']:.3g} / {wall[f'default {each}']:.3g}"
                if f"default {each}" in wall
                else ""
            )
            cells = [
                name,
                str(spec["batch"]),
                each,
                peer,
                f"{theirs:.3g}",
                f"{own:.3g}",
                f"{wall[alone]:.3g}" if alone else "",
                f"{theirs / own:.1f}",
                f"{theirs / wall[alone]:.1f}" if alone else "",
                f"{found[f'{peer} {each}']['cpu'] / found[each]['cpu']:.1f}",
                verdict(theirs / own, workload.wanted.get((peer, each))),
                plainly,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    rate = 2 * 512**3 / wall["mm"]
    shares = {each: facts["work"] * n / wall[ALONE[each]] / rate for each, n in (("forward", 1), ("both", 3))}
    cells = [
        name,
        f"{facts['work'] / wall['engine'] / 1e6:.0f}",
        f"{shares['forward']:.0%}",
        f"{shares['both']:.0%}",
        ", ".join(f"{each} {verdict(shares[each], wanted)}" for each, wanted in workload.shares.items()),
        f"{facts['compile']:.2f}",
        f"{facts['cached']:.2f}",
        verdict(0.5 / facts["compile"], 1.0).partition(":")[2].partition(",")[0].strip(),
        f"{facts['parameters']:,}",
    ]
    return [*lines, f"@| {' | '.join(cells)} |"]


def main() -> None:
    """Prints two tables in Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--default", action="store_true")
    given = parser.parse_args()
    print(f"Threads: {given.threads}\n\n| {' | '.join(HEADS)} |\n|---|---:|---|---|{'---:|' * 8}", flush=True)
    own: list[str] = []
    for name, workload in WORKLOADS.items():
        if given.names and name not in given.names:
            continue
        for line in measure(name, workload, given.threads, given.seconds, given.default):
            if line.startswith("@"):
                own.append(line[1:])
            else:
                print(line, flush=True)
    heads = "| workload | GF/s | of torch.mm, forward | both | asked | compile s | cached s | ≤ 0.5 s | parameters |"
    print(f"\n{heads}\n|---|{'---:|' * 8}")
    print("\n".join(own))


if __name__ == "__main__":
    main()
