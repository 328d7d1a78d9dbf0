"""The systems of the papers: what they are called, and that each can be built, trained, saved and loaded.

Weights of the hub are not needed: towers are random. A step on a tower as big as ViT-B takes gigabytes, so that the
smallest member of the same family stands for it; that it is the same family, a test on names of weights tells.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from galaxalign.bench.config import UNTRAINED, Tower, load_benchmark, load_systems
from galaxalign.errors import InputError
from galaxalign.models.by_name import load_encoder
from galaxalign.models.classifiers import zero_shot
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.model_folder import Model, load_model, save_model
from galaxalign.models.msn import MSN, msn_to_timm
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.training.batch import TrainingData
from galaxalign.training.loop import fit
from galaxalign.training.recipe import Recipe, load_recipe

SYSTEMS = load_systems()
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TAXONOMY = load_taxonomy("galaxy_mnist")

STANDS_FOR = {
    "vit_base_patch16_224": ("vit_tiny_patch16_224", 32),
    "vit_base_patch14_dinov2": ("vit_small_patch14_dinov2", 28),
    "msn:facebook/vit-msn-base": ("msn:facebook/vit-msn-small", 32),
    "resnet18": ("resnet18", 32),
    "resnet50": ("resnet50", 32),
    "hf_hub:mwalmsley/zoobot-encoder-maxvit_base_rw_224": ("maxvit_rmlp_pico_rw_256", 64),
    "hf_hub:mwalmsley/zoobot-encoder-convnext_base": ("timm:convnext_atto", 32),
    "convnext_base": ("timm:convnext_atto", 32),
    "ViT-B-16": ("small-ViT-B-16-quickgelu", 32),
    "convnext_base_w": ("small-convnext_base_w", 32),
}
"""For each architecture of the systems a small one of its family, and the side of the pictures."""

ON_THE_HUB = {
    "hf_hub:mwalmsley/zoobot-encoder-maxvit_base_rw_224": "maxvit_rmlp_base_rw_224",
    "hf_hub:mwalmsley/zoobot-encoder-convnext_base": "convnext_base",
}


def architecture(load: str) -> str:
    """Return the name without tag or weights, as `STANDS_FOR` has it."""
    return load if ":" in load else re.split(r"[./@]", load)[0]


def ways() -> list[tuple[str, str]]:
    """Return every architecture with every recipe that a system or a configuration trains it by, each once."""
    found = {}
    for system in SYSTEMS.values():
        name = architecture(system.encoder.load)
        if name in STANDS_FOR:
            # the configuration trains the frozen ones as well
            found["supervised" if system.training in UNTRAINED else system.training, STANDS_FOR[name]] = name
    return [(name, recipe) for (recipe, _), name in found.items()]


@pytest.fixture(scope="module", autouse=True)
def small_clip_models(tmp_path_factory):
    """Make open_clip know shrunk versions of the two CLIP models."""
    folder = tmp_path_factory.mktemp("configs")
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
    for name, changes in (
        ("ViT-B-16-quickgelu", {"image_size": 32, "layers": 2, "width": 128}),
        ("convnext_base_w", {"image_size": 32, "timm_model_name": "convnext_atto"}),
    ):
        config = open_clip.get_model_config(name)
        config |= {"embed_dim": 64, "text_cfg": text, "vision_cfg": config["vision_cfg"] | changes}
        (folder / f"small-{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield
    from open_clip import factory

    for name in ("small-ViT-B-16-quickgelu", "small-convnext_base_w"):
        del factory._MODEL_CONFIGS[name]


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """Put the hub out of reach, with an empty folder as its cache, and return the folder."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def pictures(size: int, n: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (n, size, size, 3)).astype(np.uint8)


def survey(size: int) -> TrainingData:
    """Return a handful of random pictures of four classes."""
    return TrainingData(
        images=pictures(size),
        labels=np.arange(8) % 4,
        validation_images=pictures(size),
        validation_labels=np.arange(8) % 4,
        prompts=[[f"A picture of a {name}"] for name in TAXONOMY.class_names],
        symbols=pictures(size, 8).reshape(4, 2, size, size, 3),
        flip_permutation=np.arange(4),
        captioner=lambda rows, generator: [f"a galaxy with {row} arms" for row in rows],
    )


def one_step(recipe: str) -> Recipe:
    """Return the recipe with one epoch, which is one step, in each stage."""
    plan = load_recipe(recipe)
    stages = tuple(stage.model_copy(update={"epochs": 1}) for stage in plan.stages)
    return plan.model_copy(update={"stages": stages, "batch_size": 8})


