import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.stem import stem
from tests.kernels.compiler import needs_compiler

pytestmark = needs_compiler


def drawn(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def plain(video, space, time, norm):
    x = F.conv3d(video, space, None, (1, 2, 2), (0, 1, 1))
    x = F.conv3d(x, time, None, 1, (2, 0, 0), groups=len(time))
    scale, shift = (each.view(-1, 1, 1, 1) for each in norm)
    return F.relu(x * scale + shift)


@pytest.mark.parametrize("channels", [1, 8, 24])  # of 8 in a vector
@pytest.mark.parametrize(
    "size", [(1, 1, 1), (2, 2, 3), (4, 5, 4), (7, 16, 17), (3, 69, 40)]
)
def test_as_pytorch_computes_it(channels, size):
    video = drawn(2, 3, *size)
    space, time = (
        drawn(channels, 3, 1, 3, 3, seed=1),
        drawn(channels, 1, 5, 1, 1, seed=2),
    )
    norm = drawn(channels, seed=3), drawn(channels, seed=4)
    found = stem(video, space, time, norm)
    torch.testing.assert_close(found, plain(video, space, time, norm))
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize(
    ("dtype", "apart"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)]
)
def test_rounding(dtype, apart):
    video, space = drawn(1, 3, 6, 20, 22), drawn(24, 3, 1, 3, 3, seed=1)
    time, norm = drawn(24, 1, 5, 1, 1, seed=2), (torch.ones(24), torch.zeros(24))
    expected = plain(video, space, time, norm)
    found = stem(video.to(dtype), space.to(dtype), time.to(dtype), norm)
    assert found.dtype == dtype
    assert (found.double() - expected).norm() < apart * expected.norm()


def test_only_colours():
    with pytest.raises(ValueError, match="3 channels, got 2"):
        stem(drawn(1, 2, 1, 4, 4), drawn(8, 2, 1, 3, 3), drawn(8, 1, 5, 1, 1), ())
