"""Reading checkpoints of the published SPOT program.

Source: spec of SPOT, section 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ssdet.models.spot import Spot

# Ours -> theirs, by the start of the name.
_ATTENTION = {
    "positions": "pos_enc.pe",
    "queries": "w_qs",
    "keys": "w_ks",
    "values": "w_vs",
    "out": "fc",
    "norm": "layer_norm",
}
_MODULES = {
    "unread.positions": "embedding.pos_enc.pe",
    "class_branch": "classifier.0",
    "mask_branch.context": "global_mask.0",
    "mask_branch.rows": "global_mask.2",
    "order_head.line": "clip_order.0",
    "order_head.halves": "clip_order_linear",
    **{f"embedding.{ours}": f"embedding.{name}" for ours, name in _ATTENTION.items()},
    **{
        f"unread.order_attention.{ours}": f"clip_trans.{name}"
        for ours, name in _ATTENTION.items()
    },
}
_COUNTERS = "pos_enc.position_ids"


def reference_name(name: str) -> str:
    """What the published program calls one of our tensors.

    Raises:
        KeyError: it has no such tensor.
    """
    module, _, leaf = name.rpartition(".")
    return f"{_MODULES[module]}.{leaf}"


def import_reference(theirs: Mapping[str, Tensor], model: Spot) -> dict[str, Tensor]:
    """Give a published state our names.

    Args:
        theirs: their name -> tensor, with or without `module.` in front.
        model: of either kind; a fixed one has another order head, which keeps the
            weights it has, and none of the parts that nothing reads.

    Returns:
        A state for `model.load_state_dict`.

    Raises:
        ValueError: tensors are missing, unknown or of another shape; all are listed.
    """
    plain = {name.removeprefix("module."): tensor for name, tensor in theirs.items()}
    state, problems, read = {}, [], set()
    for name, own in model.state_dict().items():
        if model.compat == "fixed" and name.startswith("order_head."):
            state[name] = own
            continue
        if name.startswith(("projection.", "embedding.positions.")):
            raise ValueError(
                "the published network has neither a projection nor positions; load it"
                " into a network without"
            )
        other = reference_name(name)
        read.add(other)
        if other not in plain:
            problems.append(f"{other} is missing")
        elif plain[other].shape != own.shape:
            problems.append(
                f"{other} has shape {tuple(plain[other].shape)}, the model"
                f" {tuple(own.shape)}"
            )
        else:
            state[name] = plain[other]
    parts = ("embedding.pos_enc.", "clip_trans.", "clip_order")
    for other in sorted(set(plain) - read):
        unread = other.startswith(parts) and model.compat == "fixed"
        if not (unread or other.endswith(_COUNTERS)):
            problems.append(f"{other} is unknown")
    if problems:
        raise ValueError("not the published network: " + "; ".join(problems))
    return state
