import pytest
import torch
from torch import nn

from ssdet.train.teacher import build_teacher, decay_at, follow


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.0), (20, 0.5), (60, 0.75), (10**6, 0.999)]
)
def test_decay(step, expected):
    assert decay_at(step, 0.999) == pytest.approx(expected)


def test_the_teacher_follows_and_is_not_trained():
    student = nn.Linear(1, 1, bias=False)
    nn.init.constant_(student.weight, 1.0)
    teacher = build_teacher(student)
    assert not teacher.training
    nn.init.constant_(student.weight, 3.0)
    assert teacher.weight.item() == 1.0
    follow(teacher, student, 0.75)
    assert teacher.weight.item() == pytest.approx(1.5)
    follow(teacher, student, 0.0)
    assert teacher.weight.item() == 3.0
    assert not teacher.weight.requires_grad
    teacher(torch.ones(1, 1))
    assert student.weight.requires_grad
