"""Figures show what they are given, without a display, and say so when they cannot be written."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from PIL import Image

import galaxalign.evaluation.figures as figures
import galaxalign.evaluation.plates as plates
from galaxalign.errors import InputError

NAMES = ("barred_spiral", "round_smooth", "edge_on_without_bulge")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def flat(colour: tuple[int, int, int], n: int = 1, side: int = 24) -> np.ndarray:
    return np.full((n, side, side, 3), colour, np.uint8)


def holds(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Return how many pixels have a colour."""
    return int((np.abs(picture - colour).max(axis=2) <= 2).sum())


def history(epochs: int = 5) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "stage": ["warm-up"] * 2 + ["tri-modal"] * (epochs - 2),
            "epoch": epoch,
            "loss_image-text": 2.0 / epoch,
            "loss_image-symbol": np.where(epoch > 2, 1.5 / epoch, np.nan),
            "accuracy": 1 - 1 / (epoch + 1),
            "macro_f1": 1 - 1.2 / (epoch + 1),
            "map": 1 - 1.5 / (epoch + 1),
        }
    )


def test_contact_sheet_shows_galaxies_of_class_and_no_others(tmp_path: Path) -> None:
    colours = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))
    images = np.concatenate([flat(colour, 2) for colour in colours])
    labels = np.array([0, 0, 1, 1, 2, 2, -1, -1])
    picture = pixels(plates.contact_sheet(images, labels, NAMES, tmp_path / "sheet.png", columns=2))
    first = [np.flatnonzero((np.abs(picture - colour).max(axis=2) <= 2).any(axis=1)) for colour in colours]
    assert first[0].max() < first[1].min() < first[1].max() < first[2].min()
    assert len(first[3]) == 0


def test_a_contact_sheet_leaves_room_where_a_class_has_few(tmp_path: Path) -> None:
    images = np.concatenate([flat((200, 30, 30), 1), flat((30, 200, 30), 4)])
    picture = pixels(plates.contact_sheet(images, np.array([0, 1, 1, 1, 1]), NAMES, tmp_path / "s.png", columns=4))
    assert 3.5 < holds(picture, (30, 200, 30)) / holds(picture, (200, 30, 30)) < 4.5


def test_a_plate_is_dark_and_a_chart_is_light(tmp_path: Path) -> None:
    sheet = plates.contact_sheet(flat((9, 9, 9), 3), np.arange(3), NAMES, tmp_path / "sheet.png")
    chart = figures.learning_curves(history(), tmp_path / "curves.png")
    assert pixels(sheet)[0, 0].max() < 40
    assert pixels(chart)[0, 0].min() > 240


def test_a_plate_leaves_the_settings_of_matplotlib_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    with plates.plate():
        assert matplotlib.rcParams["figure.facecolor"] != before["figure.facecolor"]
    assert dict(matplotlib.rcParams) == before


def test_learning_curves_mark_the_epoch_that_was_kept(tmp_path: Path) -> None:
    without = pixels(figures.learning_curves(history(), tmp_path / "a.png"))
    marked = pixels(figures.learning_curves(history(), tmp_path / "b.png", best_epoch=4))
    assert (without != marked).any()
    with pytest.raises(InputError, match="no epochs"):
        figures.learning_curves(history().iloc[:0], tmp_path / "c.png")


