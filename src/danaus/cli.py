"""The command line, `danaus`: what a user types becomes a call, and every mistake a diagnostic with an exit status.

0: done, and everything asserted holds; 1: an assertion or a required property does not hold; 2: the input cannot be
used. Each command's work is in `commands/`, imported when it is called, so that `danaus --help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .ir.diagnostic import DanausError

_FILE = click.Path(path_type=Path)
_FORMATS = ("text", "json", "sarif", "junit", "github")


def _spec_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of all commands that read a spec."""
    for option in reversed(
        [
            click.option("--params", type=_FILE, metavar="FILE.safetensors", help="Values, as a last `load`."),
            click.option("--init-seed", type=int, default=0, show_default=True, help="Seed of params without a value."),
            click.option("--variables", type=int, metavar="N", help="Other formats: the number of variables."),
            click.option("--vtree", type=_FILE, metavar="FILE", help="Other formats: the vtree."),
            click.option("--evidence", type=_FILE, metavar="FILE", help="Other formats: the evidence."),
            click.option("--memory", type=float, metavar="GB", help="Networks: what elimination may take; 8 GB."),
        ]
    ):
        function = option(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="danaus", prog_name="danaus")
def danaus() -> None:
    """A compiler for probabilistic circuits: check their properties, and get exact answers."""


@danaus.command()
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE…")
@click.option("--require", default="", metavar="PROPERTY,…", help="Demand these properties of every circuit.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option("--verify", is_flag=True, help="Test the law of each operator that the files use.")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write the report to a file.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes at most; as many as cores unless set.")
@click.option("--baseline", type=_FILE, metavar="FILE", help="Pass over the failures that are recorded in it.")
@click.option("--write-baseline", type=_FILE, metavar="FILE", help="Record the failures that there are now.")
@click.option("--cache-dir", type=_FILE, metavar="FOLDER", help="Where answers are kept; ~/.cache/danaus unless set.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep answers.")
@_spec_options
def check(files: tuple[Path, ...], **options: Any) -> int:
    """Check every assert of the FILES, and of every .circuit in folders, and report every circuit's properties."""
    from .commands.check import run

    return run(files, **options)


