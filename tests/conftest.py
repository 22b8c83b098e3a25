"""Options of the test suite."""

import os
from pathlib import Path

import pytest
import torch

from tests.faults import matrix

# Read when Triton is imported, by whomever: without a GPU, it interprets the kernels.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        default=None,
        metavar="DIR",
        help="run tests/golden on this folder of reference outputs (or a parent of"
        " several) instead of the copies in tests/golden",
    )
    parser.addoption(
        "--soak",
        type=int,
        default=1,
        metavar="N",
        help="repeat each fault of tests/faults N times, with other draws",
    )
    parser.addoption(
        "--keep-matrix",
        action="store_true",
        help="write the matrix of faults into tests/faults/README.md",
    )


def pytest_terminal_summary(terminalreporter, config):
    matrix.summarise(terminalreporter, config)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of material that may not be passed on; its tests skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED}, which holds data that may not be passed on")
    return SHARED


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The generated sets of config/test.yaml, with inventories and frames."""
    from tests.tiny import make_tiny

    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def chain(tiny, tmp_path_factory):
    """Every file of one two-stream model on them; tests change copies."""
    from tests.streams import make_streams

    return make_streams(tiny, tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="session")
def spot_folder(tmp_path_factory):
    """Features of others for SPOT, with labels and inventory; tests change copies."""
    from tests.train.spot_runs import make_folder

    return make_folder(tmp_path_factory.mktemp("spot"))


@pytest.fixture(scope="session")
def spot_pretrained(spot_folder, tmp_path_factory):
    """A checkpoint of pretrain_spot on them."""
    from tests.train.spot_runs import pretrain, small

    out = tmp_path_factory.mktemp("spot_pretrained") / "pretrained.pt"
    pretrain(spot_folder, out, small())
    return out
