"""Compact model folders: small, without the text tower, and the same model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxalign.errors import InputError
from galaxalign.models.classifiers import zero_shot
from galaxalign.models.minilm import build_lite
from galaxalign.models.model_folder import Model, Task, load_model, save_model
from galaxalign.models.saved_encoder import halve
from galaxalign.morphology.taxonomy import load_taxonomy


@pytest.fixture(scope="module")
def model():
    encoder = build_lite()
    encoder.copy_symbol_tower()
    rng = np.random.default_rng(0)
    schemes = [load_taxonomy(name) for name in ("galaxy_zoo_2", "efigi")]
    tasks = [
        Task(
            scheme,
            zero_shot(scheme.class_names, rng.normal(size=(len(scheme), 384)), logit_scale=2.0),
            rng.normal(size=(len(scheme), 384)).astype(np.float32),
        )
        for scheme in schemes
    ]
    first, second = tasks
    return Model(encoder, first.taxonomy, first.classifier, first.symbols, also={"efigi": second})


def test_a_compact_folder_is_small_and_gives_the_same_vectors(model, tmp_path):
    halve(model.encoder)
    save_model(model, tmp_path / "small", card="", compact=True)
    size = sum(path.stat().st_size for path in (tmp_path / "small").iterdir())
    assert size < 20e6
    loaded = load_model(tmp_path / "small")
    assert loaded.encoder.fingerprint == model.encoder.fingerprint
    images = np.random.default_rng(1).integers(0, 255, (2, 128, 128, 3)).astype(np.uint8)
    for kind in ("encode_images", "encode_symbols"):
        torch.testing.assert_close(getattr(loaded.encoder, kind)(images), getattr(model.encoder, kind)(images))
    words = ["a barred spiral galaxy"]
    torch.testing.assert_close(loaded.encoder.encode_texts(words), model.encoder.encode_texts(words))


def test_every_taxonomy_that_was_learnt_keeps_its_classifier(model, tmp_path):
    loaded = load_model(save_model(model, tmp_path / "model", card=""))
    vectors = np.random.default_rng(2).normal(size=(3, 384)).astype(np.float32)
    for name in ("galaxy_zoo_2", "efigi"):
        task, before = loaded.task(load_taxonomy(name)), model.task(load_taxonomy(name))
        np.testing.assert_allclose(task.classifier.predict_proba(vectors), before.classifier.predict_proba(vectors))
        np.testing.assert_array_equal(task.symbols, before.symbols)
    assert loaded.task(load_taxonomy("galaxy_mnist")) is None


def test_an_unknown_name_says_where_models_come_from(tmp_path):
    with pytest.raises(InputError, match="there is no model folder"):
        load_model(tmp_path / "nothing")
