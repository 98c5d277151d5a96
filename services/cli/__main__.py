"""The `imcnas` command: one entry, one place where errors become text and exit codes.

Exit codes: 0 done; 1 started, but an item failed; 2 could not start as asked; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services import __version__
from services.cli import (
    best,
    chips,
    compare,
    data,
    evaluate,
    protos,
    recipes,
    report,
    search,
    serve,
    space,
    studies,
    sweep,
    train,
)
from services.cli.exits import PIPE
from services.common.errors import ImcnasError


class _OutputError(Exception):
    """An OSError on its way past Typer, which ends a broken pipe with 1."""


@contextmanager
def _past_typer() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OutputError from error


class _Root(TyperGroup):
    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _past_typer():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _past_typer():
            return super().invoke(ctx)


app = typer.Typer(
    name="imcnas",
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="""Find the convolutional network that is most accurate for what it costs on an analog
in-memory-computing chip.

Start with:

  imcnas search                        search on this machine: handwritten digits, a minute or two

  imcnas evaluate VGG64-RES128         what one network costs on the chip

  imcnas COMMAND --help                each command, with examples""",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"imcnas {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("search")(search.command)
app.command("train")(train.command)
app.command("report")(report.command)
app.command("best")(best.command)
app.add_typer(studies.app, name="studies")
app.command("evaluate")(evaluate.command)
app.command("compare")(compare.command)
app.command("sweep")(sweep.command)
app.command("space")(space.command)
app.add_typer(chips.app, name="chips")
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipes")
app.command("serve")(serve.command)
app.command("protos")(protos.command)


def main() -> None:
    """Run the command; every error of ours is one message, never a traceback."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # we say ourselves what went wrong
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 gets ? for a bar
    try:
        _run()
    except OSError as error:
        # Python flushes once more as it ends; what is left has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader of our output, such as `head`, has gone
            sys.exit(PIPE)
        print(f"imcnas: input or output failed: {error}", file=sys.stderr)
        sys.exit(2)


def _run() -> None:
    try:
        app()
    except _OutputError as error:
        raise error.__cause__ or error from None
    except ImcnasError as error:
        print(f"imcnas: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if (error.name or "services").partition(".")[0] == "services":
            raise
        print(f"imcnas: this needs {error.name}; run: pip install 'imcnas[all]'", file=sys.stderr)
        sys.exit(2)
    finally:
        sys.stdout.flush()  # while an error can still be told


if __name__ == "__main__":
    main()
