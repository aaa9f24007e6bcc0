"""What a checkout, a wheel and an import of Danaus consist of."""

import ast
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import danaus

ROOT = Path(__file__).parent.parent
ROOMS = ("ir", "frontend", "compiler", "backends", "runtime")

SDIST = """
import sys
from setuptools import build_meta
print(build_meta.build_sdist(sys.argv[1]))
"""

REFUSE = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ImportError(f"{name} is not part of the base install")

REFUSED, MODULES = sys.argv[1].split(","), sys.argv[2].split(",")
sys.meta_path.insert(0, Refuse())
for module in MODULES:
    importlib.import_module(module)
"""


def python(*arguments: str, cwd: Path = ROOT) -> str:
    """The last line that a fresh interpreter prints; a failure shows all that it printed."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().rpartition("\n")[2]


def sources() -> set[str]:
    """The files that the package consists of, as paths in a wheel, found without following links."""
    package = ROOT / "src" / "danaus"
    files = {f"danaus/{file.name}" for file in package.glob("*.py")} | {"danaus/py.typed"}
    files |= {f"danaus/commands/{file.name}" for file in (package / "commands").glob("*.py")}
    files |= {f"danaus/{file.relative_to(package).as_posix()}" for file in (package / "checking").rglob("*.py")}
    for room in ROOMS:
        for suffix in ("*.py", "*.lark"):
            files |= {f"danaus/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / room).rglob(suffix)}
    return files


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_linked_into_the_package(room: str) -> None:
    link = ROOT / "src" / "danaus" / room
    assert link.is_symlink(), f"{link} is not a symbolic link: check out with core.symlinks=true"
    assert os.readlink(link) == f"../../{room}"
    assert (link / "__init__.py").is_file()


def test_the_root_and_the_rooms_say_what_they_are_and_do_nothing() -> None:
    for folder in (ROOT, *(ROOT / room for room in ROOMS)):
        (statement,) = ast.parse((folder / "__init__.py").read_text("utf-8")).body
        assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant), folder


def test_a_wheel_holds_the_sources_from_the_checkout_and_from_an_sdist(tmp_path: Path) -> None:
    checkout, output = tmp_path / "checkout", tmp_path / "output"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py"):
        shutil.copy(ROOT / name, checkout)
    for name in ("src", *ROOMS):
        shutil.copytree(
            ROOT / name, checkout / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    sdist = python("-c", SDIST, str(output), cwd=checkout)

    for source in (checkout, output / sdist):
        wheels = tmp_path / f"from-{source.name}"
        python("-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source))
        (wheel,) = wheels.iterdir()
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == sources()


def test_the_front_door_opens_on_the_base_install() -> None:
    """Neither `import danaus` nor the command line loads what only some uses need, nor what is slow to load."""
    modules = ["danaus"] + [f"danaus.{module.name}" for module in pkgutil.iter_modules(danaus.__path__)]
    python("-c", REFUSE, "torch,triton,llvmlite,sympy,pyarrow,networkx,scipy,sklearn,rich", ",".join(modules))


def test_checking_and_evaluating_need_no_backend() -> None:
    modules = [module.name for module in pkgutil.walk_packages(danaus.__path__, "danaus.")]
    kept = [name for name in modules if name.split(".")[1] not in ("backends", "runtime")]
    assert {"danaus.ir", "danaus.frontend", "danaus.compiler"} <= set(kept)
    python("-c", REFUSE, "torch,triton,llvmlite", ",".join(kept))
