"""Writes the reference pages from the code: API, command line, recipes, taxonomies, data sets."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import galaxalign
from galaxalign import morphology, training, verbs
from galaxalign.cli import app
from galaxalign.signature import parameters

_SEARCH = ("open_gallery", "Gallery", "Embeddings", "Query", "Part", "Cone", "Results", "Result")
# What a script needs beyond `galaxalign` itself.
_FURTHER = {
    "What galaxies look like": (
        "galaxalign.morphology",
        (
            "DecisionTree", "Votes", "read_votes", "vote_labels", "vote_caption", "vote_morphology", "class_caption",
            "class_prompts", "describe", "render", "render_svg", "load_drawing", "symbol_bank", "draw_galaxy",
        ),
    ),
    "Catalogues": ("galaxalign.data.catalogs", ("Catalog",)),
    "Pictures": ("galaxalign.data.images", ("Preprocessing", "Stretch", "Augmentation")),
    "Splits": ("galaxalign.data.splits", ("Split", "make_split", "make_folds")),
    "Models": ("galaxalign.models", ("Model", "Task", "Encoder", "VoteHead", "ClassifierChoice")),
    "Training": ("galaxalign.training", ("Recipe",)),
    "Measures": (
        "galaxalign.evaluation",
        ("evaluate_predictions", "classification_metrics", "retrieval_metrics", "contact_sheet", "retrieval_panel"),
    ),
    "Answers of the verbs": ("galaxalign.verbs", ("Audit",)),
    "Errors": ("galaxalign.errors", ("InputError",)),
}  # fmt: skip


def write(folder: Path) -> None:
    """Write all pages into a folder, and delete pages of an earlier build that are no longer made."""
    pages: dict[str, str] = {}
    for make in (_api, _commands, _recipes, _taxonomies, _data_sets):
        pages |= make()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in pages:
            path.unlink()


def _summary(thing: object) -> str:
    """Return the first sentence of a docstring, or of the module where a class has none."""
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _contents(names: Iterable[str]) -> str:
    return "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```\n"


# API


def _api() -> dict[str, str]:
    given = set(galaxalign.__all__) - {"__version__"}
    groups: dict[str, list[tuple[str, str]]] = {}
    actions = [name for name in verbs.__all__ if name in given]
    listed = {"Verbs": actions, "Search": _SEARCH, "Open and read": sorted(given - {*actions, *_SEARCH})}
    for title, names in listed.items():
        groups[title] = [("galaxalign", name) for name in names]
    for title, (module, names) in _FURTHER.items():
        groups[title] = [(module, name) for name in names]
    pages, text = {}, ["# API\n", "Each verb of the [command line](../commands/index.md) is a function here.\n"]
    for title, entries in groups.items():
        rows = []
        for module, name in entries:
            thing = getattr(import_module(module), name)
            rows.append((f"[`{name}`]({module}.{name}.md)", _summary(thing)))
            pages[f"api/{module}.{name}.md"] = _object_page(module, name, thing)
        heading = f"## {title}\n" if entries[0][0] == "galaxalign" else f"## {title} (`{entries[0][0]}`)\n"
        text += [heading, _table(("", ""), rows)]
    text.append(_contents(f"{module}.{name}" for entries in groups.values() for module, name in entries))
    pages["api/index.md"] = "\n".join(text)
    return pages


def _object_page(module: str, name: str, thing: object) -> str:
    kind, options = "autofunction", ""
    if inspect.isclass(thing):
        kind, options = "autoclass", "   :members:\n   :exclude-members: model_config, model_post_init\n"
    link = _command_link(name) if name in verbs.__all__ else ""
    command = f"On the command line: {link}.\n" if link else ""
    return f"""# {name}

{command}
```{{eval-rst}}
.. currentmodule:: {module}

.. {kind}:: {name}
{options}```
"""


# Command line


def _listed_commands() -> dict[str, Any]:
    """Return the callback of each command by what is typed."""
    found = {str(entry.name): entry.callback for entry in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for entry in group.typer_instance.registered_commands:
            found[f"{group.name} {entry.name}"] = entry.callback
    return found


def _file(command: str) -> str:
    return f"galaxalign-{command.replace(' ', '-')}"


def _command_link(verb: str) -> str:
    name = verb.replace("_", "-")
    command = f"data {name}" if f"data {name}" in _listed_commands() else name
    if verb == "data_sets":
        command = "data list"
    return f"[`galaxalign {command}`](../commands/{_file(command)}.md)" if command in _listed_commands() else ""


def _commands() -> dict[str, str]:
    commands = _listed_commands()
    pages = {f"commands/{_file(name)}.md": _command_page(name, run) for name, run in commands.items()}
    rows = [(f"[`{name}`]({_file(name)}.md)", _summary(run)) for name, run in commands.items()]
    pages["commands/index.md"] = f"""# Command line