def test_learning_curves_join_epochs_across_those_not_validated(tmp_path: Path) -> None:
    sparse = history(9)
    sparse.loc[sparse["epoch"] % 4 != 1, ["accuracy", "macro_f1", "map"]] = np.nan
    bare = sparse.assign(accuracy=np.nan, macro_f1=np.nan, map=np.nan)
    drawn = pixels(figures.learning_curves(sparse, tmp_path / "sparse.png"))
    empty = pixels(figures.learning_curves(bare, tmp_path / "bare.png"))
    blue = (0, 114, 178)  # accuracy; three markers alone have some 200 pixels
    lower = slice(drawn.shape[0] // 2, None)
    assert holds(drawn[lower], blue) > holds(empty[lower], blue) + 1000


def test_a_confusion_matrix_is_dark_where_the_galaxies_are(tmp_path: Path) -> None:
    perfect = pixels(figures.confusion_matrix(np.eye(3, dtype=int) * 9, NAMES, tmp_path / "a.png"))
    spread = pixels(figures.confusion_matrix(np.full((3, 3), 3), NAMES, tmp_path / "b.png"))
    darkest = (8, 48, 107)  # the far end of the colour map
    assert holds(perfect, darkest) > 10 * holds(spread, darkest)
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 3 classes"):
        figures.confusion_matrix(np.eye(2), NAMES, tmp_path / "c.png")


def test_an_empty_class_does_not_stop_the_confusion_matrix(tmp_path: Path) -> None:
    assert figures.confusion_matrix(np.diag([4, 0, 2]), NAMES, tmp_path / "a.png").is_file()


def test_reliability_diagram_needs_probabilities_of_galaxy(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [1.0, 0.0], [0.4, 0.6]])
    assert figures.reliability_diagram(np.array([0, 0, 1]), probabilities, tmp_path / "a.png").is_file()
    with pytest.raises(ValueError, match="for 2 labels"):
        figures.reliability_diagram(np.array([0, 1]), probabilities, tmp_path / "b.png")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_of_share_holds_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    hits, n = counts
    low, high = figures.wilson_interval(np.array([hits]), np.array([n]))
    assert -1e-12 <= low[0] <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high[0] <= 1 + 1e-12


def test_the_interval_of_a_share_agrees_with_scipy() -> None:
    from scipy.stats import binomtest

    for hits, n in ((0, 3), (3, 3), (7, 20), (150, 400)):
        low, high = figures.wilson_interval(np.array([hits]), np.array([n]))
        expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_answers_are_marked_by_colour_and_by_sign(tmp_path: Path) -> None:
    answers = flat((90, 90, 90), 6)
    captions = ["barred spiral"] * 6

    def panel(right: list[bool], name: str) -> np.ndarray:
        out = plates.retrieval_panel(flat((90, 90, 90))[0], answers, captions, right, tmp_path / name, title="this")
        return pixels(out)

    good, bad = panel([True] * 6, "good.png"), panel([False] * 6, "bad.png")
    green, red = (47, 191, 113), (232, 85, 78)
    assert holds(good, green) > 1000
    assert holds(good, red) == 0
    assert holds(bad, red) > 1000
    assert holds(bad, green) == 0
    # whoever sees no colours still sees a tick or a cross: the grey pictures differ by more than the frames do
    marks = np.abs(good.mean(axis=2) - bad.mean(axis=2))
    black = (good.max(axis=2) < 20) != (bad.max(axis=2) < 20)
    assert black.any()
    assert marks.max() > 60


def test_a_query_may_be_words_and_must_have_answers(tmp_path: Path) -> None:
    words = plates.retrieval_panel(
        "a moderately elliptical, in-between round smooth galaxy",
        flat((90, 90, 90), 7),
        ["round smooth"] * 7,
        [True] * 7,
        tmp_path / "words.png",
        title="these words",
    )
    assert holds(pixels(words), (232, 234, 237)) > 50
    with pytest.raises(InputError, match="no answers"):
        plates.retrieval_panel("a ring", flat((0, 0, 0), 0), [], [], tmp_path / "none.png", title="words")
    with pytest.raises(ValueError, match="2 answers, 1 captions"):
        plates.retrieval_panel("x", flat((0, 0, 0), 2), ["a"], [True, True], tmp_path / "n.png", title="words")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_figure_is_written_as_its_name_says(tmp_path: Path, suffix: str) -> None:
    out = figures.learning_curves(history(), tmp_path / f"curves{suffix}")
    start = out.read_bytes()[:8]
    assert start.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


def test_a_figure_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot draw a figure as curves.txt"):
        figures.learning_curves(history(), tmp_path / "curves.txt")
    with pytest.raises(InputError, match="cannot write .*choose another path"):
        figures.learning_curves(history(), tmp_path / "missing" / "curves.png")
