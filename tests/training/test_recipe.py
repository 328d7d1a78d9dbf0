"""Recipes: those that come along, and what is said about a broken one."""

from __future__ import annotations

import pytest

from galaxalign.errors import InputError
from galaxalign.training.recipe import load_recipe, recipe_names

STAGE = '[[stage]]\nname = "a"\npairs = { image-text = 1.0 }\nepochs = 1\n'


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_is_called_what_its_file_is(name):
    assert load_recipe(name).name == name


def test_the_papers_recipe_has_its_two_stages():
    warm_up, tri_modal = load_recipe("galaxalign").stages
    assert warm_up.symbol_tower == "shared"
    assert {"image-text", "symbol-text"} <= set(warm_up.pairs)
    assert tri_modal.symbol_tower == "own"
    assert {"image-text", "image-symbol", "symbol-text"} <= set(tri_modal.pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\nbatchsize = 3\n' + STAGE, "batchsize; did you mean 'batch_size'"),
        ('name = "x"\n' + STAGE + "epocs = 2\n", "stage.0.epocs; did you mean 'epochs'"),
        ('name = "x"\n' + STAGE.replace("epochs = 1", "epochs = 0"), "stage.0.epochs is 0"),
        ('name = "x"\n' + STAGE.replace("1.0", "0.0"), "at least one pair"),
        ('name = "x"\n', "stage"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_broken_recipe_is_named_with_what_to_do(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match="mine.toml") as caught:
        load_recipe(path)
    assert message in str(caught.value)


def test_a_pair_with_weight_zero_is_left_out(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "x"\n' + STAGE.replace("1.0 }", "1.0, image-symbol = 0.0 }"))
    (stage,) = load_recipe(path).stages
    assert set(stage.pairs) == {"image-text"}
    assert not stage.uses("symbol")


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(InputError, match="known are .*galaxalign"):
        load_recipe("galaxalgin")
    with pytest.raises(InputError, match="does not exist"):
        load_recipe("nowhere.toml")
