import pytest

from ssdet.data.clips import Shape
from ssdet.train.multigrid import FINAL, long_index, long_shape, short_shape

BASE = Shape(batch=8, frames=16, crop=224, groups=1)


@pytest.mark.parametrize(
    ("step", "index"),
    [(0, 0), (1, 0), (2, 1), (7, 3), (8, 3), (9, 1), (12, 3), (13, FINAL), (99, FINAL)],
)
def test_long_cycle(step, index):
    assert long_index(step, (8, 12, 20)) == index


def test_one_phase_keeps_the_full_shape():
    assert long_index(3, (10,)) == FINAL


@pytest.mark.parametrize(
    ("index", "shape"),
    [
        (0, Shape(64, 4, 158, 8)),
        (1, Shape(32, 8, 158, 4)),
        (2, Shape(16, 8, 224, 2)),
        (3, BASE),
        (FINAL, BASE),
    ],
)
def test_shapes_of_the_long_cycle(index, shape):
    assert long_shape(BASE, index) == shape


def test_short_cycle():
    small = [short_shape(long_shape(BASE, 0), 0, step) for step in range(3)]
    assert [(s.batch, s.crop) for s in small] == [(128, 111), (64, 158), (128, 111)]
    large = [short_shape(BASE, FINAL, step) for step in range(4)]
    assert [(s.batch, s.crop) for s in large] == [
        (32, 112),
        (16, 158),
        (8, 224),
        (32, 112),
    ]
    assert {s.frames for s in large} == {16}