@danaus.command("run")
@click.argument("file", type=_FILE)
@click.argument("query")
@click.option("--data", type=_FILE, metavar="FILE", help="Rows of data: csv, npy, npz or parquet.")
@click.option(
    "-o", "--output", type=_FILE, metavar="FILE", help="Write the answer to a file; csv on the output without."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of samples.")
@click.option("--count", type=click.IntRange(min=0), help="Number of samples; 1 if not given.")
@click.option("--given", default="", metavar='"x=1, y=2"', help="Fix variables in every circuit of the query.")
@click.option("--smooth", is_flag=True, help="Make every circuit of the query smooth first.")
@click.option("--device", default="cpu", show_default=True, help="Where it runs.")
@_spec_options
def run_query(file: Path, query: str, **options: Any) -> int:
    """Answer a QUERY of a FILE: the name of a query, or p.likelihood, p.marginal, … for a circuit p.

    Of a bundle as of the file that it was compiled from.
    """
    if file.is_dir() or file.suffix == ".zip":
        from .commands.bundle import run as run_bundle

        return run_bundle(file, query, **options)
    from .commands.run import run

    return run(file, query, **options)


@danaus.command("compile")
@click.argument("file", type=_FILE)
@click.option("--emit", type=click.Choice(["syntax", "circuit", "program", "kernels"]), help="Print a stage and stop.")
@click.option("-o", "--output", type=_FILE, metavar="BUNDLE", help="Write a bundle.")
@click.option("--target", multiple=True, metavar="TARGET", help="cpu, cpu:x86-64-v3, cuda:sm_90, …; repeatable.")
@click.option("--queries", metavar="KIND,…", help="What GPUs answer beside likelihoods, or all; the file's unless set.")
@click.option("--precision", metavar="NAME", help="How GPUs multiply: ieee, tf32x3, bf16x3 (unless set), tf32, bf16.")
@click.option("--tune", is_flag=True, help="Try tiles of the GPUs' kernels: measured on a GPU, else estimated.")
@click.option("--report", is_flag=True, help="Print what kernels take of the GPUs, and the time predicted.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="With --report: rows of a batch; 1024.")
@click.option("--circuit", metavar="NAME", help="Only this circuit.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@_spec_options
def compile_file(file: Path, **options: Any) -> int:
    """Compile the circuits and queries of a FILE to a bundle, or print a stage of the line."""
    from .commands.compile import run

    return run(file, **options)


@danaus.command()
@click.argument("file", type=_FILE)
@click.option("--circuit", metavar="NAME", help="Only this circuit.")
@click.option("-o", "--output", type=_FILE, metavar="FILE.svg|.dot", help="Write a picture.")
@click.option("--cost", is_flag=True, help="Print what the circuits cost, as formulas in batch and widths.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="With --cost: rows of a batch; 128.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="With --cost; text unless set.")
@click.option("--target", multiple=True, metavar="GPU", help="With --cost: its launches and least time, repeatable.")
@_spec_options
def show(file: Path, **options: Any) -> int:
    """Summarise and draw the circuits of a FILE."""
    from .commands.show import run

    return run(file, **options)


@danaus.command()
@click.argument("source", type=_FILE, metavar="IN")
@click.argument("target", type=_FILE, metavar="OUT")
@_spec_options
def convert(source: Path, target: Path, **options: Any) -> int:
    """Convert between formats, by suffix."""
    from .commands.convert import run

    return run(source, target, **options)


@danaus.command()
@click.argument("file", type=_FILE)
@click.option("--circuit", metavar="NAME", help="The circuit, where the file holds several.")
@click.option("--data", type=_FILE, metavar="TRAIN", help="Rows to learn from: csv, npy, npz or parquet.")
@click.option("--valid", type=_FILE, metavar="VALID", help="Held-out rows, by which the best parameters are chosen.")
@click.option("--test", type=_FILE, metavar="TEST", help="Rows on which what was learnt is judged in the end.")
@click.option("-o", "--output", type=_FILE, metavar="PARAMS.safetensors", help="Where what is learnt goes.")
@click.option("--method", type=click.Choice(["em", "minibatch-em", "adam"]), default="em", show_default=True)
@click.option("--epochs", type=int, default=100, show_default=True, help="Passes over the rows, at most.")
@click.option("--batch", type=int, default=256, show_default=True, help="Rows of a batch.")
@click.option("--step", type=float, help="α of minibatch-em, 0.4, or the rate of adam, 0.05.")
@click.option(
    "--momentum", type=float, default=0.0, show_default=True, help="Of minibatch-em: what earlier batches weigh."
)
@click.option("--tolerance", type=float, default=1e-6, show_default=True, help="The least gain that counts, in nats.")
@click.option("--patience", type=int, default=5, show_default=True, help="Epochs without a gain before it ends.")
@click.option("--pseudocount", type=float, default=0.0, show_default=True, help="Of EM: added to every count.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of rows.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="float64 unless set; on a GPU float32.")
@click.option("--device", default="cpu", show_default=True, help="Where it learns.")
@click.option("--checkpoint", type=_FILE, metavar="FILE", help="PARAMS.checkpoint.safetensors unless set.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--quiet", is_flag=True, help="Say nothing but mistakes.")
@_spec_options
def fit(file: Path, **options: Any) -> int:
    """Learn the parameters of a circuit of a FILE from data."""
    from .commands.fit import run

    return run(file, **options)


@danaus.command()
@click.argument("file", type=_FILE)
@click.option("--circuit", metavar="NAME", help="Only this circuit.")
@click.option("--data", type=_FILE, metavar="FILE", help="Rows of data; at random without.")
@click.option("--rows", type=click.IntRange(min=1), metavar="N", help="How many rows; those of the data, or 128.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of rows at random.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads to run on.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_spec_options
def bench(file: Path, **options: Any) -> int:
    """Time likelihoods and marginals of a FILE's circuits beside what this machine can do at most."""
    from .commands.bench import run

    return run(file, **options)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line, and exits with its status."""
    sys.set_int_max_str_digits(0)  # counts have as many digits as they have
    try:
        status = danaus.main(args=arguments, standalone_mode=False)
    except DanausError as failure:
        click.echo(str(failure), err=True)
        status = 2
    except click.exceptions.Abort:
        status = 130
    except click.ClickException as failure:
        failure.show()
        status = 2
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except OSError as failure:  # of the output: files that are read or written have diagnostics of their own
        click.echo(f"error[unwritable-file]: the output cannot be written: {failure.strerror}", err=True)
        status = 2
    except MemoryError:
        click.echo("error[too-large]: there is not enough memory for this", err=True)
        status = 2
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
