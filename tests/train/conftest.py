"""Runs that several tests of training start from."""

import pytest

from tests.train.spot_runs import make_folder, pretrain, small


@pytest.fixture(scope="session")
def spot_folder(tmp_path_factory):
    """Features of others, their labels and inventory; tests change copies."""
    return make_folder(tmp_path_factory.mktemp("spot"))


@pytest.fixture(scope="session")
def spot_pretrained(spot_folder, tmp_path_factory):
    """A checkpoint of pretrain_spot."""
    out = tmp_path_factory.mktemp("spot_pretrained") / "pretrained.pt"
    pretrain(spot_folder, out, small())
    return out
