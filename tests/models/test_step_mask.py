"""What all temporal heads share: padding, inputs, sizes, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.models import count_parameters
from tests.models import heads

WIDTH, CLASSES = 6, 3


def small_pdan(width, classes, padding="fixed"):
    return heads.pdan(width, classes, padding, channels=8, blocks=4, stages=2)


def concat(width, classes, padding="fixed"):
    return heads.super_events(width, classes, padding, merge="concat")


def long_gaussian(width, classes, padding="fixed"):
    return heads.tgm(width, classes, padding, length=8, kernel="gaussian", hidden=16)


BUILDERS = [
    heads.linear,
    heads.super_events,
    concat,
    heads.tgm,
    long_gaussian,
    heads.tgm_se,
    small_pdan,
]
PADDED = [b for b in BUILDERS if b is not heads.linear]


def mask_of(lengths):
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).double()


def disturbed(build, seed=0, **options):
    """A head in float64 with larger weights than it starts with, in evaluation mode."""
    torch.manual_seed(seed)
    model = build(WIDTH, CLASSES, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("build", BUILDERS)
@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    seed=st.integers(0, 999),
)
def test_a_video_has_the_same_logits_alone_and_in_any_batch(build, lengths, seed):
    """Whatever lies behind its end."""
    model = disturbed(build, seed)
    x = torch.randn(len(lengths), WIDTH, max(lengths), dtype=torch.float64)
    mask = mask_of(lengths)
    with torch.no_grad():
        together = model(x, mask)
        for i, length in enumerate(lengths):
            alone = model(x[i : i + 1, :, :length], mask[i : i + 1, :length])
            torch.testing.assert_close(together[i, :, :length], alone[0])


@pytest.mark.parametrize("build", PADDED)
def test_as_published_only_a_padded_batch_differs(build):
    fixed, reference = (disturbed(build, padding=p) for p in ("fixed", "reference"))
    x, mask = torch.randn(2, WIDTH, 9, dtype=torch.float64), mask_of([9, 4])
    with torch.no_grad():
        ours, theirs = fixed(x, mask), reference(x, mask)
        torch.testing.assert_close(ours[0], theirs[0])
        # A window's share of the padding is small, but it is there.
        assert (ours[1, :, :4] - theirs[1, :, :4]).abs().max() > 1e-6


@pytest.mark.parametrize("build", BUILDERS)
def test_every_weight_that_counts_is_trained(build):
    model = disturbed(build)
    x, mask = torch.randn(2, WIDTH, 9, dtype=torch.float64), mask_of([9, 4])
    (model(x, mask) * mask[:, None]).square().sum().backward()
    for name, parameter in model.named_parameters():
        if name.endswith("delta"):
            assert not parameter.requires_grad
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("build", BUILDERS)
def test_other_shapes_are_refused(build):
    model = build(WIDTH, CLASSES)
    with pytest.raises(ValueError, match=r"\(B, 6, T\).*got \(1, 5, 4\) and \(1, 4\)"):
        model(torch.zeros(1, 5, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"got \(1, 6, 4\) and \(1, 3\)"):
        model(torch.zeros(1, 6, 4), torch.ones(1, 3))


@pytest.mark.parametrize(
    ("build", "charades", "multithumos"),
    [
        (heads.linear, 160_925, 66_625),
        (heads.super_events, 321_868, None),
        (concat, 643_404, None),
        (heads.tgm, 1_132_093, 1_084_897),
        (heads.tgm_se, 1_373_420, 1_184_820),
        (heads.pdan, 5_858_461, 5_811_265),
        (heads.ms_tct, 87_503_930, 87_409_538),
    ],
)
def test_published_sizes(build, charades, multithumos):
    with torch.device("meta"):
        assert count_parameters(build(1024, 157)) == charades
        if multithumos is not None:
            assert count_parameters(build(1024, 65)) == multithumos
