"""Shared fixtures, and how tests are spread over cores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

# One thread for each process, before numpy and torch start theirs: workers share the cores.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# Other interpreters that tests start import this checkout, not what is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH")))
)

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

if TYPE_CHECKING:
    from galaxalign.models import ClipEncoder

LONG = bool(os.environ.get("GALAXALIGN_LONG"))
"""Whether fuzzing, kill and load tests run at full length (`just long`)."""

# How long an example takes tells more of the machine than of the program.
settings.register_profile("short", deadline=None, max_examples=30)
settings.register_profile("long", deadline=None, max_examples=500)
settings.load_profile("long" if LONG else "short")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run the whole suite or a marked part of it on all cores, named files or tests in this process."""
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    return min(4, os.cpu_count() or 1) if whole else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a module's fixture in one worker, and start the slow ones first.

    Tests in a browser and tests on real galaxies are slow.
    """
    for item in items:
        if item.get_closest_marker("browser") or item.get_closest_marker("real"):
            item.add_marker(pytest.mark.slow)
        definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
        if any(found[-1].scope in ("module", "package", "class") for found in definitions.values()):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with the real galaxies; without it skip on a user's machine and fail in CI."""
    default = Path(__file__).parents[1] / ".." / "shared"
    folder = Path(os.environ.get("GALAXALIGN_SHARED", default)).resolve()
    if not (folder / "data" / "efigi" / "catalog.csv").is_file():
        reason = f"no real galaxies at {folder}; set GALAXALIGN_SHARED to the folder that holds data/efigi"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def tiny_clip() -> ClipEncoder:
    """Return a CLIP with random weights that trains in milliseconds, at 32 px."""
    return make_tiny_clip()


def make_tiny_clip() -> ClipEncoder:
    """Return a new CLIP with the same random weights each time; seeds torch."""
    import open_clip
    import torch

    from galaxalign.data.images.preprocessing import Preprocessing
    from galaxalign.models.clip import ClipEncoder

    torch.manual_seed(0)
    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "timm_model_name": "test_efficientnet",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 32,
        },
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
        "custom_text": True,
    }
    model = open_clip.CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    half = (0.5, 0.5, 0.5)
    return ClipEncoder(
        model,
        open_clip.get_tokenizer("RN50"),
        config,
        name="tiny",
        preprocessing=Preprocessing(size=32),
        pixels=(half, half),
    )


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of an untrained encoder to start from, which no test may change."""
    from galaxalign.inference import prompt_prototypes
    from galaxalign.models import Model, save_model, zero_shot
    from galaxalign.morphology import load_taxonomy

    taxonomy, encoder = load_taxonomy("galaxy_mnist"), make_tiny_clip()
    choice = zero_shot(taxonomy.class_names, prompt_prototypes(encoder, taxonomy), logit_scale=10.0)
    folder = tmp_path_factory.mktemp("models") / "start"
    return f"local-dir:{save_model(Model(encoder, taxonomy, choice), folder, card='')}"
