"""The training loop on galaxies so simple that a tiny tower learns them."""

from __future__ import annotations

import copy
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from galaxalign.errors import InputError
from galaxalign.models.vote_likelihood import concentrations, constant_outputs, dirichlet_multinomial_loss
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.training.batch import TrainingData, VoteCounts, drawn_per_epoch, mixed_batches
from galaxalign.training.batch_norm import SymbolStatistics
from galaxalign.training.checkpoint import save_checkpoint
from galaxalign.training.loop import fit
from galaxalign.training.recipe import Recipe


class KilledError(Exception):
    """The process died."""


@contextmanager
def killed_after(monkeypatch, epoch):
    """Die as soon as the checkpoint of an epoch is written."""

    def save_and_die(folder, identity, state):
        save_checkpoint(folder, identity, state)
        if state.epoch == epoch:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("galaxalign.training.loop.save_checkpoint", save_and_die)
        with pytest.raises(KilledError):
            yield


def survey(n: int = 48, seed: int = 0) -> TrainingData:
    """Return red, green and blue frames: three classes that nobody can mistake."""
    rng = np.random.default_rng(seed)

    def frames(labels: np.ndarray) -> np.ndarray:
        images = rng.integers(0, 40, (len(labels), 32, 32, 3)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[..., label] += 180
        return images

    labels = np.arange(n) % 3
    validation = np.arange(18) % 3
    symbols = np.zeros((3, 4, 32, 32, 3), np.uint8)
    for k in range(3):
        symbols[k, :, 8:24, 8:24, k] = 255
    return TrainingData(
        images=frames(labels),
        labels=labels,
        validation_images=frames(validation),
        validation_labels=validation,
        prompts=[[f"A picture of a {c} galaxy", f"a {c} one"] for c in ("red", "green", "blue")],
        symbols=symbols,
        flip_permutation=np.arange(3),
    )


def recipe(**changes) -> Recipe:
    stage = {"lr_trunk": 3e-3, "lr_head": 1e-2, "label_smoothing": 0.0}
    values = {
        "name": "test",
        "batch_size": 12,
        "ema": 0.5,
        "augmentation": {"colour": 0.0, "rotate": False},
        "stage": [
            {
                "name": "one",
                "pairs": {"image-text": 1, "symbol-text": 1, "image-image": 1},
                "symbol_tower": "shared",
                "epochs": 2,
                **stage,
            },
            {
                "name": "two",
                "pairs": {"image-text": 1, "image-symbol": 1, "symbol-text": 1, "image-image": 1},
                "epochs": 6,
                **stage,
            },
        ],
    }
    return Recipe.model_validate(values | changes)


@pytest.mark.slow
@pytest.mark.parametrize("targets", ["same_class", "pair"])
@pytest.mark.parametrize("lr_text", [0.0, 1e-3])
def test_two_stages_teach_images_words_and_symbols(tiny_clip, targets, lr_text):
    plan = recipe()
    stages = [s.model_dump() | {"targets": targets, "lr_text": lr_text} for s in plan.stages]
    stages[1]["epochs"] = 16 if targets == "pair" else 10  # negatives of the same class slow it down
    words_before = tiny_clip.encode_texts(["A picture of a red galaxy"]).clone()
    result = fit(tiny_clip, recipe(stage=stages), survey(), seed=1)
    assert result.history[-1]["accuracy"] > 0.9
    assert result.best_epoch > 2  # the warm-up is never chosen
    assert tiny_clip.symbol is not None
    changed = not torch.equal(words_before, tiny_clip.encode_texts(["A picture of a red galaxy"]))
    assert changed == (lr_text > 0)
    data = survey(seed=7)
    images = tiny_clip.encode_images(data.images)
    symbols = tiny_clip.encode_symbols(data.symbols[:, 0])
    assert ((images @ symbols.T).argmax(1).numpy() == data.labels).mean() > 0.9


def test_symbol_tower_starts_as_copy_and_then_goes_its_own_way(tiny_clip):
    fit(tiny_clip, recipe(), survey())
    own, shared = tiny_clip.symbol.state_dict(), tiny_clip.visual.state_dict()
    assert own.keys() == shared.keys()
    assert any(not torch.equal(own[key], shared[key]) for key in own)


def test_run_of_warm_up_alone_keeps_the_statistics_of_symbols(tiny_clip):
    stage = recipe().stages[0].model_dump() | {"epochs": 8}
    fit(tiny_clip, recipe(stage=[stage]), survey(), seed=1)
    data = survey(seed=7)
    symbols = tiny_clip.encode_symbols(data.symbols[:, 0])
    words = tiny_clip.encode_texts([prompts[0] for prompts in data.prompts])
    assert ((symbols @ words.T).argmax(1).numpy() == np.arange(3)).all()
    own, shared = tiny_clip.symbol.state_dict(), tiny_clip.visual.state_dict()
    differing = {key.rsplit(".", 1)[1] for key in own if not torch.equal(own[key], shared[key])}
    assert differing == {"running_mean", "running_var"}


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(tiny_clip, tmp_path, monkeypatch):
    def start():
        encoder = copy.copy(tiny_clip)
        encoder.model, encoder.symbol = copy.deepcopy(tiny_clip.model), None
        return encoder

    whole, broken, resumed = start(), start(), start()
    straight = fit(whole, recipe(), survey(), seed=3)

    for last in (1, 2, 5):  # within the warm-up, at its end, within stage 2
        with killed_after(monkeypatch, last):
            fit(broken, recipe(), survey(), seed=3, out=tmp_path)
        broken = start()
    again = fit(resumed, recipe(), survey(), seed=3, out=tmp_path)
    assert again.best_epoch == straight.best_epoch
    for a, b in ((whole.model, resumed.model), (whole.symbol, resumed.symbol)):
        theirs = b.state_dict()
        for key, value in a.state_dict().items():
            torch.testing.assert_close(value, theirs[key], rtol=0, atol=0)
    figures = ("accuracy", "macro_f1", "map", "loss_image-text")
    assert [[r[k] for k in figures] for r in again.history] == [[r[k] for k in figures] for r in straight.history]


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_refused(tiny_clip, tmp_path):
    fit(tiny_clip, recipe(), survey(), out=tmp_path, settings={"crop": 1.0})
    with pytest.raises(InputError, match=r"other settings \(crop, seed\)"):
        fit(tiny_clip, recipe(), survey(), out=tmp_path, seed=1, settings={"crop": 0.5})


def test_a_mirrored_galaxy_takes_the_class_of_its_mirror_image(tiny_clip, monkeypatch):
    seen = []
    data = survey()
    data.flip_permutation = np.array([1, 0, 2])

    import galaxalign.training.pair_losses as step

    def spy(labels_a, labels_b):
        seen.append(labels_a)
        return torch.ones(len(labels_a), len(labels_b))

    monkeypatch.setattr(step, "same", spy)
    monkeypatch.setattr(
        "galaxalign.training.step.augment",
        lambda images, s, **k: (images.float(), torch.ones(len(images), dtype=torch.bool)),
    )
    stage = {"name": "one", "pairs": {"image-text": 1}, "epochs": 1}
    data.labels = np.zeros_like(data.labels)
    fit(tiny_clip, recipe(stage=[stage]), data)
    assert seen
    assert all((labels == 1).all() for labels in seen)


def test_supervised_training_leaves_a_linear_head(tiny_clip):
    from galaxalign.models.vision import VisionEncoder

    half = (0.5, 0.5, 0.5)
    tower = VisionEncoder(tiny_clip.visual.trunk, name="t", preprocessing=tiny_clip.preprocessing, pixels=(half, half))
    stage = {"name": "ce", "pairs": {"image-label": 1}, "epochs": 10, "lr_trunk": 3e-3, "lr_head": 1e-2}
    result = fit(tower, recipe(stage=[stage]), survey())
    assert result.head.shape == (3, tower.dimension + 1)
    assert result.history[-1]["accuracy"] > 0.9
    with pytest.raises(InputError, match="only an image tower"):
        fit(tower, recipe(), survey())
    stage = {"name": "alone", "pairs": {"image-image": 1}, "epochs": 1}
    with pytest.raises(InputError, match="stage alone of recipe test has neither words nor image-label"):
        fit(tower, recipe(stage=[stage]), survey())


def test_too_few_galaxies_and_a_diverging_run_are_input_errors(tiny_clip):
    data = survey()
    data.images, data.labels = data.images[:1], data.labels[:1]
    with pytest.raises(InputError, match="only 1 labelled"):
        fit(tiny_clip, recipe(), data)
    stage = {"name": "wild", "pairs": {"image-label": 1}, "epochs": 8, "lr_trunk": 1e18, "lr_head": 1e18}
    with pytest.raises(InputError, match="lower the learning rates"):
        fit(tiny_clip, recipe(stage=[stage]), survey())


def test_epoch_is_chosen_with_one_validation_galaxy_a_class(tiny_clip):
    data = survey()
    data.validation_images, data.validation_labels = data.validation_images[:3], data.validation_labels[:3]
    result = fit(tiny_clip, recipe(), data)
    assert np.isnan(result.history[-1]["map"])
    assert result.best_epoch > 2


def test_symbols_have_statistics_of_their_own():
    tower = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    tower.train()
    statistics = SymbolStatistics(tower)
    before = tower[1].running_mean.clone()
    with statistics.active():
        tower(torch.randn(8, 1, 4, 4) + 5)
    torch.testing.assert_close(tower[1].running_mean, before, rtol=0, atol=0)
    with statistics.active():
        assert not torch.equal(tower[1].running_mean, before)
    saved = statistics.state()
    other = SymbolStatistics(tower)
    other.load(saved)
    assert all(torch.equal(value, other.state()[key]) for key, value in saved.items())


# --- captions, votes, several catalogues ---------------------------------------------------------------


def colours(n: int = 48, seed: int = 0) -> TrainingData:
    """Return the survey with a sentence for each galaxy, and symbols of kinds that are not its classes."""
    data = survey(n, seed)
    names = np.array(["red", "green", "blue"])
    drawn: list[str] = []

    def captioner(rows, rng):
        opening = "A picture of a" if rng is None else str(rng.choice(["A picture of a", "An image of a"]))
        sentences = [f"{opening} {names[data.labels[row]]} galaxy" for row in rows]
        drawn.extend(sentences)
        return sentences

    data.captioner = captioner
    data.drawn = drawn
    data.kinds = (2 - data.labels).astype(np.int64)  # symbols in another order than the classes
    data.symbols = data.symbols[::-1].copy()
    data.kind_prompts = [["a blue sign"], ["a green sign"], ["a red sign"]]
    data.vote_roots = np.eye(3, dtype=np.float32)[data.labels]
    return data


@pytest.mark.parametrize("loss", ["infonce", "sigmoid"])
@pytest.mark.parametrize("caption_targets", ["same_text", "pair", "soft"])
def test_captions_teach_images_their_words(tiny_clip, loss, caption_targets):
    stage = {
        "name": "captions",
        "pairs": {"image-caption": 1},
        "loss": loss,
        "caption_targets": caption_targets,
        "epochs": 12,
        "lr_trunk": 3e-3,
        "lr_head": 1e-2,
        "other_captions": 8,
    }
    data = colours()
    result = fit(tiny_clip, recipe(stage=[stage]), data, seed=1)
    assert result.history[-1]["accuracy"] > 0.9
    assert {sentence.split(" ")[1] for sentence in data.drawn} == {"picture", "image"}


def test_fixed_caption_same_in_epoch_and_trained_words_change(tiny_clip):
    stage = {"name": "fixed", "pairs": {"image-caption": 1}, "captions": "fixed", "epochs": 2, "lr_text": 1e-3}
    data = colours()
    before = tiny_clip.encode_texts(["A picture of a red galaxy"]).clone()
    fit(tiny_clip, recipe(stage=[stage]), data)
    assert {sentence[:14] for sentence in data.drawn} == {"A picture of a"}
    assert not torch.equal(before, tiny_clip.encode_texts(["A picture of a red galaxy"]))


@pytest.mark.slow
def test_symbols_of_each_galaxys_own_kind_are_learnt(tiny_clip):
    stage = recipe().stages[1].model_dump() | {"epochs": 10}
    data = colours()
    fit(tiny_clip, recipe(stage=[stage]), data, seed=1)
    images = tiny_clip.encode_images(data.images)
    symbols = tiny_clip.encode_symbols(data.symbols[:, 0])
    assert ((images @ symbols.T).argmax(1).numpy() == data.kinds).mean() > 0.9


@pytest.mark.slow
def test_several_catalogues_are_learnt_together_by_own_classes(tiny_clip):
    first, second = survey(36), colours(24, seed=5)
    first.name, second.name, second.weight = "first", "second", 2.0
    # The second has the classes in another order: only its own prompts can tell them.
    second.labels = 2 - second.labels
    second.validation_labels = 2 - second.validation_labels
    second.prompts = [["a blue thing"], ["a green thing"], ["a red thing"]]
    stage = {"pairs": {"image-text": 1, "image-caption": 0.5, "image-label": 0.5}, "lr_trunk": 3e-3, "lr_head": 1e-2}
    result = fit(tiny_clip, recipe(stage=[{"name": "both", "epochs": 10, **stage}]), [first, second], seed=1)
    last = result.history[-1]
    assert last["first_accuracy"] > 0.9
    assert last["second_accuracy"] > 0.9
    assert last["accuracy"] == pytest.approx((last["first_accuracy"] + last["second_accuracy"]) / 2)


def test_batches_have_a_share_of_each_catalogue():
    drawn, batches = mixed_batches([40, 10], [40, 20], 12, torch.Generator().manual_seed(0))
    assert [len(rows) for rows in drawn] == [40, 20]
    assert sorted(drawn[0]) == list(range(40))
    assert (np.bincount(drawn[1]) == 2).all()
    assert len(batches) == 5
    for batch in batches:
        assert [len(part.rows) for part in batch] == [8, 4]
        assert all((rows[part.places] == part.rows).all() for rows, part in zip(drawn, batch, strict=True))


@pytest.mark.slow
def test_prompts_of_the_class_take_the_place_of_captions(tiny_clip):
    stage = {"name": "captions", "pairs": {"image-caption": 1}, "epochs": 16, "lr_trunk": 3e-3, "lr_head": 1e-2}
    result = fit(tiny_clip, recipe(stage=[stage]), survey(), seed=1)
    assert "loss_image-text" in result.history[0]
    assert result.history[-1]["accuracy"] > 0.9


# --- the likelihood of votes ---------------------------------------------------------------------------

HANDED = load_taxonomy("galaxy_zoo_1_handed").tree


def voted(n: int = 48, seed: int = 0) -> TrainingData:
    """Return the survey with thirty votes on each galaxy: red is called elliptical, green clockwise, blue edge-on."""
    data = survey(n, seed)
    rng = np.random.default_rng(seed + 100)
    favourite = np.array([0, 1, 3])

    def votes(labels: np.ndarray) -> np.ndarray:
        chances = np.full((len(labels), 6), 0.02)
        chances[np.arange(len(labels)), favourite[labels]] = 0.9
        return np.stack([rng.multinomial(30, p) for p in chances]).astype(np.float32)

    data.votes = VoteCounts(HANDED, votes(data.labels), votes(data.validation_labels))
    return data


def by_votes(**changes) -> Recipe:
    stage = {"name": "votes", "pairs": {"image-votes": 1}, "epochs": 8, "lr_trunk": 3e-3, "lr_head": 1e-2}
    still = {"colour": 0.0, "rotate": False, "flip": False}
    return recipe(select="votes", augmentation=still, stage=[stage | changes])


def constant(data: TrainingData) -> float:
    """Return the log likelihood per validation galaxy of the best constant prediction."""
    outputs = constant_outputs(torch.from_numpy(data.votes.counts), HANDED.slices)
    seen = torch.from_numpy(data.votes.validation_counts)
    return -float(dirichlet_multinomial_loss(concentrations(outputs).expand(len(seen), -1), seen, HANDED.slices).mean())


@pytest.mark.parametrize("tower", ["clip", "timm"])
def test_votes_teach_an_image_tower_more_than_their_mean(tiny_clip, tower):
    from galaxalign.models.vision import VisionEncoder

    encoder, half = tiny_clip, (0.5, 0.5, 0.5)
    if tower == "timm":
        trunk = tiny_clip.visual.trunk
        encoder = VisionEncoder(trunk, name="t", preprocessing=tiny_clip.preprocessing, pixels=(half, half))
    data = voted()
    result = fit(encoder, by_votes(), data, seed=1)
    likely = [row["vote_log_likelihood"] for row in result.history]
    assert max(likely) > constant(data) + 1
    assert result.best_epoch == len(likely) - int(np.argmax(likely[::-1]))
    assert "accuracy" not in result.history[-1]
    assert result.history[-1]["loss_image-votes"] < result.history[0]["loss_image-votes"]


def test_before_the_first_step_the_votes_are_the_constant_ones(tiny_clip):
    data = voted()
    result = fit(tiny_clip, by_votes(epochs=1, lr_trunk=0.0, lr_head=1e-9), data)
    assert result.history[0]["vote_log_likelihood"] == pytest.approx(constant(data), abs=1e-3)


def test_a_killed_run_on_votes_goes_on_with_its_heads(tiny_clip, tmp_path, monkeypatch):
    def start():
        encoder = copy.copy(tiny_clip)
        encoder.model = copy.deepcopy(tiny_clip.model)
        return encoder

    whole, broken, resumed = start(), start(), start()
    plan = by_votes(epochs=4)
    straight = fit(whole, plan, voted(), seed=3)
    with killed_after(monkeypatch, 2):
        fit(broken, plan, voted(), seed=3, out=tmp_path)
    again = fit(resumed, plan, voted(), seed=3, out=tmp_path)
    assert again.best_epoch == straight.best_epoch
    figures = ("vote_log_likelihood", "map", "loss_image-votes")
    assert [[r[k] for k in figures] for r in again.history] == [[r[k] for k in figures] for r in straight.history]
    theirs = resumed.model.state_dict()
    for key, value in whole.model.state_dict().items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=0)


