import math

import pytest
import torch

from ssdet.models.super_events import SuperEvents, SuperEventTerm
from tests.models import heads


def term_of_one(choice):
    """One class, one feature, one filter in each bank: at the first and last step."""
    term = SuperEventTerm(
        width=1,
        classes=1,
        filters=1,
        merge="max",
        dropout=0.0,
        padding="fixed",
        bound=1.0,
    ).double()
    with torch.no_grad():
        for bank, center in zip(term.banks, (-20.0, 20.0), strict=True):
            bank.center.fill_(center)
        term.choice.fill_(choice)
        term.weight.fill_(2.0)
    return term


def test_a_class_chooses_between_two_events():
    x, mask = torch.tensor([[[1.0, 3.0]]]).double(), torch.ones(1, 2)
    beside = 1 / (1 + 1 / math.exp(3))  # a Cauchy window of width exp(1.5), 1 step off
    near, far = 1 / (1 + beside), beside / (1 + beside)
    first, last = 2 * (near + 3 * far), 2 * (far + 3 * near)
    for choice, expected in ((40, first), (-40, last), (0, (first + last) / 2)):
        found = term_of_one(choice)(x, mask)
        assert found.item() == pytest.approx(expected, abs=1e-4)


def test_the_term_is_the_same_at_all_steps():
    torch.manual_seed(0)
    model = heads.super_events(4, 3).eval()
    x, mask = torch.randn(2, 4, 7), torch.ones(2, 7)
    offset = model(x, mask) - model.classify(x)
    torch.testing.assert_close(offset, offset[:, :, :1].expand(-1, -1, 7))


def test_the_choice_starts_even():
    assert heads.super_events(4, 3).term.choice.tolist() == [0, 0, 0]


def test_concatenated_events_have_weights_for_each_filter():
    model = heads.super_events(4, 3, merge="concat", filters=5)
    assert model.term.weight.shape == (3, 20)


def test_another_merge_is_refused():
    with pytest.raises(ValueError, match="'max' or 'concat', got 'sum'"):
        SuperEvents(
            width=1, classes=1, filters=1, merge="sum", dropout=0, padding="fixed"
        )
