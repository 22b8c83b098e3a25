import pytest
import torch
from torch.nn import functional as F

from ssdet.config import ModelConfig
from ssdet.models import build_detector, build_slowfast, count_parameters
from ssdet.models.slowfast import FRESH, from_single_streams
from ssdet.stage import StageError
from ssdet.train.weights import start_from

TINY = ModelConfig(depth_factor=0.5, width_factor=0.5, head_width=16, dropout=0.0)
PAPER = ModelConfig(depth_factor=2.2, width_factor=2.0, head_width=2048, dropout=0.5)
CLASSES = 5


def detector(seed, classes=CLASSES, config=TINY):
    """A single stream that has seen data: no statistic is what it began with."""
    torch.manual_seed(seed)
    model = build_detector(config, classes)
    with torch.no_grad():
        model(torch.randn(2, 3, 4, 32, 32))
    return model.eval()


def network(config=TINY):
    torch.manual_seed(3)
    return build_slowfast(config, CLASSES)


def started(slow, fast):
    model = network()
    weights = from_single_streams(model, slow.state_dict(), fast.state_dict())
    start_from(model, weights, FRESH, "two streams")
    return model


@pytest.fixture
def video():
    torch.manual_seed(4)
    return torch.randn(2, 3, 10, 32, 32)


@pytest.mark.parametrize(("frames", "outputs"), [(1, 1), (4, 1), (5, 2), (16, 4)])
def test_length_of_the_output(frames, outputs):
    logits = network().eval()(torch.randn(2, 3, frames, 32, 32))
    assert logits.shape == (2, CLASSES, outputs)


def test_number_of_parameters():
    """Source: spec of Coarse-Fine, section 8; the laterals C * 2 C * 5 + 2 * 2 C."""
    with torch.device("meta"):
        model = build_slowfast(PAPER, 157)
    assert count_parameters(model) == 6_559_617
    expected = [10 * c * c + 4 * c for c in (24, 24, 48, 96)]
    assert [count_parameters(lateral) for lateral in model.laterals] == expected
    inputs = [stage[0].expand.in_channels for stage in model.slow.stages]
    assert inputs == [72, 72, 144, 288]
    assert model.head.fc1.in_channels == 864


def test_it_begins_as_the_slow_detector_on_every_fourth_frame(video):
    """Joined channels are not looked at yet, nor is the fast half of the head."""
    slow = detector(0)
    model = started(slow, detector(1)).eval()
    with torch.no_grad():
        model.head.fc2.load_state_dict(slow.head.fc2.state_dict())
        expected = slow(video[:, :, ::4])
        torch.testing.assert_close(model(video), expected, rtol=1e-5, atol=1e-5)


def test_the_head_sees_the_mean_of_four_fast_frames(video):
    fast = detector(1)
    model = started(detector(0), fast).eval()
    width = fast.backbone.conv5_width
    with torch.no_grad():
        model.head.fc1.weight[:, :width] = 0
        model.head.fc1.weight[:, width:] = fast.head.fc1.weight
        maps = fast.backbone(video).mean((3, 4))  # (B, C, 10)
        means = [maps[:, :, t : t + 4].mean(2) for t in (0, 4, 8)]  # 4, 4 and 2 frames
        hidden = F.relu(torch.stack(means, 1) @ fast.head.fc1.weight.flatten(1).T)
        expected = model.head.fc2(hidden).transpose(1, 2)
        torch.testing.assert_close(model(video), expected, rtol=1e-5, atol=1e-5)


def test_every_stage_of_the_slow_stream_sees_the_fast_map_before_it(video):
    model, seen = network().eval(), {}
    for name, module in model.named_modules():
        if name.startswith(("slow", "fast")) and name.count(".") <= 2:
            module.register_forward_hook(
                lambda module, given, out, name=name: seen.update({name: (given, out)})
            )
    with torch.no_grad():
        model(video)
        before = ("stem", "stages.0", "stages.1", "stages.2")
        for number, part in enumerate(before):
            (found,), _ = seen[f"slow.stages.{number}"]
            slow, fast = seen[f"slow.{part}"][1], seen[f"fast.{part}"][1]
            assert fast.shape[2] == 10
            expected = torch.cat([slow, model.laterals[number](fast)], 1)
            torch.testing.assert_close(found, expected)
    assert torch.equal(seen["slow.stem"][0][0], video[:, :, ::4])


def test_all_but_the_fast_stream_learns(video):
    model = network().train()
    model(video).square().sum().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("fast."):
            assert not parameter.requires_grad
        else:
            assert parameter.grad.abs().max() > 0, name


def test_the_fast_stream_stays_as_it_was_trained(video):
    fast = detector(1)
    model = started(detector(0), fast).train()
    slow_before = model.slow.stem.norm.running_mean.clone()
    model(video)
    assert model.training and model.slow.training and not model.fast.training
    assert not torch.equal(model.slow.stem.norm.running_mean, slow_before)
    for name, tensor in fast.backbone.state_dict().items():
        assert torch.equal(model.fast.state_dict()[name], tensor), name


def test_a_pretrained_classifier_may_have_other_classes():
    slow = detector(0, classes=9)
    model = network()
    before = model.head.fc2.weight.clone()
    weights = from_single_streams(model, slow.state_dict(), detector(1).state_dict())
    start_from(model, weights, FRESH, "two streams")
    assert torch.equal(model.head.fc2.weight, before)


def test_weights_of_another_network_are_refused():
    wide = detector(0, config=TINY.model_copy(update={"width_factor": 1.0}))
    model, fast = network(), detector(1)
    weights = from_single_streams(model, wide.state_dict(), fast.state_dict())
    with pytest.raises(StageError, match=r"slow\.conv5\.weight is \(216, 96, 1, 1, 1"):
        start_from(model, weights, FRESH, "two streams")
    few = {n: t for n, t in fast.state_dict().items() if n != "backbone.conv5.weight"}
    weights = from_single_streams(model, detector(0).state_dict(), few)
    with pytest.raises(StageError, match=r"fast\.conv5\.weight is missing"):
        start_from(model, weights, FRESH, "two streams")
