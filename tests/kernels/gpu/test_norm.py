"""The Triton kernels of norms against their definitions.

What `ssdet/kernels/norm.py` makes of them is tested in tests/kernels/test_norm.py.
"""

import pytest
import torch
from torch.nn import functional as F

from ssdet.kernels.gpu import plain
from tests.kernels.gpu.small import small_norms

pytest.importorskip("triton", reason="Triton is not installed")
ours = pytest.importorskip("ssdet.kernels.gpu.norm")

LAST = torch.channels_last_3d
CASES = [
    ("none", False),
    ("relu", False),
    ("relu", True),
    ("silu", False),
]
SIZE = (2, 5, 3, 3, 5)  # 45 pixels of 5 channels: nothing is whole


@pytest.fixture(autouse=True)
def small(monkeypatch):
    small_norms(monkeypatch)


def draw(device, dtype, *shapes):
    generator = torch.Generator().manual_seed(0)
    found = [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)
        for shape in shapes
    ]
    return [x.contiguous(memory_format=LAST) if x.ndim == 5 else x for x in found]


def applied(x, scale, shift, activation, other=None):
    out = torch.empty_like(x)
    ours.apply(x, scale, shift, activation, other, out)
    return out


def test_moments(device):
    (x,) = draw(device, torch.float64, (3, 5, 3, 3, 5))
    torch.testing.assert_close(ours.moments(x), plain.moments(x))


def test_a_mean_far_from_zero_costs_no_digits(device):
    """Sums of squares in float32 would lose all of 1 beside 4096 squared."""
    x = torch.full((1, 1, 4, 2, 2), 4096.0, device=device)
    x += torch.tensor([1.0, -1.0], device=device)
    mean, square = ours.moments(x)
    assert mean.item() == 4096
    assert square.item() == 16


def test_moments_of_parts_are_joined(device):
    """Of 1, 2 and 6; then of 3, 3, 5 and 5: a part of no values counts nothing."""
    number = torch.tensor([[1.0, 2.0, 0.0], [2.0, 0.0, 2.0]], device=device)
    mean = torch.tensor([[1.0, 4.0, 0.0], [3.0, 0.0, 5.0]], device=device)
    square = torch.tensor([[0.0, 8.0, 0.0], [0.0, 0.0, 0.0]], device=device)
    whole, squares = ours.joined(torch.stack([number, mean, square])[..., None])
    assert whole.flatten().tolist() == [3, 4]
    assert squares.flatten().tolist() == [14, 4]


@pytest.mark.parametrize(("groups", "momentum"), [(1, 0.1), (2, 0.1), (2, 0.0)])
def test_statistics(device, groups, momentum):
    shapes = (4, 19, 1, 2, 3), (19,), (19,)
    x, weight, bias = draw(device, torch.float64, *shapes)
    running = torch.ones(2, 2 * groups, 19, dtype=torch.float64, device=device)
    means, variances = running[:, ::2]
    norms = [torch.nn.BatchNorm3d(19, device=device).double() for _ in range(groups)]
    for group, norm in enumerate(norms):
        norm.running_mean.copy_(means[group])
        norm(x[group::groups])
    given = (ours.moments(x), 6, weight, bias, (means, variances), momentum)
    mean, inverse, scale, shift = ours.batch_statistics(*given)
    for group, norm in enumerate(norms):
        of_group = x[group::groups]
        expected = of_group.mean((0, 2, 3, 4))
        variance = of_group.var((0, 2, 3, 4), correction=0)
        torch.testing.assert_close(mean[group::groups][-1], expected)
        torch.testing.assert_close(inverse[group], (variance + 1e-5).rsqrt())
        if momentum:
            torch.testing.assert_close(means[group], norm.running_mean)
            torch.testing.assert_close(variances[group], norm.running_var)
    torch.testing.assert_close(scale, inverse * weight)
    torch.testing.assert_close(shift, bias - mean * scale)
    untouched = running[:, 1::2] if momentum else running
    assert untouched.eq(1).all()


def test_running_statistics_of_evaluation(device):
    weight, bias, mean, variance = draw(device, torch.float32, *[(19,)] * 4)
    variance = variance.abs()
    found = ours.fixed_statistics(3, weight, bias, (mean, variance))
    inverse = (variance + 1e-5).rsqrt()
    scale = weight * inverse
    for one, two in zip(
        found, (mean, inverse, scale, bias - mean * scale), strict=True
    ):
        torch.testing.assert_close(one, two.expand(3, 19))


