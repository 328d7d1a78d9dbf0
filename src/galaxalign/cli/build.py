"""A command of the command line made from a verb: its flags are the options of the verb's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import typer

import galaxalign
from galaxalign.signature import Parameter, parameters

_NAMES = {"str": str, "Path": Path}


def command(name: str, show: Callable[..., None]) -> Callable[..., None]:
    """Return a verb as typer takes it."""
    verb = getattr(galaxalign, name)
    own = parameters(verb)
    further = [parameter for parameter in parameters(show) if parameter.name not in {one.name for one in own}]
    wanted = list(inspect.signature(show).parameters)[1:]

    def run(**given: Any) -> None:
        values = {one.name: _value(one, given[one.name]) for one in (*own, *further)}
        arguments = {one.name: values[one.name] for one in own}

        def call(**changed: Any) -> Any:
            return getattr(galaxalign, name)(**(arguments | changed))

        show(call, **{name: values[name] for name in wanted})

    listed = sorted((*own, *further), key=lambda one: not one.option.argument)
    run.__signature__ = inspect.Signature([_flag(one) for one in listed])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: _kind(one) for one in listed}
    run.__doc__ = (verb.__doc__ or "").partition("\n")[0]
    return run


def _value(parameter: Parameter, value: Any) -> Any:
    """Return what the verb is given: repeated options as a tuple, an option that was not given as its default."""
    if value is None and parameter.default is not inspect.Parameter.empty:
        return parameter.default
    return tuple(value) if isinstance(value, list) else value


def _kind(parameter: Parameter) -> Any:
    """Return the type that the command line reads: the first of the union, as the option says otherwise."""
    kind: Any = parameter.option.kind or parameter.types[0]
    if parameter.option.read is not None:
        kind = dict
    elif get_origin(kind) is Sequence:
        kind = list[(get_args(get_args(kind)[0]) or get_args(kind))[0]]  # type: ignore[misc]
    elif isinstance(kind, str):
        kind = _NAMES[kind]
    required = parameter.default is inspect.Parameter.empty
    return kind if required or parameter.default not in (None, ()) else kind | None


def _flag(parameter: Parameter) -> inspect.Parameter:
    option, name = parameter.option, parameter.name.strip("_").replace("_", "-")
    settings: dict[str, Any] = {"help": option.help, "metavar": option.metavar, "envvar": option.env}
    if option.read is not None:
        settings["parser"] = _reader(option.read)
    required = parameter.default is inspect.Parameter.empty
    default = ... if required else None if parameter.default == () else parameter.default
    if option.argument:
        info: Any = typer.Argument(default, **settings)
    else:
        spellings = option.flags or ((f"--{name}/--no-{name}" if parameter.default is True else f"--{name}"),)
        info = typer.Option(default, *spellings, **settings)
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=_kind(parameter))


def _reader(read: Callable[[str], object]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
