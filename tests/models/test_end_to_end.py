import pytest
import torch

from ssdet.config import ModelConfig
from ssdet.models import EndToEnd, build_end_to_end
from ssdet.models.coarse_fine import CoarseFine
from tests.tiny import tiny_config

TINY = ModelConfig(depth_factor=0.5, width_factor=0.5, head_width=16, dropout=0.5)
CLASSES, POOL = 5, 2
SECTION = tiny_config().end_to_end


def network(**values):
    torch.manual_seed(0)
    section = SECTION.model_copy(update=values)
    return build_end_to_end(TINY, section, CLASSES, POOL)


@pytest.fixture
def clips():
    """Two pairs of clips, the second with a fine clip of four frames."""
    torch.manual_seed(1)
    mask = torch.ones(2, 6)
    mask[1, 4:] = 0
    fine = torch.randn(2, 3, 6, 32, 32) * mask[:, None, :, None, None]
    return torch.randn(2, 3, 10, 32, 32), fine, mask, torch.tensor([0.0, 2.5])


def test_it_is_coarse_fine_on_the_features_of_its_own_fine_stream(clips):
    model = network().eval()
    video, fine_video, mask, start = clips
    with torch.no_grad():
        logits, fine_logits = model(*clips)
        features, expected_fine = model.fine.features_and_logits(fine_video, POOL)
        expected = model.coarse(video, features, mask, start)
    assert logits.shape == (2, CLASSES, 12)
    assert fine_logits.shape == (2, CLASSES, 6)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(fine_logits, expected_fine)


def test_both_networks_learn_from_the_coarse_logits(clips):
    """All but the head of the fine stream, which only its own logits reach."""
    model = network().train()
    logits, fine_logits = model(*clips)
    logits.square().sum().backward(retain_graph=True)
    for name, parameter in model.named_parameters():
        if name.startswith("fine.head."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.abs().max() > 0, name
    fine_logits.square().sum().backward()
    for name, parameter in model.fine.head.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_both_networks_gather_statistics(clips):
    model = network().train()
    norms = [x.backbone.stem.norm for x in (model.coarse.trunk, model.fine)]
    before = [norm.running_mean.clone() for norm in norms]
    model(*clips)
    for norm, mean in zip(norms, before, strict=True):
        assert not torch.equal(norm.running_mean, mean)


def test_only_the_coarse_stream_drops():
    """Source: spec of Coarse-Fine, section 7.1."""
    model = network()
    assert model.coarse.trunk.head.dropout.p == 0.5
    assert model.fine.head.dropout.p == 0.0


def test_weights_over_time_are_as_wide_as_in_a_test_video_at_most():
    assert network(fine_frames=4, test_fine_frames=9).coarse.fine_frames == 9


def test_a_coarse_stream_alone_is_refused():
    alone = CoarseFine(
        **TINY.model_dump(),
        classes=CLASSES,
        fine_frames=8,
        compat="fixed",
        unpool="resize",
        film_init="default",
        fusion=False,
    )
    with pytest.raises(ValueError, match="coarse must have fusion"):
        EndToEnd(alone, network().fine, POOL)
