import pytest
import yaml

from ssdet.config import load
from ssdet.models.head_cost import head_cost
from tests.tiny import ROOT

D, C, T = 2048, 157, 128


@pytest.fixture(scope="module")
def heads():
    recipe = load(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    return {name: entry.network for name, entry in recipe.head.heads.items()}


def test_a_linear_head_by_hand(heads):
    cost = head_cost(heads["linear"], D, C)
    assert (cost.parameters, cost.multiply_adds) == (D * C + C, T * D * C)


def test_super_events_by_hand(heads):
    """Two banks of three windows over the steps, and a class matrix for each bank."""
    cost = head_cost(heads["se"], D, C)
    assert cost.multiply_adds == T * D * C + 2 * (3 * T * D + D * C)


def test_mixture_layers_by_hand(heads):
    """Kernels made of 16 windows, 1 + 8 + 8 channels to 8, for every feature's row."""
    kernels = (8 + 64 + 64) * 16 * 5
    rows = D * T * (8 + 64 + 64) * 5
    classifier = T * (2 * D * 512 + 512 * C)
    cost = head_cost(heads["tgm"], D, C)
    assert cost.multiply_adds == kernels + rows + classifier


def test_every_head_of_the_recipe_is_counted(heads):
    for name, network in heads.items():
        assert head_cost(network, 432, 65).multiply_adds > 0, name
