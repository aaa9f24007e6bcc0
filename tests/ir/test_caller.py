"""`caller` finds the user's line, however Danaus is called."""

import doctest
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import ParamSpec, TypeVar, cast

import pytest

from danaus.ir.span import Span, caller

P = ParamSpec("P")
T = TypeVar("T")


def within(module: str, function: Callable[P, T]) -> Callable[P, T]:
    """The function, as if it stood in a module of that name."""
    assert isinstance(function, FunctionType)
    moved = FunctionType(function.__code__, {**globals(), "__name__": module}, closure=function.__closure__)
    return cast(Callable[P, T], moved)


def test_the_line_that_calls() -> None:
    span = caller()
    assert (span.file, span.text) == (__file__, "    span = caller()")


@pytest.mark.parametrize("module", ["danaus", "danaus.api", "danaus.frontend.dsl.forms"])
def test_frames_of_danaus_are_passed_over(module: str) -> None:
    ours = within(module, lambda: caller())
    span = ours()
    assert span.text == "    span = ours()"


@pytest.mark.parametrize("module", ["__main__", "danaus_models", "frontend", "runtime.danaus", ""])
def test_frames_of_others_are_not(module: str) -> None:
    theirs = within(module, lambda: caller())
    assert "theirs = within(module, lambda: caller())" in theirs().text


def test_what_danaus_calls_through_is_passed_over() -> None:
    def made() -> Iterator[Span]:
        yield caller()

    managed = contextmanager(within("danaus.ir.x", made))

    def through() -> Span:
        with managed() as span:
            return span

    ours = within("danaus.ir.y", through)
    span = ours()
    assert span.text == "    span = ours()"


def test_a_callback_of_the_user_is_the_innermost_line() -> None:
    ours = within("danaus.x", lambda run: run())
    span = ours(lambda: within("danaus.y", lambda: caller())())
    assert span.text.startswith("    span = ours(")


def test_an_example_in_a_docstring_of_danaus_is_the_user() -> None:
    text = ">>> from danaus.ir.span import caller\n>>> str(caller())\n'<doctest example[1]>:1'\n"
    example = doctest.DocTestParser().get_doctest(text, {"__name__": "danaus.ir.span"}, "example", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("way", ["file", "-c", "stdin"])
def test_a_program_a_prompt_and_a_file(way: str, tmp_path: Path) -> None:
    program = "from danaus.ir.parameter import constant\nfrom danaus.ir.span import caller\n\nprint(caller())\n"
    file = tmp_path / "model.py"
    file.write_text(program, "utf-8")
    arguments = {"file": [str(file)], "-c": ["-c", program], "stdin": ["-"]}[way]
    done = subprocess.run([sys.executable, *arguments], input=program, text=True, capture_output=True, check=True)
    shown = {"file": str(file), "-c": "<string>", "stdin": "<stdin>"}[way]
    assert done.stdout.strip() == f"{shown}:4"
