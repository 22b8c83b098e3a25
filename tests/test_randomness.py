import torch

from ssdet.randomness import generator, seed_of, uniform_int


def test_equal_keys_give_equal_draws_and_others_do_not():
    first = torch.randint(1000, (8,), generator=generator(0, "fine", 3))
    again = torch.randint(1000, (8,), generator=generator(0, "fine", 3))
    other = torch.randint(1000, (8,), generator=generator(0, "fine", 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_seed_is_the_same_on_every_machine():
    assert seed_of(0, "pretrain") == 2072057650327228295


def test_integers_are_drawn_below_the_end():
    source = generator(1)
    assert {uniform_int(2, 5, source) for _ in range(100)} == {2, 3, 4}