@pytest.mark.parametrize(("activation", "has_other"), CASES)
def test_apply_and_its_gradients(device, activation, has_other):
    """`backward` with slope and constant is the gradient with a linear term."""
    maps, rows = [SIZE] * 3, [SIZE[:2]] * 5
    x, other, upper, scale, shift, mean, slope, constant = draw(
        device, torch.float64, *maps, *rows
    )
    given = [x, scale, shift, *[other] * has_other]
    for tensor in given:
        tensor.requires_grad_()
    expected = plain.apply(*given[:3], activation, *given[3:])
    to_x, to_scale, to_shift, *to_other = torch.autograd.grad(expected, given, upper)
    values = [tensor.detach() for tensor in given]
    out = applied(*values[:3], activation, *values[3:])
    torch.testing.assert_close(out, expected)

    given = (upper, values[0], out if has_other else None, *values[1:3], mean)
    sums, products = ours.reduce(*given, activation)
    torch.testing.assert_close(sums, to_shift)
    torch.testing.assert_close(products, to_scale - mean * to_shift)
    found, to_added = ours.backward(*given, slope, constant, activation)
    size = (*SIZE[:2], 1, 1, 1)
    line = (x - mean.view(size)) * slope.view(size) + constant.view(size)
    torch.testing.assert_close(found, to_x + line)
    if has_other:
        torch.testing.assert_close(to_added, to_other[0])
    else:
        assert to_added is None


def test_one_row_of_coefficients_is_for_all_clips(device):
    x, scale, shift = draw(device, torch.float32, SIZE, (5,), (5,))
    out = applied(x, scale.expand(2, 5), shift.expand(2, 5), "relu")
    size = (5, 1, 1, 1)
    torch.testing.assert_close(out, F.relu(x * scale.view(size) + shift.view(size)))


def test_the_result_may_take_the_place_of_what_was_given(device):
    x, scale, shift, other = draw(device, torch.float32, SIZE, (2, 5), (2, 5), SIZE)
    expected = applied(x, scale, shift, "relu", other)
    ours.apply(x, scale, shift, "relu", other, x)
    assert torch.equal(x, expected)


@pytest.mark.parametrize("activation", ["none", "relu", "silu"])
def test_what_is_no_number_is_not_hidden(device, activation):
    x = torch.full((1, 1, 1, 1, 2), float("nan"), device=device)
    one = torch.ones(1, 1, device=device)
    assert applied(x, one, one, activation).isnan().all()


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_silu_far_from_zero(device):
    x = torch.tensor([-1e4, -100.0, 100.0, 1e4], device=device).view(1, 1, 1, 1, 4)
    one, zero = torch.ones(1, 1, device=device), torch.zeros(1, 1, device=device)
    assert applied(x, one, zero, "silu").flatten().tolist() == [0, 0, 100, 1e4]
    given = (torch.ones_like(x), x, None, one, zero, zero, zero, zero, "silu")
    assert ours.backward(*given)[0].flatten().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("activation", "has_other"), CASES[2:])
def test_bf16_is_within_its_rounding(device, rounding, activation, has_other):
    shapes = [SIZE] * 3 + [SIZE[:2]] * 2
    x, other, upper, scale, shift = draw(device, torch.bfloat16, *shapes)
    scale, shift = scale.float(), shift.float()
    others = [other] * has_other
    out = applied(x, scale, shift, activation, *others)
    wide = [tensor.float().requires_grad_() for tensor in (x, scale, shift, *others)]
    expected = plain.apply(*wide[:3], activation, *wide[3:])
    torch.testing.assert_close(out.float(), expected, **rounding)
    exact = torch.autograd.grad(expected, wide, upper.float())
    given = (
        upper,
        x,
        out if has_other else None,
        scale,
        shift,
        torch.zeros_like(scale),
    )
    sums, products = ours.reduce(*given, activation)
    torch.testing.assert_close(products, exact[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sums, exact[2], rtol=1e-5, atol=1e-5)
    nothing = torch.zeros_like(scale)
    to_x, _ = ours.backward(*given, nothing, nothing, activation)
    torch.testing.assert_close(to_x.float(), exact[0], **rounding)


def test_slopes(device):
    """Two clips, one channel, 5 pixels: by hand."""
    sums, products, inverse, scale = (
        torch.tensor(each, device=device)[:, None]
        for each in ([1.0, 2.0], [3.0, 4.0], [0.5, 0.5], [2.0, 2.0])
    )
    found = ours.slopes(sums, products, inverse, scale, 5, 1)
    slope, constant, to_weight, to_bias = (each.flatten().tolist() for each in found)
    assert slope == pytest.approx([-2 * 0.25 * 7 / 10] * 2)
    assert constant == pytest.approx([-2 * 3 / 10] * 2)
    assert to_weight == [3.5]
    assert to_bias == [3]
    alone = ours.slopes(sums, products, inverse, scale, 5, 2)
    assert alone[1].flatten().tolist() == pytest.approx([-2 / 5, -4 / 5])
    assert alone[2].tolist() == [3.5]
    fixed = ours.slopes(sums, products, inverse, scale, 5, 0)
    assert [each.flatten().tolist() for each in fixed] == [[0, 0], [0, 0], [3.5], [3]]


def test_the_same_bits_every_time(device):
    x, upper = draw(device, torch.float32, SIZE, SIZE)
    one, zero = torch.ones(2, 5, device=device), torch.zeros(2, 5, device=device)
    for _ in range(2):
        first, second = (
            [*ours.moments(x), *ours.reduce(upper, x, None, one, zero, zero, "silu")]
            for _ in range(2)
        )
        assert all(map(torch.equal, first, second))


@pytest.mark.parametrize(("channels", "pixels"), [(24, 10), (54, 4), (108, 14)])
def test_rows_fill_the_lanes(channels, pixels):
    assert ours.together(channels, 256) == pixels
