import pytest
import torch

from ssdet.randomness import generator
from ssdet.train.semi_supervised import semi_loss, supervised_loss
from ssdet.train.teacher import build_teacher, decay_at, follow
from tests.train.spot_sets import config, network, videos

SURE = {"train__sure_class": 0.0, "train__sure_mask": (0.5, 0.5)}


def gradients(cfg, pseudo_weight, student=None, teacher=None):
    student = network(cfg) if student is None else student
    teacher = build_teacher(student) if teacher is None else teacher
    student.train().zero_grad()
    torch.manual_seed(3)  # dropout
    loss = semi_loss(
        student,
        teacher,
        videos(4),
        videos(6, seed=1).features,
        pseudo_weight,
        cfg.train,
        cfg.losses,
        generator(0),
    )
    loss.total.backward()
    return loss, {n: p.grad for n, p in student.named_parameters()}, teacher


def test_pseudo_labels_change_the_gradient():
    cfg = config(**SURE)
    _, without, _ = gradients(cfg, 0.0)
    loss, with_them, teacher = gradients(cfg, 1.0)
    assert loss.pseudo.item() > 0
    for name in (
        "class_branch.weight",
        "mask_branch.rows.weight",
        "embedding.out.weight",
    ):
        assert not torch.allclose(with_them[name], without[name], atol=1e-6), name
    assert all(p.grad is None for p in teacher.parameters())


def test_the_total_is_the_sum_of_its_parts():
    cfg = config(losses__reconstruction=2.0, losses__contrast=0.5, **SURE)
    loss, _, _ = gradients(cfg, 0.25)
    expected = (
        loss.supervised + 0.25 * loss.pseudo + 2 * loss.reconstruction
    ) + 0.5 * loss.contrast
    torch.testing.assert_close(loss.total, expected)


def test_only_pseudo_labels_reach_both_branches_and_not_the_order_head():
    cfg = config(losses__reconstruction=0.0, losses__contrast=0.0, **SURE)
    _, all_of_it, _ = gradients(cfg, 1.0)
    _, labelled, _ = gradients(cfg, 0.0)
    for name, gradient in all_of_it.items():
        if name.startswith("order_head."):
            assert gradient is None
        else:
            assert (gradient - labelled[name]).abs().max() > 0, name


def test_another_teacher_teaches_something_else():
    cfg = config(**SURE)
    student = network(cfg)
    own, _, _ = gradients(cfg, 1.0, student)
    other, _, _ = gradients(cfg, 1.0, student, build_teacher(network(cfg, seed=5)))
    assert own.pseudo.item() != other.pseudo.item()
    assert own.supervised.item() == other.supervised.item()


def test_unsure_teachers_teach_nothing():
    cfg = config(train__sure_class=1.0, train__sure_mask=(0.0, 1.0))
    loss, _, _ = gradients(cfg, 1.0)
    # no cell counts: what is left is the constant of the dice loss
    assert loss.pseudo.item() == pytest.approx(0.0, abs=1e-6)


def test_no_unlabelled_videos():
    cfg = config()
    student = network(cfg)
    loss = semi_loss(
        student,
        build_teacher(student),
        videos(4),
        None,
        1.0,
        cfg.train,
        cfg.losses,
        generator(0),
    )
    assert loss.pseudo.item() == 0
    loss.total.backward()


def train(cfg, steps, unlabelled, seed=0):
    """Train on few labelled videos; with `unlabelled`, on others too."""
    student = network(cfg, seed)
    teacher = build_teacher(student)
    student.order_head.requires_grad_(False)
    parameters = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    labelled = videos(6, seed=500 + seed)
    for step in range(steps):
        follow(teacher, student, decay_at(step, cfg.train.teacher_decay))
        student.train()
        torch.manual_seed(step)
        more = videos(24, seed=step % 10).features if unlabelled else None
        loss = semi_loss(
            student,
            teacher,
            labelled,
            more,
            min(1.0, step / 60),
            cfg.train,
            cfg.losses,
            generator(seed, step),
        )
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    return student.eval(), teacher, labelled


def score(model, cfg):
    """Supervised loss on videos not trained on."""
    held = videos(100, seed=9999)
    with torch.no_grad():
        out = model(held.features)
    return supervised_loss(out, held.classes, held.mask, cfg.losses).item()


def test_labels_of_eight_videos_are_learnt_by_heart():
    cfg = config()
    student, _, labelled = train(cfg, 300, unlabelled=False)
    with torch.no_grad():
        out = student(labelled.features)
    accuracy = (out.logits.argmax(1) == labelled.classes).double().mean()
    assert accuracy.item() > 0.97
    assert ((out.mask > 0.5) == (labelled.mask > 0.5)).double().mean().item() > 0.95


def test_the_teacher_differs_from_the_student():
    student, teacher, _ = train(config(), 20, unlabelled=True)
    apart = [
        (a - b).abs().max().item()
        for (name, a), b in zip(
            student.named_parameters(), teacher.parameters(), strict=True
        )
        if not name.startswith("order_head.")
    ]
    assert min(apart) > 0


@pytest.mark.slow
def test_unlabelled_videos_help():
    cfg = config()
    gain = [
        score(train(cfg, 120, False, seed)[0], cfg)
        - score(train(cfg, 120, True, seed)[0], cfg)
        for seed in range(3)
    ]
    assert sum(gain) / 3 > 0
