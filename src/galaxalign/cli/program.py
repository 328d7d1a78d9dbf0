"""The command line: each command is the verb of the same name."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import galaxalign
from galaxalign.cli import data_sets, show
from galaxalign.cli.build import command
from galaxalign.errors import InputError

# In the order of --help.
_VERBS = (
    "train", "transfer", "classify", "evaluate", "embed", "fit_votes", "index", "search", "project", "benchmark",
    "symbols", "simulate", "split", "audit", "serve", "demo",
)  # fmt: skip
_DATA_VERBS = ("fetch", "convert", "prepare")
_RESUMED = ("train", "transfer", "demo", "data", "benchmark", "index")


class _OneSentence(TyperGroup):
    """Ends with one sentence and a status: 1 invalid input, 2 wrong usage, 130 interrupted."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except InputError as error:
            print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            resume = "; rerun the same command to resume" if ctx.invoked_subcommand in _RESUMED else ""
            print(f"\nInterrupted{resume}.", file=sys.stderr)
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader closed the pipe (`| head`). What is left in the buffer must go somewhere at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return result


app = typer.Typer(
    cls=_OneSentence,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Teach a vision-language model the morphology of galaxies in your survey, and ask it about each.",
)
_data = typer.Typer(no_args_is_help=True, help="Known data sets, and stores of prepared pictures.")
_data.command("list")(data_sets.list_)
app.add_typer(_data, name="data")
for group, names in ((app, _VERBS), (_data, _DATA_VERBS)):
    for name in names:
        group.command(name.replace("_", "-"))(command(name, getattr(show, name)))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"galaxalign {galaxalign.__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app(prog_name="galaxalign")
