"""The networks on the compiled kernels of CPUs, beside the same on PyTorch's."""

import copy

import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.compiled import SWITCH
from ssdet.models import X3DDetector
from ssdet.models.bottleneck import recompute_blocks
from ssdet.models.initial import initialise
from ssdet.models.pieces import set_frames_at_once
from ssdet.models.sub_batch_norm import set_splits
from ssdet.models.x3d import X3D
from tests.kernels.compiler import needs_compiler

pytestmark = needs_compiler


def detector(splits=2):
    torch.manual_seed(0)
    model = X3DDetector(
        depth_factor=1.0,
        width_factor=1.0,
        head_width=32,
        classes=5,
        dropout=0.0,
        mode="loc",
    )
    initialise(model)
    set_splits(model, splits)
    return model.to(memory_format=torch.channels_last_3d)


def clips(dtype=torch.float64):
    video = torch.randn(4, 3, 6, 33, 32, generator=torch.Generator().manual_seed(1))
    return video.to(dtype).to(memory_format=torch.channels_last_3d)


def step(model, video, half=False):
    """Logits of a step, then gradients and statistics, then logits in evaluation."""
    model = copy.deepcopy(model).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = model(video)
        loss = F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
    loss.backward()
    gradients = torch.cat([p.grad.double().flatten() for p in model.parameters()])
    buffers = torch.cat([b.double().flatten() for b in model.buffers()])
    model.eval()
    set_frames_at_once(model, 4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        return logits.detach(), gradients, buffers, model(video)


def apart(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("splits", [1, 2])
def test_in_float64_nothing_differs(monkeypatch, splits):
    model = detector(splits).double()
    found = step(model, clips())
    monkeypatch.setenv(SWITCH, "off")
    for one, two in zip(found, step(model, clips()), strict=True):
        assert apart(one, two) < 1e-11


@pytest.mark.parametrize(("half", "allowed"), [(False, 1e-4), (True, 0.1)])
def test_rounding_is_that_of_pytorch(monkeypatch, half, allowed):
    """Against float64; PyTorch's kernels are as far away."""
    model = detector()
    dtype = torch.float32
    found = step(model, clips(dtype), half)
    monkeypatch.setenv(SWITCH, "off")
    exact = step(copy.deepcopy(model).double(), clips())
    plain = step(model, clips(dtype), half)
    for one, stock, expected in zip(found, plain, exact, strict=True):
        assert apart(one, expected) < max(allowed, 2 * apart(stock, expected))


def test_the_same_bits_again_and_when_blocks_are_recomputed():
    model, video = detector(), clips(torch.float32)
    first, again = step(model, video), step(model, video)
    recompute_blocks(model)
    recomputed = step(model, video)
    for one, two, three in zip(first, again, recomputed, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_number_stays_so(training):
    """A network that diverged must not look as if it had not."""
    model = X3D(0.4, 1.0).train(training)
    video = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        model.stages[1][0].expand.weight[0, 0] = float("nan")
        assert model(video).isnan().any(dim=1).all()
        model.stem.temporal.weight[0] = float("nan")
        assert model.stem(video).isnan().any(dim=1).all()
