"""A trained model as a folder that open_clip loads too: weights, words, symbols, classifier, provenance."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.classifiers import ClassifierChoice
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.saved_encoder import ENCODER_FILES, load_saved_encoder, save_encoder
from galaxalign.models.vision import VisionEncoder
from galaxalign.models.vote_head import VoteHead
from galaxalign.morphology import Taxonomy

BOX = ("galaxy-lite",)
"""Models that come with the package."""

_FORMAT = 4
_BOXES = Path(__file__).parent
_SETTINGS = "galaxalign.json"
_CLASSIFIER = "classifier.safetensors"
_VOTES = "votes.safetensors"


@dataclass(frozen=True)
class Task:
    """A taxonomy that a model has learnt, with its classifier.

    Attributes
    ----------
    taxonomy : Taxonomy
    classifier : ClassifierChoice
        Chosen and calibrated on validation data.
    symbols : ndarray (K, D), optional
        Unit vector of each class's symbol, as drawn in training; None where training had no symbols.
    """

    taxonomy: Taxonomy
    classifier: ClassifierChoice
    symbols: np.ndarray | None = None


@dataclass
class Model:
    """An encoder that has learnt a taxonomy.

    Attributes
    ----------
    encoder : ClipEncoder or VisionEncoder
    taxonomy : Taxonomy
    classifier : ClassifierChoice
        Chosen and calibrated on validation data.
    symbols : ndarray (K, D), optional
        Unit vector of each class's symbol, as drawn in training; None where training had no symbols.
    settings : dict
        Recipe, seed, provenance of the data, versions; whatever galaxalign.json holds beside the above.
    folder : Path, optional
        Where it was loaded from.
    also : dict of str to Task
        What it has learnt beside its own taxonomy, by the name of each.
    votes : VoteHead, optional
        Fitted on the votes of volunteers, on any decision tree; None where it was not.
    """

    encoder: ClipEncoder | VisionEncoder
    taxonomy: Taxonomy
    classifier: ClassifierChoice
    symbols: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    also: dict[str, Task] = field(default_factory=dict)
    votes: VoteHead | None = None

    def task(self, taxonomy: Taxonomy | None = None) -> Task | None:
        """Return what the model has learnt of a taxonomy, by default its own; None where it has not.

        A taxonomy is known by its name and its classes: a classifier outlives other words for them.
        """
        own = Task(self.taxonomy, self.classifier, self.symbols)
        if taxonomy is None:
            return own
        for task in (own, *self.also.values()):
            if (task.taxonomy.name, task.taxonomy.class_names) == (taxonomy.name, taxonomy.class_names):
                return task
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(settings: dict[str, Any]) -> str:
    """Return the sha256 of the settings, however they are laid out."""
    return hashlib.sha256(json.dumps(json.loads(json.dumps(settings)), sort_keys=True).encode()).hexdigest()


def _as_tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}


def save_model(model: Model, folder: Path, *, card: str, compact: bool = False) -> Path:
    """Write a model folder; files appear in `folder` only once all of them are complete.

    Parameters
    ----------
    model : Model
    folder : Path
        Made if missing; files of an earlier model in it are replaced, others are kept.
    card : str
        The model card, README.md.
    compact : bool
        Leave out MiniLM, which its package holds, and keep matrices in half precision: a sixth of the size, but
        nothing that open_clip loads. The encoder must have been through `halve`, and its text tower must be MiniLM
        as it was.

    Returns
    -------
    Path
        `folder`.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as name:
        draft = Path(name)
        about = save_encoder(model.encoder, draft, compact=compact)
        arrays: dict[str, np.ndarray] = {}
        for prefix, task in [("", model.task()), *((f"{name}/", task) for name, task in model.also.items())]:
            assert task is not None
            arrays |= {f"{prefix}{key}": value for key, value in task.classifier.arrays().items()}
            if task.symbols is not None:
                arrays[f"{prefix}symbols"] = task.symbols
        save_file(_as_tensors(arrays), draft / _CLASSIFIER)
        if model.votes is not None:
            save_file(_as_tensors(model.votes.arrays()), draft / _VOTES)
        (draft / "README.md").write_text(card)
        sums = {path.name: _sha256(path) for path in sorted(draft.iterdir()) if path.name != "README.md"}
        settings = {
            "format": _FORMAT,
            "encoder": about,
            "taxonomy": model.taxonomy.to_dict(),
            "classifier": model.classifier.to_dict(),
            "also": {
                name: {"taxonomy": task.taxonomy.to_dict(), "classifier": task.classifier.to_dict()}
                for name, task in model.also.items()
            },
            **({} if model.votes is None else {"votes": model.votes.to_dict()}),
            **model.settings,
            "files": sums,
        }
        settings["sha256"] = _digest(settings)
        (draft / _SETTINGS).write_text(json.dumps(settings, indent=2))
        for stale in (*ENCODER_FILES, _VOTES):
            if stale not in sums:
                (folder / stale).unlink(missing_ok=True)
        # The settings come last: a folder that has them is complete.
        for path in sorted(draft.iterdir(), key=lambda path: path.name == _SETTINGS):
            os.replace(path, folder / path.name)
    return folder


