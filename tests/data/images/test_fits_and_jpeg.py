"""A FITS cube and the picture made from it by the same stretch are one and the same galaxy to a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.images import decode
from galaxalign.data.images.preprocessing import ImageOptions, Preprocessing
from galaxalign.data.images.stretch import Stretch
from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings
from galaxalign.inference.pipeline import encode_catalog, prompt_prototypes
from galaxalign.models.by_name import load_encoder
from galaxalign.models.classifier_choice import ClassVectors, compare_classifiers
from galaxalign.models.classifiers import zero_shot
from galaxalign.models.model_folder import Model, load_model, save_model
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.verbs.classify import classify
from galaxalign.verbs.embed import embed
from galaxalign.verbs.search import search
from galaxalign.verbs.train import train

NAMES = load_taxonomy("galaxy_mnist").class_names
STRETCHES = {
    "lupton": "lupton:stretch=0.5,Q=8,scale=1.2/1/1.1",
    "asinh": "asinh:minimum=0,maximum=2,softening=0.1",
    "log": "log:minimum=0,maximum=2,a=300",
    "linear": "linear:minimum=0,maximum=1",
    "percentile": "percentile:lower=1,upper=99.8",
}
RECIPE = """
name = "short"
batch_size = 8
symbol_variants = 2
[[stage]]
name = "words"
pairs = { image-text = 1.0 }
symbol_tower = "shared"
epochs = 1
"""


@cache
def simulated_cube(seed: int) -> np.ndarray:
    """Return g, r, z flux of a simulated galaxy with the noise of a detector, float32 (3, 96, 96)."""
    from galaxalign.morphology.fill_in import complete
    from galaxalign.morphology.morphology import Morphology
    from galaxalign.morphology.render_light import galaxy_light

    rng = np.random.default_rng(seed)
    morphology = complete(Morphology(form="featured" if seed % 2 else "smooth"), rng)
    light = galaxy_light(morphology, rng, shape=(96, 96), radius=40.0)
    image = light.image.copy()
    for profile, _, flux in light.profiles:
        image += flux[:, None, None] * profile.drawImage(nx=96, ny=96, scale=1.0, dtype=float).array[::-1]
    # The simulator's bands run z, r, g; a file's run from blue to red.
    return (image[::-1] + rng.normal(0, 0.003, image.shape)).astype(np.float32)


def save_all(cubes: list[np.ndarray], folder: Path, stretch: str, labels: list[str], **jpeg: object) -> dict[str, Path]:
    """Write each cube as FITS, and as PNG and JPEG of the same stretch; return the three catalogues."""
    folder.mkdir(exist_ok=True)
    paths = {}
    for kind in ("fits", "png", "jpg"):
        rows = []
        for number, (cube, label) in enumerate(zip(cubes, labels, strict=True)):
            file = folder / f"{number}.{kind}"
            if kind == "fits":
                fits.writeto(file, cube[:, ::-1], checksum=True)  # FITS counts its rows from the bottom
            else:
                settings = {"quality": 100, "subsampling": 0} | jpeg if kind == "jpg" else {}
                Image.fromarray(Stretch.parse(stretch).apply(cube[::-1])).save(file, **settings)
            rows.append({"id_str": f"galaxy{number}", "file_loc": file.name, "label": label})
        paths[kind] = folder / f"{kind}.csv"
        pd.DataFrame(rows).to_csv(paths[kind], index=False)
    return paths


def cosines(one: Path, other: Path) -> np.ndarray:
    """Return the cosine of each galaxy's two vectors."""
    first, second = Embeddings.read(one), Embeddings.read(other)
    assert list(first.ids) == list(second.ids)
    assert first.ok.all()
    assert second.ok.all()
    return (first.vectors * second.vectors).sum(1)


@pytest.fixture
def start(tiny_clip, tmp_path):
    """Return the name of an encoder with random weights to start from."""
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, prompt_prototypes(tiny_clip, taxonomy), logit_scale=10.0)
    folder = save_model(Model(tiny_clip, taxonomy, choice), tmp_path / "start", card="")
    (folder / "galaxalign.json").unlink()  # what is left is any open_clip model, which has no stretch of its own
    return f"local-dir:{folder}"


@pytest.mark.slow
@pytest.mark.parametrize("stretch", STRETCHES)
def test_a_model_trained_on_fits_says_the_same_of_the_pictures(start, tmp_path, stretch):
    cubes = [simulated_cube(seed) for seed in range(16)]
    survey = save_all(cubes, tmp_path / "images", STRETCHES[stretch], NAMES * 4)
    (tmp_path / "short.toml").write_text(RECIPE)
    model = train(
        recipe=tmp_path / "short.toml",
        catalog=survey["fits"],
        taxonomy="galaxy_mnist",
        encoder=start,
        stretch=STRETCHES[stretch],
        out=tmp_path / "run",
        quiet=True,
    )
    assert load_model(model).encoder.preprocessing.stretch == str(Stretch.parse(STRETCHES[stretch]))
    said = {kind: classify(catalog=catalog, model=model, quiet=True) for kind, catalog in survey.items()}
    assert (said["fits"]["status"] == "ok").all()
    pd.testing.assert_frame_equal(said["fits"], said["png"])  # not a bit is lost on the way
    chances = np.sort(said["fits"].filter(like="probability_").to_numpy(), axis=1)
    sure = chances[:, -1] - chances[:, -2] > 0.05  # a tie falls to one side or the other
    assert (said["fits"]["label"] == said["jpg"]["label"])[sure].all()
    vectors = {
        kind: embed(catalog=catalog, model=model, out=tmp_path / f"{kind}.parquet", quiet=True)
        for kind, catalog in survey.items()
    }
    assert cosines(vectors["fits"], vectors["png"]).min() > 0.999999
    assert cosines(vectors["fits"], vectors["jpg"]).min() > 0.999


