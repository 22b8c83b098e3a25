import pytest
import torch

from ssdet.config import ModelConfig
from ssdet.models import CoarseFine, build_detector
from ssdet.models.frame_head import HEAD
from ssdet.models.initial import initialise

TINY = ModelConfig(depth_factor=0.5, width_factor=0.5, head_width=16, dropout=0.0)
CLASSES = 5


def network(classes=CLASSES, **options):
    torch.manual_seed(3)
    choices = {"compat": "fixed", "unpool": "resize", "film_init": "default"}
    model = CoarseFine(
        **TINY.model_dump(), classes=classes, fine_frames=128, **choices | options
    )
    initialise(model)
    return model


def inputs(frames=10, fine_frames=6, side=32, pool=7):
    torch.manual_seed(4)
    channels = network().trunk.backbone.feature_channels
    features = {
        name: torch.rand(2, width, fine_frames, pool, pool)
        for name, width in channels.items()
    }
    mask = torch.ones(2, fine_frames)
    mask[1, 4:] = 0
    video = torch.randn(2, 3, frames, side, side)
    return video, features, mask, torch.tensor([0.0, -1.5])


@pytest.mark.parametrize(
    ("temporal_pool", "frames", "outputs"),
    [
        ("grid", 10, 12),
        ("grid", 12, 12),
        ("grid", 1, 4),
        ("stride", 10, 3),
        ("avg", 10, 3),
        ("max", 12, 3),
        ("none", 10, 10),
    ],
)
def test_length_of_the_output(temporal_pool, frames, outputs):
    model = network(temporal_pool=temporal_pool).eval()
    assert model(*inputs(frames)).shape == (2, CLASSES, outputs)


@pytest.mark.parametrize("options", [{}, {"mixing": "same"}, {"unpool": "direct"}])
@pytest.mark.parametrize("side", [32, 56])
def test_every_parameter_learns(options, side):
    model = network(**options)
    model(*inputs(side=side)).square().sum().backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert silent == []


def test_without_fusion_nothing_else_is_needed():
    model = network(fusion=False).eval()
    assert model.fusion is None
    video = inputs()[0]
    assert model(video).shape == (2, CLASSES, 12)
    for pool, expected in (
        ("stride", lambda x: x[:, :, ::4]),
        (
            "avg",
            lambda x: torch.stack([x[:, :, i : i + 4].mean(2) for i in (0, 4, 8)], 2),
        ),
        (
            "max",
            lambda x: torch.stack([x[:, :, i : i + 4].amax(2) for i in (0, 4, 8)], 2),
        ),
    ):
        record = {}
        network(fusion=False, temporal_pool=pool).eval()(video, record=record)
        torch.testing.assert_close(record["pooled"], expected(record["layer1"]))


def test_options_that_change_numbers():
    with torch.no_grad():
        logits = {
            name: network(**options).eval()(*inputs())
            for name, options in (
                ("default", {}),
                ("reference", {"compat": "reference"}),
                ("direct", {"unpool": "direct"}),
                ("identity", {"film_init": "identity"}),
            )
        }
    for name in ("reference", "direct", "identity"):
        assert (logits[name] - logits["default"]).abs().max() > 1e-4, name


def test_only_valid_fine_frames_count():
    model = network().eval()
    video, features, mask, start = inputs()
    spoiled = {name: maps.clone() for name, maps in features.items()}
    for maps in spoiled.values():
        maps[1, :, 4:] = 50.0
    with torch.no_grad():
        torch.testing.assert_close(
            model(video, spoiled, mask, start), model(video, features, mask, start)
        )


@pytest.mark.parametrize("frames", [1, 4, 9, 13])
def test_a_fine_stream_of_one_frame(frames):
    """Logits and gradients of short videos are numbers."""
    model = network()
    video, features, mask, start = inputs(frames, fine_frames=1)
    mask[:] = 1
    logits = model(video, features, mask, start)
    assert logits.shape == (2, CLASSES, 4 * -(-frames // 4))
    logits.square().sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_record_of_a_pass():
    record = {}
    logits = network().eval()(*inputs(), record=record)
    assert {name: tuple(x.shape[1:]) for name, x in record.items()} == {
        "layer1": (8, 10, 8, 8),
        "pooled": (8, 4, 8, 8),
        "grid": (4,),
        "confidence": (3,),
        "alignment": (6, 4),
        "layer2": (16, 4, 4, 4),
        "layer3": (24, 4, 2, 2),
        "layer4": (48, 4, 1, 1),
        "conv5": (108, 4, 1, 1),
        "head_logits": (5, 4),
        "shift": (5, 4),
        "scale": (5, 4),
    }
    assert logits.dtype == torch.float32


def test_half_precision_keeps_grid_and_alignment_exact():
    record = {}
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = network().eval()(*inputs(), record=record)
    assert record["layer2"].dtype == torch.bfloat16
    for name in ("grid", "confidence", "alignment"):
        assert record[name].dtype == torch.float32
    exact = network().eval()(*inputs())
    assert logits.dtype == torch.float32
    assert (logits - exact).abs().max() < 0.1 * exact.abs().max()


def test_cached_features_are_those_of_the_fine_network():
    """What the feature files hold can stand for the fine network itself."""
    fine, model = build_detector(TINY, 3).eval(), network().eval()
    with torch.no_grad():
        maps, _ = fine.features_and_logits(torch.randn(1, 3, 6, 32, 32), 7)
    found = {name: tuple(x.shape) for name, x in maps.items() if name != HEAD}
    channels = model.trunk.backbone.feature_channels
    assert found == {name: (1, width, 6, 7, 7) for name, width in channels.items()}
    logits = model(torch.randn(1, 3, 8, 32, 32), maps, torch.ones(1, 6), torch.zeros(1))
    assert logits.isfinite().all()


def test_trunk_is_a_detector():
    """So a pretrained detector's weights fit it by name."""
    detector = build_detector(TINY, CLASSES)
    network().trunk.load_state_dict(detector.state_dict(), strict=True)


def test_bad_features_are_all_named():
    video, features, mask, start = inputs()
    with pytest.raises(ValueError, match="features, feature_mask and start are needed"):
        network()(video)
    del features["layer1"]
    features["conv5"] = features["conv5"][:, :4]
    with pytest.raises(
        ValueError,
        match=r"start must be \(2,\), is \(1,\); layer1 is missing; conv5 must be"
        r" \(2, 108, 6, P, P\), is \(2, 4, 6, 7, 7\)",
    ):
        network()(video, features, mask, start[:1])


@pytest.mark.parametrize("option", ["compat", "unpool", "temporal_pool"])
def test_unknown_options(option):
    with pytest.raises(ValueError, match=f"{option} must be one of .* got 'other'"):
        network(**{option: "other"})