def trained(encoder, recipe: str, folder: Path) -> Model:
    """Train by one step of each stage, save, and return the loaded model after comparing the vectors."""
    size = encoder.preprocessing.size
    before = encoder.encode_images(pictures(size))
    fit(encoder, one_step(recipe), survey(size))
    vectors = encoder.encode_images(pictures(size))
    assert vectors.shape == (8, encoder.dimension)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(8))
    assert not torch.allclose(vectors, before)
    choice = zero_shot(TAXONOMY.class_names, np.eye(4, encoder.dimension, dtype=np.float32), logit_scale=10.0)
    save_model(Model(encoder, TAXONOMY, choice), folder, card="")
    loaded = load_model(folder)
    torch.testing.assert_close(loaded.encoder.encode_images(pictures(size)), vectors, atol=1e-5, rtol=1e-4)
    if isinstance(encoder, ClipEncoder):
        sentence = ["a spiral galaxy"]
        torch.testing.assert_close(loaded.encoder.encode_texts(sentence), encoder.encode_texts(sentence))
    return loaded


@pytest.mark.parametrize(("name", "recipe"), ways())
def test_each_system_trains_encodes_and_is_loaded_again(name, recipe, tmp_path):
    load, size = STANDS_FOR[name]
    torch.manual_seed(0)
    encoder = load_encoder(load, size=size, pretrained=False, words=load_recipe(recipe).needs_words)
    loaded = trained(encoder, recipe, tmp_path / "model")
    assert (getattr(loaded.encoder, "symbol", None) is not None) == recipe.startswith("galaxalign")


def test_clip_gmc_pretrains_on_sentences_and_tunes_on_words(tmp_path):
    load, size = STANDS_FOR["convnext_base_w"]
    trained(load_encoder(load, size=size, pretrained=False), "clip-gmc", tmp_path / "pretrained")
    trained(load_encoder(f"local-dir:{tmp_path / 'pretrained'}"), "image-text", tmp_path / "tuned")


def test_a_timm_tower_gets_words_of_its_own(tmp_path):
    torch.manual_seed(0)
    trained(load_encoder("vit_tiny_patch16_224", size=32, pretrained=False), "galaxalign", tmp_path)


def test_every_system_names_encoder_a_training_and_its_weights():
    page = (BENCHMARKS.parent / "docs" / "benchmark" / "systems.md").read_text()
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", page, flags=re.MULTILINE) == list(SYSTEMS)
    towers: dict[str, Tower] = {}
    for system in SYSTEMS.values():
        tower = system.encoder
        assert towers.setdefault(tower.name, tower) == tower  # one name is one tower
        assert tower.weights
        assert system.published
        if system.training not in UNTRAINED:
            load_recipe(system.training)
        assert architecture(tower.load) in STANDS_FOR or tower.load == "pretrained:clip-gmc"
    zoobot = [system for name, system in SYSTEMS.items() if name.startswith("zoobot-")]
    assert all("GZ-Evo" in s.encoder.weights and "GZD-5" in s.encoder.weights for s in zoobot)


def _clip_tower(name: str) -> torch.nn.Module:
    config = open_clip.get_model_config(name)
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    return kind(**config).visual


def _pattern(module: torch.nn.Module) -> set[str]:
    """Return the names of the weights, without the numbers of layers."""
    return {re.sub(r"\d+", "#", name) for name in module.state_dict()}


@pytest.mark.parametrize("name", sorted({architecture(s.encoder.load) for s in SYSTEMS.values()} & set(STANDS_FOR)))
def test_real_architecture_exists_and_is_of_family_was_trained(name):
    small, size = STANDS_FOR[name]
    with torch.device("meta"):
        if name in open_clip.list_models() and name != "convnext_base":
            real = {s.encoder.load for s in SYSTEMS.values() if architecture(s.encoder.load) == name}
            for load in real:
                tag = open_clip.get_pretrained_cfg(*load.split("/"))
                assert tag["hf_hub"]
            quick = "-quickgelu" if tag.get("quick_gelu") else ""
            towers = [_clip_tower(n) for n in (name + quick, small)]
        else:
            real = MSN.get(name.removeprefix("msn:")) or ON_THE_HUB.get(name, name)
            little = MSN.get(small.removeprefix("msn:")) or small.removeprefix("timm:")
            sized = [{"img_size": s} if "vit_" in real else {} for s in (224, size)]
            towers = [timm.create_model(n, num_classes=0, **s) for n, s in zip((real, little), sized, strict=True)]
    patterns = [_pattern(tower) for tower in towers]
    if "maxvit" in name:  # the small one has no hidden layer in its head; one with it loads from a file below
        patterns = [{n for n in names if not n.startswith(("head.", "norm."))} for names in patterns]
    assert patterns[0] == patterns[1]
    assert sum(p.numel() for p in towers[0].parameters()) >= 10e6


