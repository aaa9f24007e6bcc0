"""Bundles joined: what the runtime reads, and the engine that the backend makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .ir.diagnostic import error

if TYPE_CHECKING:
    from .runtime.asked import Composed
    from .runtime.bundle import Bundle, Several
    from .runtime.bundled import Bundled
    from .runtime.collection import Loaded
    from .runtime.composed import Read


def read(path: Path) -> Bundle | Several:
    """The bundle at a path, checked; nothing of it runs yet.

    Raises: DanausError `unreadable-file`, `damaged-bundle`, `bundle-version`, `missing-package`.
    """
    with _packages():
        from .runtime.unbundle import read_bundle
    return read_bundle(path)


def ready(bundle: Bundle, device: str = "cpu") -> Bundled:
    """A circuit of a bundle, ready to run on a device.

    Raises: DanausError `missing-package`, `unsupported-cpu`; for a GPU `unknown-device`, `no-device`, `no-driver`,
        `wrong-device`, `not-in-bundle` without code for it.
    """
    with _packages():
        from .runtime.bundled import Bundled, negative
    signed = negative(bundle)
    held = device == "cpu" and (bundle.form == "linear" or not bundle.program.layouts)
    if bundle.exact or (signed and not held):  # numbers that the engines do not hold
        return Bundled(bundle, None, lambda: "none")
    if device != "cpu":
        with _packages():
            from .backends.triton.load import ready_on
        found = ready_on(bundle, device)
        return Bundled(bundle, found.engine, lambda: "bundle", found.more)
    with _packages():
        from .backends.cpu.load import engine_of
    return Bundled(bundle, *engine_of(bundle, signed))


def load(path: Path, device: str = "cpu") -> Bundled | Loaded:
    """The bundle at a path, ready to run: its one circuit, or several by name.

    Raises: DanausError as `read` and `ready`.
    """
    found = read(path)
    from .runtime.bundle import Bundle

    if isinstance(found, Bundle):
        return ready(found, device)
    from .runtime.collection import Loaded

    composed = {name: composition(found, name) for name in found.composed}
    models = {name: ready(bundle, device) for name, bundle in found.circuits.items()}
    return Loaded(models, found.asked, composed)


def composed_of(bundle: Bundle | Several) -> Mapping[str, Composed]:
    """The composed queries of a bundle, by name; one of a single circuit has none."""
    from .runtime.bundle import Several

    return bundle.composed if isinstance(bundle, Several) else {}


def composition(bundle: Bundle | Several, name: str) -> Read:
    """What answers a composed query of a bundle."""
    from .runtime.bundle import Several
    from .runtime.composed import Read

    assert isinstance(bundle, Several)
    composed = bundle.composed[name]
    return Read(name, composed, {term: bundle.terms[term] for term in composed.terms})


@contextmanager
def _packages() -> Iterator[None]:
    """Names the package that is missing where imports fail."""
    try:
        yield
    except ImportError as failure:
        raise error(
            "missing-package", f"{failure.name} is not installed", hint='pip install "danaus[cpu]"'
        ) from failure
