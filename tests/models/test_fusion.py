import pytest
import torch
from torch.nn import functional as F

from ssdet.models.fusion import DepthFusion, Mix, MultiStageFusion, modulate

WIDTHS = (2, 3, 4, 5)


def fusion(**options):
    torch.manual_seed(1)
    choices = {"mixing": "all", "film_init": "default", "compat": "fixed"} | options
    return MultiStageFusion(WIDTHS, 6, 7, 0.0, **choices).eval()


def fine_input(side=7, frames=5, coarse=3):
    torch.manual_seed(2)
    maps = [torch.rand(2, width, frames, side, side) for width in WIDTHS]
    mask = torch.ones(2, frames)
    mask[1, 3:] = 0
    return maps, mask, torch.rand(2, frames, coarse)


def test_gathering_by_hand():
    depth = DepthFusion(1, 1)
    with torch.no_grad():
        for parameter in depth.parameters():
            parameter.zero_()  # attention 1/2 everywhere
    features = torch.tensor([1.0, 3.0, 100.0]).view(1, 1, 3, 1, 1)
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    alignment = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]])
    found = depth.gather(features, mask, alignment).flatten().tolist()
    assert found == pytest.approx([2.0, 3.0], rel=1e-5)


def test_masked_frames_do_not_count():
    maps, mask, alignment = fine_input()
    depth = fusion().depths[0]
    changed = maps[0].clone()
    changed[1, :, 3:] = 99.0
    before, after = (depth.gather(x, mask, alignment) for x in (maps[0], changed))
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize("compat", ["fixed", "reference"])
@pytest.mark.parametrize("mixing", ["all", "same"])
def test_small_maps_give_what_native_size_gives(compat, mixing):
    """Replicate first and compute at 56, 28, 14, 7, as the reference does."""
    model = fusion(compat=compat, mixing=mixing)
    maps, mask, alignment = fine_input()
    with torch.no_grad():
        shifts, scales = model.at_depths(maps, mask, alignment)
        large = [
            F.adaptive_max_pool2d(x.flatten(1, 2), 56 >> depth).unflatten(
                1, x.shape[1:3]
            )
            for depth, x in enumerate(maps)
        ]
        large_shifts, large_scales = model.at_depths(large, mask, alignment)
        for stage, width in enumerate(WIDTHS):
            side = 56 >> stage
            x = torch.randn(2, width, 3, side, side)
            found = modulate(x, *model.for_stage(stage, shifts, scales, (side, side)))
            depths = range(4) if mixing == "all" else (stage,)
            resized = [
                [
                    F.adaptive_max_pool2d(maps[d].flatten(1, 2), side).unflatten(
                        1, maps[d].shape[1:3]
                    )
                    for d in depths
                ]
                for maps in (large_shifts, large_scales)
            ]
            if mixing == "same":
                shift, scale = resized[0][0], torch.sigmoid(resized[1][0])
            else:
                shift, scale = model.mixes[stage](*resized)
            torch.testing.assert_close(found, x * scale + shift, atol=1e-5, rtol=0)


def test_sizes_that_are_no_multiple():
    """Both ways to other sizes, by hand: the largest of the cells under a window."""
    maps = [torch.zeros(1, width, 1, 7, 7) for width in WIDTHS]
    maps[0][0, 0, 0] = torch.arange(49.0).view(7, 7)
    direct, chained = (
        fusion(mixing="same", compat=compat) for compat in ("fixed", "reference")
    )
    shift, _ = direct.for_stage(0, maps, maps, (2, 2))
    assert shift[0, 0, 0].tolist() == [[24.0, 27.0], [45.0, 48.0]]  # windows of 4
    through, _ = chained.for_stage(0, maps, maps, (2, 2))
    assert through[0, 0, 0].tolist() == [[24.0, 27.0], [45.0, 48.0]]
    shift, _ = direct.for_stage(0, maps, maps, (8, 8))
    assert shift[0, 0, 0, 0].tolist() == [0.0, 1, 2, 3, 4, 5, 6, 6]
    through, _ = chained.for_stage(0, maps, maps, (8, 8))
    assert through[0, 0, 0, 0].tolist() == [0.0, 1, 2, 3, 4, 5, 6, 6]


def test_modulate_by_blocks():
    x = torch.ones(1, 1, 1, 2, 4)
    scale = torch.tensor([2.0, 3.0]).view(1, 1, 1, 1, 2)
    shift = torch.tensor([0.0, 10.0]).view(1, 1, 1, 1, 2)
    expected = [[2.0, 2.0, 13.0, 13.0]] * 2
    assert modulate(x, shift, scale)[0, 0, 0].tolist() == expected


def test_modulate_keeps_the_memory_layout():
    x = torch.randn(2, 4, 3, 14, 14).contiguous(memory_format=torch.channels_last_3d)
    small = torch.randn(2, 4, 3, 7, 7)
    out = modulate(x, small, small)
    assert out.is_contiguous(memory_format=torch.channels_last_3d)


def test_identity_start():
    mix = Mix(5, 2, "identity")
    shift, scale = mix([torch.randn(1, 5, 1, 2, 2)], [torch.randn(1, 5, 1, 2, 2)])
    assert shift.abs().max() == 0
    assert scale.flatten().tolist() == pytest.approx([0.9820138] * 8)


def test_half_precision_features_are_taken():
    maps, mask, alignment = fine_input()
    half = [x.half() for x in maps]
    exact = fusion().at_depths([x.float() for x in half], mask, alignment)
    found = fusion().at_depths(half, mask, alignment)
    assert torch.equal(found[0][0], exact[0][0])


def test_unknown_options():
    with pytest.raises(ValueError, match=r"mixing must be .* got 'some'"):
        fusion(mixing="some")
    with pytest.raises(ValueError, match=r"film_init must be .* got 'zero'"):
        fusion(film_init="zero")


def test_autocast_keeps_the_sums_over_time_exact():
    """The filter may be in bfloat16; what it weighs is added in float32."""
    maps, mask, alignment = fine_input()
    depth = fusion().depths[2]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        attention = torch.sigmoid(depth.attention(maps[2]))
        found = depth.gather(maps[2], mask, alignment)
    assert attention.dtype == torch.bfloat16
    weight = attention.float() * mask[:, None, :, None, None]
    total = torch.einsum("bothw,btk->bokhw", weight, alignment)
    summed = torch.einsum("bcthw,btk->bckhw", maps[2] * weight, alignment)
    assert found.dtype == torch.float32
    assert torch.equal(found, summed / (total + 1e-6))


def test_a_coarse_frame_that_no_fine_frame_reaches_is_finite():
    maps, mask, alignment = fine_input()
    gathered = fusion().depths[0].gather(maps[0], mask, 0 * alignment)
    assert gathered.abs().max() == 0
