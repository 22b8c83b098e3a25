import pytest
import torch

from ssdet.models.spot_naming import import_reference, reference_name
from tests.models.test_spot import network


def published():
    """A published state: our tensors under its names, and its counters."""
    state = network(compat="reference").state_dict()
    theirs = {f"module.{reference_name(name)}": x for name, x in state.items()}
    for part in ("embedding", "clip_trans"):
        theirs[f"module.{part}.pos_enc.position_ids"] = torch.arange(6)[None]
    return theirs


def test_fixed_takes_what_it_has():
    theirs, model = published(), network()
    order = {n: x.clone() for n, x in model.order_head.state_dict().items()}
    model.load_state_dict(import_reference(theirs, model))
    torch.testing.assert_close(
        model.class_branch.weight, theirs["module.classifier.0.weight"]
    )
    torch.testing.assert_close(
        model.embedding.norm.bias, theirs["module.embedding.layer_norm.bias"]
    )
    torch.testing.assert_close(dict(model.order_head.state_dict()), order)


def test_all_problems_are_listed():
    theirs = published()
    del theirs["module.classifier.0.bias"]
    theirs["module.more"] = torch.zeros(1)
    theirs["module.global_mask.2.weight"] = torch.zeros(11, 7, 1)
    with pytest.raises(ValueError, match="not the published network") as caught:
        import_reference(theirs, network(compat="reference"))
    assert "classifier.0.bias is missing" in str(caught.value)
    assert "more is unknown" in str(caught.value)
    assert "(11, 7, 1), the model (10, 7, 1)" in str(caught.value)


@pytest.mark.parametrize("other", [{"inputs": 9}, {"positions": True}])
def test_parts_that_were_never_published(other):
    with pytest.raises(ValueError, match="neither a projection nor positions"):
        import_reference(published(), network(**other))
