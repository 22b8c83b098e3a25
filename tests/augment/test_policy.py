import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssdet.augment import policy
from ssdet.augment.freeze import frozen_order
from ssdet.augment.loss import augmented_loss
from tests.augment.recipes import augment_config, noise, seeded

B, T, H, W = 4, 8, 2, 32


def draw(pretext, config, seed=0, batch=B):
    return policy.draw(pretext, batch, T, 1, config, seeded(seed))


def used(draws):
    return {
        field.name
        for field in dataclasses.fields(draws)
        if getattr(draws, field.name) is not None
    }


booleans = st.booleans()
configs = st.builds(
    augment_config,
    background=st.sampled_from(["class", "ignore"]),
    freeze=st.fixed_dictionaries({"segments": st.integers(1, 3)}),
    mixup=st.fixed_dictionaries(
        {"covering": booleans, "shift": booleans, "symmetric": booleans}
    ),
    cutmix=st.fixed_dictionaries(
        {"kind": st.sampled_from(["view", "window", "either"]), "covering": booleans}
    ),
    joint=st.fixed_dictionaries({"per": st.sampled_from(["batch", "clip"])}),
)


@settings(deadline=None, max_examples=60)
@given(
    config=configs,
    pretext=st.sampled_from(policy.PRETEXTS),
    seed=st.integers(0, 2**31),
)
def test_invariants(config, pretext, seed):
    video, classes = noise(B, 3, T, H, W), torch.tensor([0, 1, 2, 0])
    before = video.clone()
    draws = draw(pretext, config, seed)
    mixed, soft = policy.apply(video, classes, draws, config)

    assert video.equal(before)
    assert classes.tolist() == [0, 1, 2, 0]
    assert mixed.shape == video.shape
    sources = 2 ** len(used(draws) & {"mixup", "window", "view"})
    for values in (soft.labels, soft.weights, soft.visible):
        assert values.shape == (sources, B, T)
    assert ((soft.weights >= 0) & (soft.weights <= 1)).all()
    assert (soft.weights[~soft.visible] == 0).all()
    assert soft.labels.max() < policy.number_of_outputs(3, config)

    total = soft.weights.sum(0)  # (B, T)
    if config.background == "class":
        froze = draws.freeze is not None and bool((draws.freeze.length > 0).any())
        assert not (soft.labels == 0).any() or froze
        if config.mixup.covering and config.cutmix.covering:
            assert total.allclose(torch.ones(B, T))
    assert (total <= 1 + 1e-6).all()
    if pretext == "cls":
        assert mixed is video

    again, labels = policy.apply(video, classes, draws, config)
    assert again.equal(mixed)
    assert labels.weights.equal(soft.weights)


@pytest.mark.parametrize(
    ("pretext", "kind", "expected"),
    [
        ("cls", "either", set()),
        ("freeze", "either", {"freeze"}),
        ("mixup", "either", {"mixup"}),
        ("cutmix", "view", {"view"}),
        ("cutmix", "window", {"window"}),
        ("manifold_freeze", "either", {"freeze"}),
        ("manifold_mixup", "either", {"mixup"}),
        ("manifold_cutmix", "view", {"view"}),
    ],
)
def test_single_augmentations_are_always_on(pretext, kind, expected):
    config = augment_config(cutmix={"kind": kind}, joint={"probability": 0.0})
    for seed in range(5):
        assert used(draw(pretext, config, seed)) == expected


def test_manifold_levels_are_alike_often():
    source = seeded()
    levels = [policy.draw_level("manifold_mixup", source) for _ in range(1000)]
    assert set(levels) == set(range(5))
    assert all(abs(levels.count(level) - 200) <= 51 for level in range(5))


def test_other_pretexts_take_the_input_and_draw_nothing():
    source = seeded()
    before = source.get_state()
    plain = [name for name in policy.PRETEXTS if not name.startswith("manifold")]
    assert {policy.draw_level(name, source) for name in plain} == {0}
    assert source.get_state().equal(before)


@pytest.mark.parametrize(
    ("pretext", "kind"),
    [("freeze", "view"), ("mixup", "view"), ("cutmix", "view"), ("cutmix", "window")],
)
@pytest.mark.parametrize("width", [1, 7, 14, 32])
def test_feature_maps_are_augmented_alike_and_pass_gradients(pretext, kind, width):
    """Weights of what is seen sum to 1: so do those of the gradients of each place."""
    config = augment_config(cutmix={"kind": kind})
    draws = draw(pretext, config)
    video = noise(B, 3, T, H, width)
    plain, labels = policy.apply(video, torch.arange(B), draws, config)
    video.requires_grad_()
    mixed, again = policy.apply(video, torch.arange(B), draws, config)
    assert mixed.equal(plain)
    assert again.weights.equal(labels.weights)
    mixed.sum().backward()
    total = video.grad.sum()
    assert total.item() == pytest.approx(video.numel(), rel=1e-5)


@pytest.mark.parametrize("kind", ["view", "window"])
def test_maps_of_half_precision_keep_their_type(kind):
    """As under autocast; a blend of whole numbers is off by their last bit at most."""
    config = augment_config(cutmix={"kind": kind}, joint={"probability": 1.0})
    draws = draw("joint", config)
    video = noise(B, 3, T, H, 14).mul(8).round().requires_grad_()
    expected, labels = policy.apply(video, torch.arange(B), draws, config)
    mixed, again = policy.apply(video.bfloat16(), torch.arange(B), draws, config)
    assert mixed.dtype == torch.bfloat16
    assert again.weights.equal(labels.weights)
    torch.testing.assert_close(mixed.float(), expected, rtol=0.02, atol=0.25)


