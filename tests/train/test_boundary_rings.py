import torch
from hypothesis import given
from hypothesis import strategies as st

from ssdet.train.boundary_rings import above_median, dilate, erode, rings

LINES = st.lists(st.booleans(), min_size=1, max_size=30)


def test_belts_of_one_action():
    line = torch.zeros(20).bool()
    line[6:14] = True
    inner, outer = rings(line, 2, 4)
    # windows of 2 reach one back, of 4 two back and one on
    assert inner.nonzero().flatten().tolist() == [7, 13]
    assert outer.nonzero().flatten().tolist() == [5, 15]


@given(LINES, st.integers(1, 9), st.integers(0, 9))
def test_inner_is_inside_and_outer_outside(bits, small, more):
    line = torch.tensor(bits)
    inner, outer = rings(line, small, small + more)
    assert not (inner & ~line).any()
    assert not (outer & line).any()


@given(LINES, st.integers(1, 9))
def test_erosion_and_dilation_by_hand(bits, size):
    def window(i):
        around = range(i - size // 2, i - size // 2 + size)
        return [0 <= j < len(bits) and bits[j] for j in around]

    line = torch.tensor(bits)
    assert erode(line, size).tolist() == [all(window(i)) for i in range(len(bits))]
    assert dilate(line, size).tolist() == [any(window(i)) for i in range(len(bits))]


def test_maps_have_square_windows():
    image = torch.zeros(1, 5, 5).bool()
    image[0, 2, 2] = True
    grown = dilate(image, 3, axes=2)
    assert grown[0].nonzero().tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert torch.equal(erode(grown, 3, axes=2), image)


def test_lower_median_of_all_or_of_each():
    x = torch.tensor([[4.0, 1.0, 2.0, 3.0], [9.0, 8.0, 7.0, 6.0]])
    each = above_median(x, 1).int().tolist()
    assert each == [[1, 0, 1, 1], [1, 1, 1, 0]]  # 2, and 7
    assert above_median(x, 0).int().tolist() == [[1, 0, 0, 0], [1, 1, 1, 1]]  # 4
