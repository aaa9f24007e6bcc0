"""Danaus, a compiler for probabilistic circuits: build them, check them, and ask them questions.

    import danaus as dn

    spec = dn.load("rain.circuit")
    dn.check(spec.circuit, "smooth", "decomposable")
    dn.evaluate(spec.circuit, [1, 0, 2], semiring="log")

Names are imported when they are first used, so that the command line starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import *
    from .compiler.marginaliser import import_marginaliser as import_marginaliser
    from .compiler.operators import add as add
    from .compiler.operators import condition as condition
    from .compiler.operators import differentiate as differentiate
    from .compiler.operators import divide as divide
    from .compiler.operators import evidence as evidence
    from .compiler.operators import initialise as initialise
    from .compiler.operators import integrate as integrate
    from .compiler.operators import log as log
    from .compiler.operators import monarch_layers as monarch_layers
    from .compiler.operators import multiply as multiply
    from .compiler.operators import normalize as normalize
    from .compiler.operators import power as power
    from .compiler.operators import product_size as product_size
    from .compiler.operators import project as project
    from .compiler.operators import provenance as provenance
    from .compiler.operators import reciprocal as reciprocal
    from .compiler.operators import rename as rename
    from .compiler.operators import restrict as restrict
    from .compiler.operators import scale as scale
    from .compiler.operators import smooth as smooth
    from .compiler.operators import untie as untie
    from .frontend.automata import Automaton as Automaton
    from .frontend.dsl import *
    from .frontend.spec import Spec as Spec
    from .information import *
    from .ir.diagnostic import DanausError as DanausError
    from .ir.diagnostic import DanausWarning as DanausWarning
    from .ir.diagnostic import Diagnostic as Diagnostic
    from .runtime.steering import Prefixes as Prefixes
    from .runtime.steering import Steering as Steering

_HOMES = {
    "add": "compiler.operators",
    "condition": "compiler.operators",
    "differentiate": "compiler.operators",
    "divide": "compiler.operators",
    "evidence": "compiler.operators",
    "integrate": "compiler.operators",
    "log": "compiler.operators",
    "multiply": "compiler.operators",
    "normalize": "compiler.operators",
    "rename": "compiler.operators",
    "restrict": "compiler.operators",
    "scale": "compiler.operators",
    "smooth": "compiler.operators",
    "import_marginaliser": "compiler.marginaliser",
    "initialise": "compiler.operators",
    "monarch_layers": "compiler.operators",
    "power": "compiler.operators",
    "product_size": "compiler.operators",
    "project": "compiler.operators",
    "provenance": "compiler.operators",
    "reciprocal": "compiler.operators",
    "untie": "compiler.operators",
    "Automaton": "frontend.automata",
    "Spec": "frontend.spec",
    "DanausError": "ir.diagnostic",
    "DanausWarning": "ir.diagnostic",
    "Diagnostic": "ir.diagnostic",
    "Prefixes": "runtime.steering",
    "Steering": "runtime.steering",
}

_FACES = (".api", ".information", ".frontend.dsl")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if not name.startswith("_"):
        for home in _FACES:
            module = import_module(home, __name__)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    public = [import_module(home, __name__).__all__ for home in _FACES]
    return sorted({*_HOMES, *(name for names in public for name in names)})
