import pytest
import torch
import yaml

from ssdet.config import load
from ssdet.models import count_parameters
from ssdet.models.heads import build_head
from tests.tiny import ROOT, tiny_config


@pytest.fixture(scope="module")
def recipe():
    return load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))


@pytest.mark.parametrize(
    ("head", "parameters"),
    [
        ("linear", 160_925),
        ("se", 321_868),
        ("tgm", 1_132_093),
        ("tgm_se", 1_373_420),
        ("tgm_se_30", 1_373_420),
        ("pdan", 5_858_461),
        ("ms_tct", 87_503_930),
    ],
)
def test_the_recipes_heads_have_the_published_sizes(recipe, head, parameters):
    network = recipe.head.section(head, "charades").network
    with torch.device("meta"):
        assert count_parameters(build_head(network, 1024, 157)) == parameters


def test_every_head_of_the_recipe_is_built():
    heads = tiny_config().head.heads
    for name, entry in heads.items():
        with torch.device("meta"):
            model = build_head(entry.network, 432, 65)
        assert model.width == 432, name
