"""Options, and how the signature of a verb names them: for its docstring and the command line."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ForwardRef, Literal, TypeVar, get_args, get_origin

_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Option:
    """Help and spelling of an option.

    Attributes
    ----------
    help : str
        What it does, for the command line and the docstring.
    more : str
        Further sentences for the docstring.
    flags : tuple of str
        Spellings on the command line; by default made from the parameter's name.
    metavar : str, optional
        What stands for the value in ``--help``.
    argument : bool
        Given by position, without a flag.
    kind : type, optional
        What the command line reads, where that is not the first type of the annotation.
    read : callable, optional
        Turns text into the value; raises ValueError.
    env : str, optional
        Environment variable that gives the value.
    """

    help: str
    more: str = ""
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    argument: bool = False
    kind: object = None
    read: Callable[[str], object] | None = None
    env: str | None = None


@dataclass(frozen=True)
class Parameter:
    """A parameter of a verb with its option.

    Attributes
    ----------
    name : str
    default : object
        ``inspect.Parameter.empty`` where the parameter is required.
    types : tuple
        The types of its union, without None.
    optional : bool
        Whether None is allowed.
    option : Option
    """

    name: str
    default: object
    types: tuple[object, ...]
    optional: bool
    option: Option

    @property
    def type_text(self) -> str:
        """The type as numpydoc writes it: "str or path, optional"."""
        last = sorted(self.types, key=_repeats)
        text = " or ".join(dict.fromkeys(map(_type_text, last)))
        return f"{text}, optional" if self.optional else text


def parameters(function: Callable[..., object]) -> list[Parameter]:
    """Return the parameters of a function that are annotated with an option, in order."""
    scope = vars(sys.modules[function.__module__])
    listed = []
    for name, parameter in inspect.signature(function, follow_wrapped=False).parameters.items():
        # Other annotations may name types that are not imported yet.
        module, _, alias = str(function.__annotations__.get(name)).rpartition(".")
        if module != "opt":
            continue
        kind, option = get_args(getattr(scope[module], alias))
        members = _members(kind)
        types = tuple(member for member in members if member not in (type(None), "None"))
        listed.append(Parameter(name, parameter.default, types, len(types) < len(members), option))
    return listed


def verb(function: _Function) -> _Function:
    """Complete the docstring of a verb by its section Parameters, and its signature by the types of its options."""
    listed = parameters(function)
    lines = ["Parameters", "----------"]
    for parameter in listed:
        text = " ".join(filter(None, (parameter.option.help, parameter.option.more)))
        lines += [f"{parameter.name} : {parameter.type_text}", f"    {text}"]
    sections = re.split(r"(?m)^(?=\w+\n-+$)", inspect.getdoc(function) or "", maxsplit=1)
    function.__doc__ = "\n\n".join([sections[0].rstrip(), "\n".join(lines), *sections[1:]])
    signature = inspect.signature(function)
    types = {one.name: one.type_text for one in listed}
    plain = [one.replace(annotation=types.get(name, one.annotation)) for name, one in signature.parameters.items()]
    function.__signature__ = signature.replace(parameters=plain)  # type: ignore[attr-defined]
    return function


def _repeats(kind: object) -> bool:
    return get_origin(kind) is Sequence


def _members(kind: object) -> tuple[object, ...]:
    """Return the types of a union; their names where it is written as text."""
    if isinstance(kind, ForwardRef):
        return tuple(kind.__forward_arg__.split(" | "))
    return (kind,) if get_origin(kind) in (None, Sequence, Mapping, Literal) else get_args(kind)


def _type_text(kind: object) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is None:
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        return "path" if name == "Path" else name
    if origin is Literal:
        return "{" + ", ".join(f'"{value}"' for value in inner) + "}"
    if origin is Mapping:
        return "mapping"
    return f"sequence of {' or '.join(dict.fromkeys(map(_type_text, _members(inner[0]))))}"
