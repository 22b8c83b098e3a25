"""Long videos in stretches of frames: as a single pass, with less memory."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ssdet.kernels.compiled import SWITCH
from ssdet.models import CoarseFine, X3DDetector
from ssdet.models.bottleneck import Bottleneck
from ssdet.models.initial import initialise
from ssdet.models.pieces import in_pieces, set_frames_at_once
from ssdet.models.x3d import Stem

SIZE = {"depth_factor": 0.5, "width_factor": 0.5, "head_width": 16, "classes": 5}


def detector():
    torch.manual_seed(1)
    model = X3DDetector(**SIZE, dropout=0.0, mode="loc")
    initialise(model)
    return model.double().eval()


def sum_of_three(x):
    """Each frame with its neighbours; nothing lies past the ends."""
    padded = F.pad(x, (0, 0, 0, 0, 1, 1))
    return padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]


@settings(deadline=None)
@given(total=st.integers(1, 20), frames=st.none() | st.integers(1, 20))
def test_any_stretch_gives_the_same(total, frames):
    x = torch.arange(2.0 * total).view(1, 2, total, 1, 1)
    assert torch.equal(in_pieces(sum_of_three, frames, 1, x), sum_of_three(x))
    both = in_pieces(lambda a, b: 2 * a + b, frames, 0, x, x)
    assert torch.equal(both, 3 * x)


def test_too_short_a_reach_is_seen():
    """That the comparison above can fail."""
    x = torch.ones(1, 1, 6, 1, 1)
    assert in_pieces(sum_of_three, 3, 0, x).flatten().tolist() == [2, 3, 2, 2, 3, 2]


@settings(max_examples=20, deadline=None)
@given(
    stride=st.sampled_from([1, 2]),
    gated=st.booleans(),
    frames=st.integers(1, 7),
    last=st.booleans(),
)
def test_blocks(stride, gated, frames, last):
    torch.manual_seed(2)
    block = Bottleneck(4, 9, 4, stride, gated).double().eval()
    x = torch.randn(2, 4, 8, 6, 6, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        whole = block(x)
        set_frames_at_once(block, frames)
        torch.testing.assert_close(block(x), whole, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("frames", [1, 3, 6, 7, 8])
def test_features_of_a_whole_video(frames):
    model = detector()
    video = torch.randn(1, 3, 7, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        maps, logits = model.features_and_logits(video, 7)
        set_frames_at_once(model, frames)
        found, found_logits = model.features_and_logits(video, 7)
    torch.testing.assert_close(found, maps, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(found_logits, logits, atol=1e-12, rtol=1e-12)


def test_the_two_stream_network():
    torch.manual_seed(1)
    options = {"compat": "fixed", "unpool": "resize", "film_init": "default"}
    model = CoarseFine(**SIZE, dropout=0.0, fine_frames=8, fusion=False, **options)
    initialise(model)
    model.double().eval()
    video = torch.randn(1, 3, 13, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        whole = model(video)
        set_frames_at_once(model, 2)
        torch.testing.assert_close(model(video), whole, atol=1e-12, rtol=1e-12)


def test_wide_layers_see_few_frames(monkeypatch):
    monkeypatch.setenv(SWITCH, "off")  # compiled, no wide map is ever whole
    model, seen = detector(), []
    set_frames_at_once(model, 4)

    def note(module, inputs):
        seen.append(inputs[0].shape[2])

    for module in model.modules():
        if isinstance(module, Bottleneck):
            module.expand.register_forward_pre_hook(note)
            module.project.register_forward_pre_hook(note)
        elif isinstance(module, Stem):
            module.spatial.register_forward_pre_hook(note)
    with torch.no_grad():
        model(torch.randn(1, 3, 30, 32, 32, dtype=torch.float64))
    assert max(seen) == 4 + 2 * 2  # the stem reaches two frames to either side


def test_training_sees_the_whole_batch():
    """Batch statistics of parts would be others."""
    model, seen = detector().train(), []
    set_frames_at_once(model, 2)
    model.backbone.stem.spatial.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape[2])
    )
    model(torch.randn(2, 3, 6, 32, 32, dtype=torch.float64))
    assert seen == [6]