def test_pictures_keep_orientation_and_colour(tmp_path):
    cube = simulated_cube(1).copy()
    cube[2, :10, :10] = 5  # z, in the upper left corner
    save_all([cube], tmp_path, STRETCHES["lupton"], ["x"])
    chain = Preprocessing(stretch=STRETCHES["lupton"])
    shown, saved = decode(tmp_path / "0.fits", chain), decode(tmp_path / "0.jpg", chain)
    assert np.abs(shown.astype(int) - saved).mean() < 1.5
    assert shown[5, 5, 0] > 2 * shown[5, 5, 2]


@pytest.mark.slow
def test_another_stretch_than_saved_one_is_error_names_both(start, tmp_path):
    flux = save_all([simulated_cube(seed) for seed in range(16)], tmp_path / "images", "lupton", NAMES * 4)["fits"]
    (tmp_path / "short.toml").write_text(RECIPE)
    settings = {"recipe": tmp_path / "short.toml", "catalog": flux, "taxonomy": "galaxy_mnist", "quiet": True}
    model = train(**settings, encoder=start, stretch="lupton", out=tmp_path / "run")
    with pytest.raises(InputError, match=r"\[crop 1.0, 32 px, stretch lupton.*\[crop 1.0, 32 px, stretch log.*--out"):
        train(**settings, encoder=start, stretch="log", out=tmp_path / "run")
    with pytest.raises(InputError, match=r"stretch lupton.*stretch lupton.*bands 1,1,2.*leave --crop"):
        train(**settings, encoder=f"local-dir:{model}", bands="1,1,2", out=tmp_path / "more")
    # the very same may be said again, and is what a model that is trained further has anyway
    further = train(**settings, encoder=f"local-dir:{model}", stretch="lupton", out=tmp_path / "further")
    assert load_model(further).encoder.preprocessing == load_model(model).encoder.preprocessing
    pictures = train(
        **(settings | {"catalog": tmp_path / "images" / "jpg.csv"}), encoder=start, out=tmp_path / "pictures"
    )
    gallery = embed(catalog=flux, model=model, out=tmp_path / "e.parquet", quiet=True)
    with pytest.raises(InputError, match=r"embeddings file.*stretch lupton.*stretch none.*embed the catalogue again"):
        search(embeddings=gallery, image=tmp_path / "images" / "0.jpg", model=pictures)
    found = search(embeddings=gallery, image=tmp_path / "images" / "3.fits", k=1)
    assert found[0].id_str == "galaxy3"
    refused = classify(catalog=flux, model=pictures, quiet=True)
    assert refused["status"].str.contains("holds flux.*--stretch").all()


@pytest.mark.slow
@pytest.mark.real
def test_real_galaxies_as_fits_and_as_jpeg_are_the_same_to_lite(shared, tmp_path):
    taxonomy = load_taxonomy("galaxy_zoo_1")
    catalog = read_catalog(shared / "data" / "gz1" / "catalog.csv").select(np.arange(40))
    labels = taxonomy.encode(catalog.table["label"])
    cubes = []
    for path in catalog.paths():
        with Image.open(path) as picture:
            tables, sampling = picture.quantization, get_sampling(picture)
            cubes.append(np.moveaxis(np.asarray(picture.convert("RGB"), np.float32), -1, 0)[::-1])
    stretch = "linear:minimum=0,maximum=255"
    names = catalog.texts("label")
    # Compressed as the survey itself did it, so that nothing is lost that was not lost already; and harder.
    as_survey = save_all(cubes, tmp_path / "a", stretch, names, quality=-1, subsampling=sampling, qtables=tables)
    survey = as_survey | {"jpg95": save_all(cubes, tmp_path / "b", stretch, names, quality=95)["jpg"]}
    encoder = load_encoder("lite", look=ImageOptions(stretch=stretch, crop=0.45))
    vectors: dict[str, np.ndarray] = {}
    for kind, path in survey.items():
        parts = list(encode_catalog(encoder, read_catalog(path), mirror=True))
        assert {status for _, _, statuses in parts for status in statuses} == {"ok"}
        vectors[kind] = np.concatenate([part for _, part, _ in parts])
    cosine = {kind: (vectors["fits"] * vectors[kind]).sum(1) for kind in ("png", "jpg", "jpg95")}
    for kind, found in cosine.items():
        print(f"FITS against {kind}: smallest cosine {found.min():.5f}, median {np.median(found):.5f}")
    assert cosine["png"].min() > 0.999999
    assert cosine["jpg"].min() > 0.999
    assert np.median(cosine["jpg95"]) > 0.999
    known = labels >= 0
    lesson = (vectors["fits"][known], labels[known])
    name, choices = compare_classifiers(lesson, lesson, ClassVectors(taxonomy.class_names))
    model = save_model(Model(encoder, taxonomy, choices[name]), tmp_path / "model", card="")
    said = {kind: classify(catalog=path, model=model, quiet=True) for kind, path in survey.items()}
    pd.testing.assert_frame_equal(said["fits"], said["png"])
    assert list(said["fits"]["label"]) == list(said["jpg"]["label"])
    assert (said["fits"]["label"] == said["jpg95"]["label"]).mean() > 0.95
    print("same labels at quality 95:", (said["fits"]["label"] == said["jpg95"]["label"]).mean())