`galaxalign COMMAND --help` shows the same options. `galaxalign --install-completion` completes commands and options in
your shell. The exit status is 0; 1 for invalid input, with one sentence that says what to do; 2 for wrong usage; 130
for Ctrl-C.

{_table(("command", ""), rows)}
{_contents(_file(name) for name in commands)}"""
    return pages


def _command_page(name: str, run: Any) -> str:
    verb = {"data list": "data_sets"}.get(name, name.split()[-1].replace("-", "_"))
    function = getattr(galaxalign, verb)
    more = {one.name: one.option.more for one in parameters(function)}
    rows, arguments, required = [], [], []
    for parameter in inspect.signature(run, eval_str=True).parameters.values():
        # A hand-written command has typer's description in the annotation.
        info, *_ = getattr(parameter.annotation, "__metadata__", (parameter.default,))
        positional = type(info).__name__ == "ArgumentInfo"
        spelling = [info.metavar or parameter.name.upper()] if positional else list(info.param_decls)
        needed = info.default is ...
        if positional:
            arguments.append(spelling[0])
        elif needed:
            required.append(f"{spelling[0]} {_value_name(parameter, info)}")
        default = "required" if needed else "" if info.default in (None, False, ()) else f"`{_shown(info.default)}`"
        value = "" if positional or _value_name(parameter, info) == "" else f" {_value_name(parameter, info)}"
        flag = ", ".join(f"`{one}{value}`" for one in spelling)
        note = f" Environment variable `{info.envvar}`." if info.envvar else ""
        repeat = " Repeatable." if str(parameter.annotation).startswith("list[") and not positional else ""
        text = " ".join(filter(None, (info.help or "", more.get(parameter.name, "")))) + repeat + note
        rows.append((flag, default, _plain(text)))
    usage = " ".join(["galaxalign", name, *arguments, *required, "[OPTIONS]"])
    return f"""# galaxalign {name}

{_summary(run)}

```text
{usage}
```

{_table(("option", "default", ""), rows)}
In Python: {{py:obj}}`galaxalign.{verb}`.
"""


def _value_name(parameter: inspect.Parameter, info: Any) -> str:
    text = str(parameter.annotation)
    if parameter.annotation is bool or text.startswith("bool"):
        return ""
    if info.metavar:
        return str(info.metavar)
    if "Literal" in text:
        return "|".join(re.findall(r"'(\w+)'", text))
    if "tuple" in text:
        return "A B C"
    for kind, shown in (("Path", "PATH"), ("int", "N"), ("float", "X")):
        if kind in getattr(parameter.annotation, "__name__", text) or kind in text:
            return shown
    return parameter.name.strip("_").upper()


def _shown(default: object) -> str:
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _plain(text: str) -> str:
    """Return help as Markdown: double backticks of reStructuredText as code, `*` and `<` as they are."""
    return text.replace("``", "`").replace("*", "\\*").replace("<", "\\<").replace("[128]", "128 by default.")


# Recipes


def _fields(model: type[Any], given: Mapping[str, Any]) -> str:
    """Return a table of the fields of a recipe or a stage: value, default and meaning."""
    meaning = _numpydoc_fields(model)
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in ("name", "description", "stage", "augmentation"):
            continue
        default = "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
        value = f"**`{given[key]}`**" if key in given else ""
        rows.append((f"`{key}`", value, default, _plain(meaning.get(name, ""))))
    return _table(("field", "here", "default", ""), rows)


def _numpydoc_fields(model: type[Any]) -> dict[str, str]:
    from numpydoc.docscrape import NumpyDocString

    listed = NumpyDocString(inspect.getdoc(model) or "")["Parameters"]
    return {name.strip(): " ".join(one.desc) for one in listed for name in one.name.split(",")}


def _recipes() -> dict[str, str]:
    stage_type = training.Recipe.model_fields["stages"].annotation.__args__[0]
    pages, rows = {}, []
    for name in training.recipe_names():
        text = (files("galaxalign.training") / "recipes" / f"{name}.toml").read_text("utf-8")
        content = tomllib.loads(text)
        rows.append((f"[`{name}`]({name}.md)", _plain(content.get("description", ""))))
        stages = "".join(
            f"## Stage {place}: {stage['name']}\n\n{_fields(stage_type, stage)}\n"
            for place, stage in enumerate(content["stage"], 1)
        )
        augmentation = ""
        if "augmentation" in content:
            kind = training.Recipe.model_fields["augmentation"].annotation
            augmentation = f"## Augmentation\n\n{_fields(kind, content['augmentation'])}\n"
        pages[f"recipes/{name}.md"] = f"""# Recipe {name}

