import pytest
import torch

from ssdet.config import ModelConfig
from ssdet.models import build_detector, count_parameters
from ssdet.models.detector import pool_space
from ssdet.models.frame_head import FrameHead

TINY = ModelConfig(depth_factor=0.5, width_factor=0.5, head_width=16, dropout=0.5)


def test_one_prediction_for_each_frame():
    detector = build_detector(TINY, 5).eval()
    assert detector(torch.randn(2, 3, 3, 32, 32)).shape == (2, 5, 3)


def test_modes_share_their_weights():
    frames = build_detector(TINY, 5).eval()
    clip = build_detector(TINY, 5, mode="class").eval()
    clip.load_state_dict(frames.state_dict())
    one_frame = torch.randn(2, 3, 1, 32, 32)
    torch.testing.assert_close(clip(one_frame), frames(one_frame))
    assert clip(torch.randn(2, 3, 4, 32, 32)).shape == (2, 5, 1)


def test_head_by_hand():
    head = FrameHead(1, 1, 2, dropout=0.5, mode="loc").eval()
    with torch.no_grad():
        head.fc1.weight.fill_(2.0)
        head.fc2.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.fc2.bias.copy_(torch.tensor([0.5, 0.0]))
    x = torch.tensor([[[[[1.0, 3.0]], [[-1.0, -3.0]]]]])  # means 2 and -2
    assert head(x).tolist() == [[[4.5, 0.5], [-4.0, 0.0]]]
    head.mode = "class"  # mean 0
    assert head(x).tolist() == [[[0.5], [0.0]]]


def test_features_and_logits_in_one_pass():
    detector = build_detector(TINY, 5).eval()
    video = torch.randn(1, 3, 2, 64, 64)
    maps, logits = detector.features_and_logits(video, 4)
    assert torch.equal(logits, detector(video))
    native = detector.backbone.feature_maps(video)
    assert {name: tuple(x.shape) for name, x in maps.items()} == {
        "layer1": (1, 8, 2, 4, 4),
        "layer2": (1, 16, 2, 4, 4),
        "layer3": (1, 24, 2, 4, 4),
        "layer4": (1, 48, 2, 4, 4),
        "conv5": (1, 108, 2, 4, 4),
        "head": (1, TINY.head_width, 2, 1, 1),
    }
    torch.testing.assert_close(detector.head.classify(maps["head"]), logits)
    torch.testing.assert_close(maps["layer3"], native["layer3"])  # is 4 x 4 already
    corner = native["layer1"][..., :4, :4].mean((3, 4))  # 16 x 16
    torch.testing.assert_close(maps["layer1"][..., 0, 0], corner)


def test_pool_space_keeps_time():
    x = torch.arange(16.0).view(1, 1, 4, 2, 2)
    assert pool_space(x, 1).flatten().tolist() == [1.5, 5.5, 9.5, 13.5]


def test_number_of_parameters_follows_the_classes():
    few, many = (count_parameters(build_detector(TINY, k)) for k in (2, 3))
    assert many - few == TINY.head_width + 1


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode must be 'loc' or 'class', got 'both'"):
        FrameHead(1, 1, 2, dropout=0.5, mode="both")