def test_either_kind_of_cutmix_has_even_odds():
    config = augment_config()
    views = sum(used(draw("cutmix", config, seed)) == {"view"} for seed in range(400))
    assert abs(views - 200) <= 40  # 4 standard errors


def test_joint_tosses_a_coin_for_each():
    config = augment_config(cutmix={"kind": "view"})
    found = [frozenset(used(draw("joint", config, seed))) for seed in range(800)]
    assert len(set(found)) == 8  # from none to all
    for name in ("freeze", "mixup", "view"):
        assert abs(sum(name in names for names in found) - 400) <= 57


def test_joint_follows_its_probability():
    always = augment_config(joint={"probability": 1.0}, cutmix={"kind": "view"})
    never = augment_config(joint={"probability": 0.0})
    assert used(draw("joint", always)) == {"freeze", "mixup", "view"}
    assert used(draw("joint", never)) == set()


def test_joint_single_takes_one_of_three():
    config = augment_config(cutmix={"kind": "view"})
    found = [used(draw("joint_single", config, seed)) for seed in range(600)]
    assert all(len(names) == 1 for names in found)
    for name in ("freeze", "mixup", "view"):
        assert abs(sum(name in names for names in found) - 200) <= 47


@pytest.mark.parametrize("pretext", ["joint", "joint_single"])
def test_decisions_of_a_batch_and_of_clips(pretext):
    batch = policy.choose(pretext, 200, augment_config(), seeded())
    clips = policy.choose(pretext, 200, augment_config(joint={"per": "clip"}), seeded())
    for kind in policy.KINDS:
        assert batch[kind].all() or not batch[kind].any()
        assert 0 < clips[kind].sum() < 200
    counts = torch.stack([clips[kind] for kind in policy.KINDS]).sum(0)
    assert set(counts.tolist()) == ({1} if pretext == "joint_single" else {0, 1, 2, 3})


@pytest.mark.parametrize("kind", ["view", "window"])
@pytest.mark.parametrize("normalisation", ["visible", "mean"])
def test_clips_that_are_not_chosen_stay_as_they_are(kind, normalisation):
    """Without any coin that falls, a batch decided clip by clip is a plain one."""
    config = augment_config(cutmix={"kind": kind}, joint={"per": "clip"})
    batch = 32
    video, classes = noise(batch, 1, T, H, W), torch.arange(batch)
    chosen = policy.choose("joint", batch, config, seeded(3))
    draws = draw("joint", config, 3, batch)
    mixed, soft = policy.apply(video, classes, draws, config)
    plain = ~torch.stack(list(chosen.values())).any(0)
    assert plain.any()
    assert mixed[plain].equal(video[plain])
    assert (soft.labels[:, plain] == classes[plain, None] + 1).all()
    assert soft.visible[:, plain].all()
    assert soft.weights[:, plain].sum(0).allclose(torch.ones(int(plain.sum()), T))
    frozen = chosen["freeze"]
    touched = (soft.labels[0] == 0).any(1)
    assert touched.equal(frozen)

    logits = noise(batch, batch + 1, T)
    only = [
        dataclasses.replace(
            soft,
            labels=soft.labels[:, plain],
            weights=soft.weights[:, plain],
            visible=soft.visible[:, plain],
        ),
        policy.hard_labels(classes[plain] + 1, T),
    ]
    losses = [augmented_loss(logits[plain], x, normalisation).item() for x in only]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_background_is_where_freeze_ran():
    config = augment_config()
    draws = draw("freeze", config)
    _, soft = policy.apply(noise(B, 1, T, 1, 1), torch.arange(B), draws, config)
    _, held = frozen_order(draws.freeze.start, draws.freeze.length, T)
    assert (soft.labels[0] == 0).equal(held)


def test_outputs():
    assert policy.number_of_outputs(400, augment_config()) == 401
    ignored = augment_config(background="ignore")
    assert policy.number_of_outputs(400, ignored) == 400
    _, soft = policy.apply(
        noise(B, 1, T, 1, 1), torch.arange(B), draw("cls", ignored), ignored
    )
    assert soft.labels[0, :, 0].tolist() == [0, 1, 2, 3]


def test_the_same_generator_gives_the_same_draws():
    config = augment_config(joint={"probability": 1.0})
    first, second = (draw("joint", config, 5) for _ in range(2))
    assert first.freeze.length.equal(second.freeze.length)
    assert first.mixup.partner.equal(second.mixup.partner)
    assert used(first) == used(second)


def test_unknown_pretext():
    with pytest.raises(ValueError, match=r"one of cls, freeze, .* got 'shuffle'"):
        draw("shuffle", augment_config())


def test_wrong_inputs():
    config = augment_config()
    draws = draw("cls", config)
    with pytest.raises(ValueError, match=r"normalise it first.*uint8"):
        policy.apply(
            torch.zeros(B, 3, T, H, W, dtype=torch.uint8),
            torch.arange(B),
            draws,
            config,
        )
    with pytest.raises(ValueError, match=r"B=4 like video, got \(3,\)"):
        policy.apply(noise(B, 3, T, H, W), torch.arange(3), draws, config)
