import pytest
import torch

from ssdet.train.plateau import Plateau

LOSSES = [5.0, 4.0, 4.0, 3.9999, 4.5, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0]


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_it_is_the_released_programs_schedule(patience):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=0.5)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=patience
    )
    ours = Plateau(0.5, 0.1, patience)
    for step, loss in enumerate(LOSSES):
        theirs.step(loss)
        ours.offer({"val_loss": loss})
        assert ours.rate(step) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_it_continues_from_its_state():
    one, other = Plateau(1.0, 0.5, 1), Plateau(1.0, 0.5, 1)
    for loss in LOSSES[:4]:
        one.offer({"val_loss": loss})
    other.load_state_dict(one.state_dict())
    for step, loss in enumerate(LOSSES[4:]):
        one.offer({"val_loss": loss})
        other.offer({"val_loss": loss})
        assert one.rate(step) == other.rate(step)


def test_without_validation_the_rate_stays():
    schedule = Plateau(1.0, 0.5, 0)
    for _ in range(5):
        schedule.offer({})
    assert schedule.rate(5) == 1.0