def test_timm_knows_the_weights_that_the_systems_name():
    for system in SYSTEMS.values():
        load = system.encoder.load
        if ":" not in load and "/" not in load:
            assert timm.get_pretrained_cfg(load).hf_hub_id, load
    with torch.device("meta"):
        # 124.5 million parameters, as the documentation of Zoobot says, with the head of ImageNet-12k
        maxvit = timm.create_model("maxvit_rmlp_base_rw_224", num_classes=11821)
    assert round(sum(p.numel() for p in maxvit.parameters()) / 1e6, 1) == 124.5


def test_msn_computes_the_same_under_the_names_of_timm(tmp_path):
    from transformers import ViTMSNConfig, ViTMSNModel

    torch.manual_seed(0)
    config = ViTMSNConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        initializer_range=0.5,
    )
    model = ViTMSNModel(config).eval()
    torch.nn.init.normal_(model.embeddings.position_embeddings)
    torch.nn.init.normal_(model.embeddings.cls_token)
    model.save_pretrained(tmp_path)
    twin = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, mlp_ratio=2, num_classes=0
    ).eval()
    pixels = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        wanted = model(pixels).last_hidden_state[:, 0]
        for weights in (model.state_dict(), load_file(tmp_path / "model.safetensors")):
            twin.load_state_dict(msn_to_timm(weights))
            torch.testing.assert_close(twin(pixels), wanted, atol=1e-4, rtol=1e-4)
            assert twin(pixels).std() > 0.1
    with pytest.raises(InputError, match="not of a ViTMSNModel"):
        msn_to_timm({"conv1.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"not of a whole ViTMSNModel.*attn\.v"):
        msn_to_timm({k: v for k, v in model.state_dict().items() if "v_proj" not in k and "value" not in k})


def test_msn_of_the_real_size_has_the_names_and_shapes_of_timm():
    from transformers import ViTMSNConfig, ViTMSNModel

    with torch.device("meta"):
        ours = msn_to_timm(ViTMSNModel(ViTMSNConfig()).state_dict())
        theirs = timm.create_model("vit_base_patch16_224", num_classes=0).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_msn_from_a_local_file(tmp_path):
    from transformers import ViTMSNConfig, ViTMSNModel

    torch.manual_seed(0)
    file = tmp_path / "model.safetensors"
    model = ViTMSNModel(ViTMSNConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536))
    save_file({f"vit.{name}": value for name, value in model.state_dict().items()}, file)
    encoder = load_encoder(f"msn:facebook/vit-msn-small@{file}", size=64, words=False)
    assert encoder.encode_images(pictures(64)).shape == (8, 384)
    assert encoder.visual.patch_embed.grid_size == (4, 4)
    assert encoder.mean == (0.485, 0.456, 0.406)
    torch.testing.assert_close(encoder.visual.norm.weight, model.layernorm.weight)
    with pytest.raises(InputError, match="no MSN model 'facebook/vit-msn-base-4'"):
        load_encoder("msn:facebook/vit-msn-base-4", words=False)


@pytest.mark.parametrize("small", ["convnext_atto", "maxvit_rmlp_pico_rw_256", "maxvit_tiny_tf_224"])
def test_zoobot_loads_from_a_local_file_at_another_size(small, tmp_path):
    """ConvNeXt's last norm is called head.norm; MaxViT's attention depends on the size of the picture."""
    torch.manual_seed(0)
    file = tmp_path / "zoobot.safetensors"
    tower = timm.create_model(small, num_classes=4)
    save_file(tower.state_dict(), file)
    encoder = load_encoder(f"timm:{small}@{file}", size=64, words=False)
    assert encoder.encode_images(pictures(64)).shape == (8, encoder.dimension)
    saved = tower.state_dict()
    changed = [k for k, v in encoder.visual.state_dict().items() if not torch.equal(v, saved[k])]
    assert all("relative_position" in name or "rel_pos" in name for name in changed)


def test_zoobot_loads_from_the_hub_and_is_saved_without_it(no_hub, tmp_path):
    """The cache of the hub holds a repository of the real name, with a small tower in it."""
    repository = no_hub / "models--mwalmsley--zoobot-encoder-convnext_base"
    snapshot = repository / "snapshots" / "0" / "config.json"
    snapshot.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0")
    mean = [0.4, 0.5, 0.6]
    told = {"input_size": [3, 64, 64], "mean": mean, "std": mean, "num_classes": 0}
    snapshot.write_text(json.dumps({"architecture": "convnext_atto", "num_classes": 0, "pretrained_cfg": told}))
    torch.manual_seed(0)
    tower = timm.create_model("convnext_atto", num_classes=0)
    save_file(tower.state_dict(), snapshot.parent / "model.safetensors")
    load = SYSTEMS["zoobot-convnext"].encoder.load
    encoder = load_encoder(load, size=32, words=False)
    assert encoder.architecture == "convnext_atto"
    assert list(encoder.mean) == mean
    torch.testing.assert_close(next(encoder.visual.parameters()), next(tower.parameters()))
    trained(encoder, "supervised", tmp_path / "model")
    with_words = load_encoder(load, size=32)
    torch.testing.assert_close(next(with_words.visual.parameters()), next(tower.parameters()))


@pytest.mark.parametrize(
    ("load", "file"),
    [
        ("resnet50.a1_in1k", r"download its model\.safetensors .* timm:resnet50\.a1_in1k@FILE"),
        ("ViT-B-16/openai", r"download its open_clip_model\.safetensors .* ViT-B-16-quickgelu@FILE"),
        ("hf-hub:laion/CLIP", r"open_clip_model\.safetensors and open_clip_config\.json .* local-dir:FOLDER"),
        ("msn:facebook/vit-msn-base", r"download its model\.safetensors .* msn:facebook/vit-msn-base@FILE"),
        ("hf_hub:mwalmsley/zoobot-encoder-convnext_base", r"model\.safetensors .* timm:ARCHITECTURE@FILE"),
    ],
)
def test_where_the_hub_is_out_of_reach_the_file_is_named(load, file, no_hub):
    with pytest.raises(InputError, match=file):
        load_encoder(load, words=load.startswith(("ViT", "hf-hub")))


def test_without_pretraining_neither_hub_nor_weights_are_asked(no_hub):
    for load, recipe in (("resnet18.a1_in1k", "supervised"), ("small-ViT-B-16-quickgelu/openai", "galaxalign")):
        torch.manual_seed(0)
        one = load_encoder(load, size=32, pretrained=False, words=load_recipe(recipe).needs_words)
        torch.manual_seed(1)
        other = load_encoder(load, size=32, pretrained=False, words=load_recipe(recipe).needs_words)
        assert not torch.equal(next(one.visual.parameters()), next(other.visual.parameters()))
    with pytest.raises(InputError, match="random weights need no repository"):
        load_encoder("hf-hub:laion/CLIP", pretrained=False)
    with pytest.raises(InputError, match="name the encoder timm:ARCHITECTURE"):
        load_encoder("hf_hub:mwalmsley/zoobot-encoder-convnext_base", pretrained=False)


def test_openai_weights_get_activation_they_were_trained_with():
    encoder = load_encoder("ViT-B-16/openai", size=32, pretrained=False)
    assert encoder.config["quick_gelu"]
    assert encoder.config["vision_cfg"]["image_size"] == encoder.preprocessing.size == 32
    assert any(type(layer).__name__ == "QuickGELU" for layer in encoder.visual.modules())


def test_an_open_clip_file_is_loaded_at_another_size(tmp_path):
    torch.manual_seed(0)
    source = load_encoder("small-ViT-B-16-quickgelu", pretrained=False)
    file = tmp_path / "clip.safetensors"
    save_file({k: v.contiguous() for k, v in source.model.state_dict().items()}, file)
    encoder = load_encoder(f"small-ViT-B-16-quickgelu@{file}", size=64)
    assert len(encoder.visual.positional_embedding) == 17
    torch.testing.assert_close(encoder.visual.conv1.weight, source.visual.conv1.weight)
    assert encoder.encode_images(pictures(64)).shape == (8, 64)


def test_sizes_that_a_tower_cannot_have_are_refused():
    with pytest.raises(InputError, match="cannot look at pictures of 70 pixels"):
        load_encoder("maxvit_rmlp_pico_rw_256", size=70, pretrained=False, words=False)
    with pytest.raises(InputError, match="looks at 128 pixels, not 64"):
        load_encoder("galaxy-lite", size=64)
    with pytest.raises(InputError, match="is its weights"):
        load_encoder("galaxy-lite", pretrained=False)


def test_lite_at_another_size_and_from_scratch():
    small = load_encoder("lite", size=64)
    scratch = load_encoder("lite", size=64, pretrained=False)
    assert small.encode_images(pictures(64)).shape == scratch.encode_images(pictures(64)).shape == (8, 384)
    assert not torch.equal(next(small.visual.parameters()), next(scratch.visual.parameters()))
    words = ["a ring"]
    torch.testing.assert_close(small.encode_texts(words), scratch.encode_texts(words))


@pytest.mark.real
@pytest.mark.parametrize(
    ("architecture", "file", "size", "width"),
    [
        ("mobilenetv3_small_100", "mobilenetv3_small_100_timm.safetensors", 128, 576),
        ("vit_small_patch14_dinov2", "dinov2_vits14_timm_fp16.safetensors", 98, 384),
    ],
)
def test_towers_files_look_at_other_sizes_and_without_words(architecture, file, size, width, shared):
    load = f"{architecture}@{shared / 'weights' / file}"
    alone, spoken = load_encoder(load, size=size, words=False), load_encoder(load, size=size)
    assert alone.encode_images(pictures(size)).shape == (8, width)
    assert spoken.encode_images(pictures(size)).shape == (8, 384)
    torch.testing.assert_close(next(alone.visual.parameters()), next(spoken.visual.parameters()))
    scratch = load_encoder(load, size=size, pretrained=False, words=False)
    assert [p.shape for p in scratch.visual.parameters()] == [p.shape for p in alone.visual.parameters()]
    assert not torch.equal(next(scratch.visual.parameters()), next(alone.visual.parameters()))


def test_ablations_differ_from_galaxalign_in_their_stages_alone():
    whole = load_recipe("galaxalign")
    first, second = whole.stages
    for name, stage, epochs in (("v1", first, first.epochs), ("v2", second, whole.epochs), ("v3", first, whole.epochs)):
        ablation = load_recipe(f"galaxalign-{name}")
        assert ablation.stages == (stage.model_copy(update={"epochs": epochs}),)
        settings = {"name", "description", "stages"}
        assert ablation.model_dump(exclude=settings) == whole.model_dump(exclude=settings)


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "full").glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_for_big_towers_differ_in_their_rates_alone(path):
    """They differ from the package's recipes in the learning rates, so that an ablation is one there as well."""
    big, own = load_recipe(path), load_recipe(path.stem)
    slow = {"lr_trunk": 3e-5, "lr_head": 1e-3}
    assert big == own.model_copy(update={"stages": tuple(s.model_copy(update=slow) for s in own.stages)})