{_plain(content.get("description", ""))}

```toml
{text.strip()}
```

## Recipe

What the file states, and the default of each field that it leaves out.

{_fields(training.Recipe, content)}
{stages}{augmentation}"""
    pages["recipes/index.md"] = f"""# Recipes

A recipe states how a model is trained: `galaxalign train RECIPE`. Name one of these, or a TOML file of your own with
the same fields. [`Recipe`](../api/galaxalign.training.Recipe.md) is its Python object.

{_table(("recipe", ""), rows)}
{_contents(training.recipe_names())}"""
    return pages


# Taxonomies


def _taxonomies() -> dict[str, str]:
    pages, rows = {}, []
    for name in galaxalign.taxonomy_names():
        taxonomy = galaxalign.load_taxonomy(name)
        rows.append(
            (
                f"[`{name}`]({name}.md)",
                len(taxonomy),
                len(taxonomy.attributes) or "",
                len(taxonomy.tree.questions) if taxonomy.tree else "",
                taxonomy.description,
            )
        )
        pages[f"taxonomies/{name}.md"] = _taxonomy_page(taxonomy)
        for one in taxonomy.classes:
            pages[f"taxonomies/symbols/{name}-{one.name}.svg"] = morphology.render_svg(one.morphology, size=96)
    pages["taxonomies/index.md"] = f"""# Taxonomies

A taxonomy states what the classes of a survey look like: `--taxonomy NAME`. Name one of these, or a TOML file of your
own with the same keys; the quickest way is a copy of the closest of them, or a file that `extends` it
([`load_taxonomy`](../api/galaxalign.load_taxonomy.md)).

{_table(("taxonomy", "classes", "attributes", "questions", ""), rows)}
{_contents(galaxalign.taxonomy_names())}"""
    return pages


def _taxonomy_page(taxonomy: Any) -> str:
    rows = [
        (
            f"![symbol of {one.name}](symbols/{taxonomy.name}-{one.name}.svg)",
            f"`{one.name}`",
            one.title + ("" if one.code is None else f" (code {one.code})"),
            "; ".join(one.phrases),
            ", ".join(one.aliases),
        )
        for one in taxonomy.classes
    ]
    text = f"""# Taxonomy {taxonomy.name}

{taxonomy.title}. {taxonomy.description}

*{taxonomy.citation}*

## Classes

{_table(("symbol", "class", "title", "words", "also read as"), rows)}
"""
    if taxonomy.ignored:
        text += f"Labels that are left out: {', '.join(f'`{label}`' for label in taxonomy.ignored)}.\n\n"
    if taxonomy.attributes:
        graded = [
            (f"`{one.name}`", one.title, "; ".join(f"{level.value:g}: {level.words or '–'}" for level in one.levels))
            for one in taxonomy.attributes
        ]
        text += f"## Attributes\n\n{_table(('column', 'attribute', 'levels'), graded)}\n"
    if taxonomy.tree is not None:
        text += "## Questions\n\n"
        for question in taxonomy.tree.questions:
            header = ("column", "answer", "words", "next")
            answers = [
                (f"`{question.name}_{one.name}`", one.title, "; ".join(one.phrases), one.leads_to or "end")
                for one in question.answers
            ]
            text += f"### {question.name}\n\n{question.text}\n\n{_table(header, answers)}\n"
    return text


# Data sets


def _data_sets() -> dict[str, str]:
    text = """# Data sets

`galaxalign data fetch NAME` downloads one of these, `galaxalign data convert NAME` makes its catalogue:
[how](../../howto/get-data.md).

"""
    for survey in galaxalign.data_sets():
        facts = {
            "galaxies": f"{survey.galaxies:,}",
            "pictures": survey.pictures,
            "labels": survey.labels,
            "taxonomy": f"[`{survey.taxonomy}`](taxonomies/{survey.taxonomy}.md)" if survey.taxonomy else "none",
            "licence": survey.licence,
            "cite": survey.citation,
            "see": f"<{survey.homepage}>",
            "note": survey.note,
            "files": ", ".join(f"`{file.name}`" for file in survey.files),
        }
        rows = [(key, value) for key, value in facts.items() if value]
        text += f"## {survey.name}\n\n{survey.title}\n\n{_table(('', ''), rows)}\n"
    return {"data-sets.md": text}
