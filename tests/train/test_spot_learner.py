import pytest
import torch

from ssdet.train.spot_learner import Learner
from ssdet.train.teacher import decay_at
from tests.train.spot_sets import config, network, videos

EPOCH = 4


def learner(unlabelled=12, **changes):
    cfg = config(train__unlabelled_batch_size=6, **changes)
    features = videos(max(unlabelled, 1), seed=1).features[:unlabelled]
    return Learner(network(cfg), features, EPOCH, cfg.train, cfg.losses, 0)


def batch():
    return videos(4)._asdict()


def seen(model, step, slots):
    """Numbers of the videos without labels in a part of a step."""
    part = model._unlabelled(step, slots, torch.device("cpu"))
    return [
        next(n for n, own in enumerate(model.unlabelled) if torch.equal(own, x))
        for x in part
    ]


def test_parts_share_the_videos_of_a_step():
    model = learner()
    whole = seen(model, 3, (0, 1))
    assert seen(model, 3, (0, 2)) == whole[::2]
    assert seen(model, 3, (1, 2)) == whole[1::2]


def test_every_video_is_seen_in_turn():
    model = learner()
    for first in (0, 2, 4):
        both = seen(model, first, (0, 1)) + seen(model, first + 1, (0, 1))
        assert sorted(both) == list(range(12))


def test_the_teacher_follows_once_in_a_step():
    model = learner().train()
    name = "class_branch.weight"
    own = dict(model.teacher.named_parameters())[name]
    new = dict(model.student.named_parameters())[name]
    model(batch(), 20, (0, 2))
    before = own.clone()
    with torch.no_grad():
        new += 1
    model(batch(), 20, (1, 2))  # the second part of the same step
    torch.testing.assert_close(own, before)
    model(batch(), 21, (0, 2))
    expected = before + (1 - decay_at(21, 0.999))
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


def test_a_student_may_teach_itself():
    model = learner(train__teacher="student").train()
    with torch.no_grad():
        model.student.class_branch.weight += 1
    model(batch(), 50, (0, 1))
    for a, b in zip(
        model.student.parameters(), model.teacher.parameters(), strict=True
    ):
        assert torch.equal(a, b)
    assert not model.teacher.training


def test_what_is_trained():
    model = learner().train()
    model(batch(), 0, (0, 1)).backward()
    for name, parameter in model.named_parameters():
        trained = name.startswith("student.") and ".order_head." not in name
        assert (parameter.grad is not None) == trained, name


def test_without_unlabelled_videos():
    model = learner(unlabelled=0).train()
    assert model._unlabelled(0, (0, 1), torch.device("cpu")) is None
    assert model(batch(), 0, (0, 1)).isfinite()


def test_draws_depend_on_step_and_part_alone():
    model = learner(network__dropout_out=0.0, network__dropout_attention=0.0).train()
    losses = [model(batch(), 7, slots).item() for slots in ((0, 1), (0, 1), (0, 2))]
    assert losses[0] == losses[1]
    assert losses[0] != pytest.approx(losses[2])
