import pytest
import torch

from ssdet.models.bottleneck import Bottleneck
from ssdet.models.x3d import FEATURES, PRESETS, X3D


def narrow():
    torch.manual_seed(0)
    return X3D(depth_factor=0.5, width_factor=0.5).eval()


@pytest.mark.parametrize(
    ("name", "depths", "widths", "conv5"),
    [
        ("x3d_s", (3, 5, 11, 7), (24, 48, 96, 192), 432),
        ("x3d_m", (3, 5, 11, 7), (24, 48, 96, 192), 432),
        ("x3d_l", (5, 10, 25, 15), (24, 48, 96, 192), 432),
        ("x3d_xl", (5, 10, 25, 15), (32, 72, 136, 280), 630),
    ],
)
def test_published_sizes(name, depths, widths, conv5):
    with torch.device("meta"):
        x3d = X3D(*PRESETS[name])
    assert (x3d.depths, x3d.widths, x3d.conv5_width) == (depths, widths, conv5)


def test_a_narrow_network():
    x3d = narrow()
    assert x3d.depths == (1, 1, 3, 2)
    assert x3d.widths == (8, 16, 24, 48)
    assert x3d.feature_channels == {
        "layer1": 8,
        "layer2": 16,
        "layer3": 24,
        "layer4": 48,
        "conv5": 108,
    }


def test_every_side_is_halved_and_rounded_up_but_time_is_kept():
    maps = narrow().feature_maps(torch.randn(1, 3, 3, 70, 33))
    assert list(maps) == list(FEATURES)
    shapes = [tuple(x.shape[2:]) for x in maps.values()]
    assert shapes == [(3, 18, 9), (3, 9, 5), (3, 5, 3), (3, 3, 2), (3, 3, 2)]


def test_parts_in_order_are_the_network():
    x3d, video = narrow(), torch.randn(2, 3, 2, 32, 32)
    x = video
    for part in x3d.stem_and_stages:
        x = part(x)
    assert torch.equal(x3d.finish(x), x3d(video))
    assert torch.equal(x3d.feature_maps(video)["conv5"], x3d(video))


def test_the_map_of_one_level_is_altered_on_the_way():
    x3d, video = narrow(), torch.randn(2, 3, 2, 32, 32)
    shapes = []

    def twice(x):
        shapes.append((x.shape[1], x.shape[-1]))
        return 2 * x

    altered = [x3d(video, twice, level) for level in range(5)]
    assert shapes == [(3, 32), (8, 8), (16, 4), (24, 2), (48, 1)]
    assert torch.equal(altered[0], x3d(2 * video))
    x = video
    for part in x3d.stem_and_stages:
        x = part(x)
    assert torch.equal(altered[4], x3d.finish(2 * x))
    assert torch.equal(x3d(video, lambda x: x, 2), x3d(video))


def test_every_other_block_is_gated_and_the_first_strides():
    for stage in narrow().stages:
        for index, block in enumerate(stage):
            assert (block.squeeze_excite is not None) == (index % 2 == 0)
            assert block.depthwise.stride == (1 if index else 2)
            assert (block.shortcut is not None) == (index == 0)


def test_block_by_hand():
    """With the branch closed the block is the ReLU of its input."""
    block = Bottleneck(4, 9, 4, stride=1, gated=False).eval()
    with torch.no_grad():
        block.project.weight.zero_()
    x = torch.randn(1, 4, 2, 3, 3)
    assert torch.equal(block(x), x.relu())
    assert block.shortcut is None


def test_input_is_not_changed():
    video = torch.randn(1, 3, 2, 32, 32)
    before = video.clone()
    block, x = Bottleneck(4, 9, 4, stride=1, gated=True), torch.randn(2, 4, 2, 3, 3)
    kept = x.clone()
    block(x)
    narrow()(video)
    assert torch.equal(video, before)
    assert torch.equal(x, kept)
