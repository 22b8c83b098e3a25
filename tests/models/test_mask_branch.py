import torch

from ssdet.models.mask_branch import MaskBranch


def test_rows_come_from_the_last_layer_and_times_from_the_snippets():
    branch = MaskBranch(3, 5, 8)
    with torch.no_grad():
        branch.rows.weight[2] = 0  # row 2 knows nothing
    mask = branch(torch.randn(2, 3, 8))
    assert mask.shape == (2, 8, 8)
    assert (mask[:, 2] == 0.5).all()
    assert not (mask[:, :, 2] == 0.5).all()


def test_half_precision_inside_gives_full_masks():
    branch = MaskBranch(3, 5, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask = branch(torch.randn(1, 3, 8))
    assert mask.dtype == torch.float32