def test_catalogues_without_votes_take_no_part_in_votes(tiny_clip):
    first, second = survey(24), voted(24, seed=5)
    first.name, second.name = "labelled", "voted"
    plan = by_votes(epochs=2)
    assert drawn_per_epoch(plan.stages[0], [first, second]) == [0, 24]
    last = fit(tiny_clip, plan, [first, second]).history[-1]
    assert "voted_vote_log_likelihood" in last
    assert "labelled_vote_log_likelihood" not in last
    assert last["vote_log_likelihood"] == last["voted_vote_log_likelihood"]
    both = by_votes(epochs=1, pairs={"image-label": 1, "image-votes": 1})
    assert drawn_per_epoch(both.stages[0], [first, second]) == [24, 24]
    row = fit(tiny_clip, both, [first, second]).history[-1]
    assert {"loss_image-label", "loss_image-votes", "labelled_accuracy", "voted_accuracy"} <= row.keys()


def test_recipe_of_votes_without_votes_is_refused_in_a_sentence(tiny_clip):
    with pytest.raises(InputError, match="stage votes of recipe test learns from votes alone, and no cat"):
        fit(tiny_clip, by_votes(), survey())
    data = voted()
    data.votes.validation_counts[:] = 0
    with pytest.raises(InputError, match="validation galaxies, and none of these has votes"):
        fit(tiny_clip, by_votes(), data)
    with pytest.raises(InputError, match="chooses the epoch by votes, but stage two has no image-votes"):
        fit(tiny_clip, recipe(select="votes"), voted())
    plan = by_votes().model_copy(update={"select": "mean"})
    with pytest.raises(InputError, match='set select = "votes"'):
        fit(tiny_clip, plan, voted())


def test_a_mirrored_galaxy_has_the_votes_of_its_mirror_image():
    votes = voted().votes
    rows = np.array([0, 1, 2, 1])
    found = votes.take(rows, np.array([True, False, True, True]))
    swapped = votes.counts[:, [0, 2, 1, 3, 4, 5]]
    np.testing.assert_array_equal(found, [swapped[0], votes.counts[1], swapped[2], swapped[1]])
    assert not np.array_equal(found[1], found[3])