def load_model(folder: str | Path, *, device: torch.device | str = "cpu") -> Model:
    """Return the model in a folder, wherever it was moved to, after checking every file.

    Parameters
    ----------
    folder : path
        A model folder, or the name of a model that comes with the package (`BOX`).
    device : device

    Raises
    ------
    InputError
        No such folder, a file missing or altered, or a format of another version.
    """
    from safetensors.numpy import load_file

    folder = model_folder(folder)
    path = folder / _SETTINGS
    if not folder.is_dir():
        raise InputError(f"there is no model folder {folder}; name the --out folder of galaxalign train")
    if not path.is_file():
        raise InputError(f"{folder} is not a finished GalaxAlign model: {_SETTINGS} is missing")
    try:
        settings = json.loads(path.read_text())
        expected, found = settings.pop("sha256"), _digest(settings)
        files, about = settings.pop("files"), settings.pop("encoder")
        version = settings.pop("format")
    except (ValueError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it or train the model again") from error
    if found != expected:
        raise InputError(f"{path} was altered after it was saved; restore it or train the model again")
    if version != _FORMAT:
        raise InputError(f"{folder} has format {version}, this GalaxAlign reads {_FORMAT}; train the model again")
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise InputError(f"model {folder} lacks the file {name}; restore it or train the model again")
        if _sha256(folder / name) != expected:
            raise InputError(f"{folder / name} was altered since it was saved; restore it or train the model again")
    taxonomy = Taxonomy.from_dict(settings.pop("taxonomy"), source=str(path))
    arrays = load_file(folder / _CLASSIFIER)
    classifier = ClassifierChoice.from_dict(settings.pop("classifier"), arrays)
    also = {name: _task(name, entry, arrays, str(path)) for name, entry in settings.pop("also").items()}
    votes = None
    if "votes" in settings:
        votes = VoteHead.from_dict(settings.pop("votes"), load_file(folder / _VOTES))
    encoder = load_saved_encoder(folder, about, device)
    return Model(encoder, taxonomy, classifier, arrays.get("symbols"), settings, folder, also, votes)


def _task(name: str, entry: dict[str, Any], arrays: dict[str, np.ndarray], source: str) -> Task:
    own = {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
    taxonomy = Taxonomy.from_dict(entry["taxonomy"], source=source)
    return Task(taxonomy, ClassifierChoice.from_dict(entry["classifier"], own), own.get("symbols"))


def model_folder(name: str | Path) -> Path:
    """Return the folder of a model by its path or by its name in `BOX`; a folder of that name comes first."""
    return _BOXES / str(name) if str(name) in BOX and not Path(name).is_dir() else Path(name)


def model_name(folder: Path | None) -> str:
    """Return what to call a model by later: its name in `BOX`, or its whole path; "" where it has no folder."""
    if folder is None:
        return ""
    return folder.name if folder.parent == _BOXES else str(folder.resolve())


def starting_folder(encoder: str) -> Path | None:
    """Return the GalaxAlign folder that an encoder's name means, "local-dir:FOLDER" or a name in `BOX`; or None."""
    folder = model_folder(encoder.removeprefix("local-dir:"))
    named = encoder.startswith("local-dir:") or encoder in BOX
    return folder if named and (folder / _SETTINGS).is_file() else None


def saved_preprocessing(folder: Path) -> Preprocessing | None:
    """Return how the model in a folder looks at images; None where it is no GalaxAlign folder."""
    path = folder / _SETTINGS
    if not path.is_file():
        return None
    try:
        return Preprocessing.from_dict(json.loads(path.read_text())["encoder"]["preprocessing"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not say how images are prepared ({error}); train the model again") from error
