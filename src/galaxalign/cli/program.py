"""The command line: each verb is the function of the same name; here text only becomes arguments."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import galaxalign
from galaxalign.cli import asking, data, surveys, training
from galaxalign.errors import InputError

__all__ = ["app", "main"]


class _Polite(TyperGroup):
    """Ends in one sentence where the user can mend it: 1 input at fault, 2 wrong usage, 130 interrupted."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except InputError as error:
            _say(f"Error: {' '.join(str(error).split())}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            resumes = ctx.invoked_subcommand in ("train", "transfer", "demo", "data", "benchmark", "index")
            _say(f"\nStopped{'; the same command continues where it was' if resumes else ''}.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Who reads has seen enough (`| head`). What is left in the buffer must go somewhere at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return result


def _say(text: str) -> None:
    print(text, file=sys.stderr)


app = typer.Typer(
    cls=_Polite,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Teach a vision-language model the morphology of galaxies in your survey, and ask it about each.",
)

app.add_typer(data.app, name="data")

# In the order in which --help shows them.
for verb in (
    training.train, training.transfer, asking.classify, asking.evaluate, asking.embed, training.fit_votes,
    asking.index, asking.search, asking.project, training.benchmark, surveys.symbols, surveys.simulate,
    surveys.split, surveys.audit, asking.serve, surveys.demo,
):  # fmt: skip
    app.command()(verb)


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
