"""Symbols: the same seed draws the same, mirror images are mirror images, and users' drawings look alike."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from galaxalign.errors import InputError
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.symbols import load_drawing, rasterize, render, render_svg, symbol_bank, symbol_sheet
from galaxalign.morphology.taxonomy import load_taxonomy, taxonomy_names

SPIRAL = Morphology(form="featured", edge_on=False, arm_strength=0.6, handedness="anticlockwise")
fraction = st.none() | st.floats(0, 1)
morphologies = st.builds(
    Morphology,
    form=st.sampled_from([None, "smooth", "featured", "artifact"]),
    axis_ratio=st.none() | st.floats(0.05, 1),
    edge_on=st.none() | st.booleans(),
    bulge=fraction,
    bulge_shape=st.sampled_from([None, "round", "boxy", "none"]),
    bar=fraction,
    arms=st.none() | st.integers(0, 5),
    arm_strength=fraction,
    winding=fraction,
    handedness=st.sampled_from(["clockwise", "anticlockwise"]),
    inner_ring=fraction,
    outer_ring=fraction,
    merger=st.none() | st.booleans(),
    disturbance=fraction,
    irregularity=fraction,
    dust=fraction,
    flocculence=fraction,
)
seeds = st.none() | st.integers(0, 1000)


def generator(seed: int | None) -> np.random.Generator | None:
    return None if seed is None else np.random.default_rng(seed)


def chirality(image: NDArray[np.uint8]) -> float:
    """Return by how much arms that turn clockwise outwards (an S) prevail, -1 to 1.

    A logarithmic spiral is a straight stripe in (ln r, angle); the sign of its slope is that of the frequency
    along ln r at which the two- and three-armed parts of its Fourier transform lie.
    """
    grey = image.astype(float).mean(axis=2)
    centre = (len(grey) - 1) / 2
    radius = np.geomspace(0.1, 0.9, 48)[:, None] * centre
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)[None]
    x, y = np.rint(centre + radius * np.cos(angle)), np.rint(centre + radius * np.sin(angle))
    polar = grey[y.astype(int), x.astype(int)]
    polar = polar - polar.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.fft2(polar / (polar.std(axis=1, keepdims=True) + 1))) ** 2
    # exp(i m (angle - slope ln r)): a positive slope is a negative frequency along ln r.
    s = sum(power[-k, m] for k in range(1, 8) for m in (2, 3))
    z = sum(power[k, m] for k in range(1, 8) for m in (2, 3))
    return float((s - z) / (s + z))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(morphologies, seeds)
def test_every_morphology_can_be_drawn_and_is_drawn_alike_again(m: Morphology, seed: int | None) -> None:
    first = render_svg(m, size=48, rng=generator(seed))
    assert first == render_svg(m, size=48, rng=generator(seed))
    assert rasterize(first, 48).max() > 60


@settings(max_examples=40, deadline=None)
@given(morphologies, seeds)
def test_the_flipped_morphology_is_the_mirrored_symbol(m: Morphology, seed: int | None) -> None:
    symbol = render(m, size=64, rng=generator(seed))
    mirrored = render(m.flipped(), size=64, rng=generator(seed))[:, ::-1]
    difference = np.abs(symbol.astype(int) - mirrored.astype(int))
    assert difference.mean() < 0.5, "only the rounding of antialiased edges may differ"


def test_symbols_grey_light_on_black_squares_of_size_asked_for() -> None:
    symbol = render(SPIRAL, size=77)
    assert symbol.shape == (77, 77, 3)
    assert symbol.dtype == np.uint8
    assert (symbol[..., 0] == symbol[..., 2]).all()
    assert symbol[0].max() == 0
    assert symbol.max() == 255


def test_variants_differ_from_each_other_and_from_exact_drawing() -> None:
    drawings = {render_svg(SPIRAL)} | {render_svg(SPIRAL, rng=np.random.default_rng(i)) for i in range(8)}
    assert len(drawings) == 9


def test_an_anticlockwise_galaxy_looks_like_an_s() -> None:
    symbol = render(SPIRAL, size=128)[..., 0] > 200
    # An S ends at the upper right and the lower left, a Z at the other two corners.
    assert symbol[15:45, 80:110].sum() + symbol[83:113, 18:48].sum() > 20
    assert symbol[15:40, 18:40].sum() + symbol[88:113, 88:110].sum() == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("handedness", ["clockwise", "anticlockwise"])
def test_handedness_holds_in_every_variant(handedness: str, seed: int) -> None:
    m = Morphology(form="featured", axis_ratio=0.95, edge_on=False, bar=0.0, arms=2, handedness=handedness)
    value = chirality(render(m, rng=np.random.default_rng(seed)))
    assert value > 0.2 if handedness == "anticlockwise" else value < -0.2


@pytest.mark.real
def test_handedness_is_the_one_of_galaxy_zoo(shared: Path) -> None:
    with (shared / "data" / "gz1" / "catalog.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {}
    for label in ("spiral_anticlockwise", "spiral_clockwise"):
        files = [shared / "data" / "gz1" / row["file_loc"] for row in rows if row["label"] == label][:100]
        pictures = [np.asarray(Image.open(file).convert("RGB"))[141:282, 141:282] for file in files]
        values[label] = np.array([chirality(picture) for picture in pictures])
    assert values["spiral_anticlockwise"].mean() > 0.05
    assert values["spiral_clockwise"].mean() < -0.05


@pytest.mark.parametrize("name", taxonomy_names())
def test_no_drawing_is_cut_off_by_its_frame(name: str) -> None:
    taxonomy = load_taxonomy(name)
    bank = np.concatenate([symbol_bank(taxonomy, variants=v, size=64) for v in (1, 30)], axis=1)[..., 0]
    rims = np.stack([bank[:, :, 0], bank[:, :, -1], bank[..., 0], bank[..., -1]]).max(axis=(0, 3))
    for galaxy_class, cut in zip(taxonomy.class_names, rims > 60, strict=True):
        assert not cut.any(), (galaxy_class, np.flatnonzero(cut))


@pytest.mark.parametrize("name", taxonomy_names())
def test_no_two_classes_of_a_taxonomy_look_alike(name: str) -> None:
    taxonomy = load_taxonomy(name)
    bank = symbol_bank(taxonomy, variants=1)[:, 0].astype(int)
    for a, b in combinations(range(len(taxonomy)), 2):
        names = (taxonomy.class_names[a], taxonomy.class_names[b])
        # Loose and middling arms differ least; equal drawings differ by nothing.
        assert np.abs(bank[a] - bank[b]).mean() > 2.5, names


def test_arms_are_drawn_where_they_are_asked_for_only() -> None:
    def share_bright(**fields: float) -> float:
        return float((render(Morphology(form="featured", edge_on=False, bulge=0.2, **fields)) > 200).mean())

    bare = share_bright(arms=0)
    assert share_bright(arms=0, arm_strength=0.8) == bare
    assert share_bright(arm_strength=0.0) == bare
    assert share_bright(arm_strength=0.6) > 1.5 * bare
    assert share_bright(arms=4, arm_strength=0.6) > 1.3 * share_bright(arms=2, arm_strength=0.6)


@pytest.mark.parametrize(
    "field", ["bar", "inner_ring", "outer_ring", "dust", "disturbance", "flocculence", "irregularity"]
)
def test_each_structure_shows(field: str) -> None:
    plain = Morphology(form="featured", edge_on=False, arms=2, axis_ratio=0.8, **{field: 0.0})
    marked = Morphology(form="featured", edge_on=False, arms=2, axis_ratio=0.8, **{field: 0.9})
    assert np.abs(render(plain).astype(int) - render(marked).astype(int)).mean() > 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_round_oval_and_cigar_shaped_galaxies_stay_apart(seed: int) -> None:
    def elongation(axis_ratio: float) -> float:
        m = Morphology(form="smooth", axis_ratio=axis_ratio, edge_on=False)
        y, x = np.nonzero(render(m, size=64, rng=np.random.default_rng(seed))[..., 0] > 20)
        small, large = np.linalg.eigvalsh(np.cov(x, y))
        return float(np.sqrt(small / large))

    assert elongation(0.95) > 0.75
    assert 0.4 < elongation(0.65) < 0.95
    assert elongation(0.3) < 0.5
    assert elongation(0.3) < elongation(0.65) < elongation(0.95)


def test_smooth_light_of_unknown_concentration_mostly_no_dwarf() -> None:
    m = Morphology(form="smooth", axis_ratio=0.9, edge_on=False)
    variants = [render(m, size=48, rng=np.random.default_rng(i)) for i in range(40)]
    bright_centre = [variant[20:28, 20:28].max() > 200 for variant in variants]
    assert np.mean(bright_centre) > 0.75


def test_bank_has_one_exact_or_many_different_symbols_of_class() -> None:
    taxonomy = load_taxonomy("galaxy10_decals")
    exact = symbol_bank(taxonomy, variants=1, size=32)
    assert exact.shape == (10, 1, 32, 32, 3)
    np.testing.assert_array_equal(exact[5, 0], render(taxonomy.classes[5].morphology, size=32))
    bank = symbol_bank(taxonomy, variants=3, size=32, seed=7)
    assert bank.shape == (10, 3, 32, 32, 3)
    np.testing.assert_array_equal(bank, symbol_bank(taxonomy, variants=4, size=32, seed=7)[:, :3])
    assert (bank != symbol_bank(taxonomy, variants=3, size=32, seed=8)).any(axis=(2, 3, 4)).all()
    with pytest.raises(InputError, match="at least 1"):
        symbol_bank(taxonomy, variants=0)


def sketch(ink: int = 0, paper: int = 255) -> Image.Image:
    """Return a ring with a bulge, off the centre of a wide page."""
    page = Image.new("L", (300, 200), paper)
    pen = ImageDraw.Draw(page)
    pen.ellipse((150, 40, 270, 160), outline=ink, width=5)
    pen.ellipse((195, 85, 225, 115), fill=ink)
    return page


def test_dark_on_light_and_light_on_dark_drawings_become_same(tmp_path: Path) -> None:
    sketch().save(tmp_path / "dark.png")
    sketch(255, 0).save(tmp_path / "light.png")
    dark, light = load_drawing(tmp_path / "dark.png"), load_drawing(tmp_path / "light.png")
    np.testing.assert_array_equal(dark, light)
    assert dark.shape == (128, 128, 3)
    assert dark[0].max() == 0
    assert dark[64, 64].min() > 200, "the bulge stands in the middle of the cropped drawing"


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_parts_are_paper_whatever_the_ink(tmp_path: Path, ink: int) -> None:
    opaque = sketch()
    cover = opaque.point(lambda value: 255 - value)
    Image.merge("RGBA", [Image.new("L", opaque.size, ink)] * 3 + [cover]).save(tmp_path / "clear.png")
    opaque.save(tmp_path / "opaque.png")
    clear, reference = load_drawing(tmp_path / "clear.png"), load_drawing(tmp_path / "opaque.png")
    assert np.abs(clear.astype(int) - reference.astype(int)).max() <= 2


def test_grey_paper_and_jpeg_noise_leave_a_black_ground(tmp_path: Path) -> None:
    sketch(ink=60, paper=225).save(tmp_path / "photo.jpg", quality=70)
    drawing = load_drawing(tmp_path / "photo.jpg", size=96)
    assert drawing[:5].max() == 0
    assert drawing.max() > 220


def test_an_svg_drawing_is_read_at_its_own_shape(tmp_path: Path) -> None:
    shape = '<ellipse cx="60" cy="20" rx="50" ry="10" fill="none" stroke="navy" stroke-width="3"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="50">{shape}</svg>'
    (tmp_path / "a.svg").write_text(svg)
    rows, columns = np.nonzero(load_drawing(tmp_path / "a.svg")[..., 0] > 60)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(103 / 23, rel=0.1)


def test_a_symbol_saved_as_svg_reads_back_as_itself(tmp_path: Path) -> None:
    (tmp_path / "s.svg").write_text(render_svg(SPIRAL))
    drawn, symbol = load_drawing(tmp_path / "s.svg")[..., 0], render(SPIRAL)[..., 0]

    def extent(pixels: np.ndarray) -> float:
        return float(max(np.ptp(places) for places in np.nonzero(pixels > 40))) / len(pixels)

    # As large as a variant of a symbol is drawn, and as bright; somewhat smaller than the exact symbol.
    assert extent(drawn) == pytest.approx(0.6, abs=0.02)
    smaller = (extent(drawn) / extent(symbol)) ** 2
    assert (drawn > 200).mean() == pytest.approx((symbol > 200).mean() * smaller, rel=0.15)


def test_greys_of_svg_are_kept_and_a_faint_picture_is_stretched(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/>{}</svg>'
    (tmp_path / "disc.svg").write_text(svg.format('<circle cx="4" cy="4" r="3" fill="#4d4d4d"/>'))
    assert load_drawing(tmp_path / "disc.svg")[64, 64, 0] == 0x4D
    sketch(ink=140, paper=220).save(tmp_path / "pencil.png")
    assert load_drawing(tmp_path / "pencil.png")[64, 64, 0] > 240


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.png", None, "there is no drawing"),
        ("note.png", b"a text file", "neither PNG nor JPEG"),
        ("empty.png", b"", "neither PNG nor JPEG"),
        ("bad.svg", b"<svg", "no valid SVG"),
        ("bad2.svg", b"\xff\xfe\x00", "cannot be read as a drawing"),
        ("drawing.doc", b"x", "must be .svg"),
    ],
)
def test_a_bad_drawing_is_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        load_drawing(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_and_blank_drawings_are_refused(tmp_path: Path) -> None:
    sketch().save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1200])
    with pytest.raises(InputError, match="half.jpg cannot be read"):
        load_drawing(tmp_path / "half.jpg")
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    with pytest.raises(InputError, match="blank.png is blank"):
        load_drawing(tmp_path / "blank.png")


def test_a_huge_drawing_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (29_000, 3_000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="huge.png has"):
        load_drawing(tmp_path / "huge.png")


def test_drawings_of_a_user_take_the_place_of_the_symbols(tmp_path: Path) -> None:
    taxonomy = load_taxonomy("galaxy_zoo_1")
    for name in taxonomy.class_names[:-1]:
        sketch().save(tmp_path / f"{name}.png")
    with pytest.raises(InputError, match=taxonomy.class_names[-1]):
        symbol_bank(taxonomy, variants=2, drawings=tmp_path)
    (tmp_path / f"{taxonomy.class_names[-1]}.svg").write_text(render_svg(SPIRAL))
    bank = symbol_bank(taxonomy, variants=2, size=40, drawings=tmp_path)
    assert bank.shape == (len(taxonomy), 2, 40, 40, 3)
    np.testing.assert_array_equal(bank[0, 1], load_drawing(tmp_path / f"{taxonomy.class_names[0]}.png", 40))
    with pytest.raises(InputError, match="there is no folder"):
        symbol_bank(taxonomy, variants=1, drawings=tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_sheet_is_written_in_the_format_of_its_suffix(tmp_path: Path, suffix: str) -> None:
    out = symbol_sheet(load_taxonomy("galaxy_mnist"), tmp_path / f"sheet{suffix}")
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert out.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [out.name], "no temporary file stays behind"


def test_a_sheet_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    taxonomy = load_taxonomy("galaxy_mnist")
    with pytest.raises(InputError, match="must end in .png, .svg or .pdf"):
        symbol_sheet(taxonomy, tmp_path / "sheet.doc")
    with pytest.raises(InputError, match="cannot be written"):
        symbol_sheet(taxonomy, tmp_path / "missing" / "sheet.png")