def test_configurations_of_papers_load_and_have_every_system(tmp_path):
    paper = load_benchmark(BENCHMARKS / "paper-galaxalign.toml", data="X")
    gmc = load_benchmark(BENCHMARKS / "paper-clip-gmc.toml", data="X")
    cells = [*paper.cells(), *gmc.cells()]
    rows = [b.line(cell.encoder, cell.training) for b in (paper, gmc) for cell in b.cells()]
    wanted = {name for system in SYSTEMS.values() for name in system.published}
    assert wanted == {name for row in rows for name in row.published}
    assert {cell.dataset for cell in cells} == {"galaxy10_decals", "galaxy_mnist"}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    for benchmark in (paper, gmc):
        assert {cell.share for cell in benchmark.cells() if not cell.shuffled} == {1, 5, 10, 20, 50, 100}
    assert {c.protocol for c in paper.cells()} == {
        "clean",
        "random-split",
        "augmented-first",
        "epoch-on-test",
        "symbol-given",
    }
    assert gmc.pretraining("clip-gmc").encoder == SYSTEMS["clip-convnext"].encoder.load
    used = {(c.encoder, c.training) for c in cells}
    for system in SYSTEMS.values():
        training = "from-scratch" if system.name.startswith("scratch") else system.training
        assert (system.encoder.name, training) in used, system.name


def test_a_local_file_takes_the_place_of_a_system_s_weights(tmp_path):
    file = tmp_path / "local.toml"
    file.write_text(
        'name = "local"\n[[dataset]]\nname = "a"\ncatalog = "a.csv"\ntaxonomy = "efigi"\n'
        '[[encoder]]\nname = "resnet50"\nload = "resnet50@{data}/w.safetensors"\n'
        '[[run]]\nsystems = ["resnet-50"]\n'
    )
    benchmark = load_benchmark(file, data="X")
    assert benchmark.encoder("resnet50").load == "resnet50@X/w.safetensors"
    assert benchmark.line("resnet50", "supervised").published == ("ResNet-50",)
