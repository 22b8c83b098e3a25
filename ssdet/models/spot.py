"""SPOT: what happens and where, side by side, from the snippets of a whole video.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 4.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from ssdet.models.alignment import Compat
from ssdet.models.mask_branch import MaskBranch
from ssdet.models.order_head import BlockOrderHead, HalfOrderHead
from ssdet.models.snippet_attention import SnippetAttention

REFERENCE_ORDER_DROPOUT = 0.1  # of attention, in the order block nobody reads


class SpotOutput(NamedTuple):
    """What the network says of a batch of videos.

    Attributes:
        embedded: (B, C, T), the snippets after attention.
        logits: (B, K + 1, T), the last row is background.
        mask: (B, T, T) in (0, 1), row by time; see `MaskBranch`.
    """

    embedded: Tensor
    logits: Tensor
    mask: Tensor


class Spot(nn.Module):
    """One snippet embedding, and two branches that do not see each other's output."""

    def __init__(
        self,
        *,
        inputs: int,
        channels: int,
        classes: int,
        snippets: int,
        heads: int,
        mask_hidden: int,
        dropout_attention: float,
        dropout_out: float,
        order_blocks: int,
        positions: bool,
        compat: Compat,
    ) -> None:
        """Build.

        Args:
            inputs: channels of the features.
            channels: C, of the embedding; if it is not `inputs`, a linear projection
                comes first.
            classes: K, without background.
            snippets: T.
            heads: of the attention.
            mask_hidden: see `MaskBranch`.
            dropout_attention: see `SnippetAttention`.
            dropout_out: see `SnippetAttention`.
            order_blocks: see `BlockOrderHead`.
            positions: whether the embedding knows where a snippet lies. Without, rows
                of the mask can only be told apart by what the snippets look like.
            compat: `fixed`, or `reference` for the tensors and the order head of the
                published program: two of its parts are held, so that its checkpoints
                load, but nothing reads them.

        Raises:
            ValueError: another `compat`, or `reference` with a projection or positions.
        """
        super().__init__()
        if compat not in ("fixed", "reference"):
            raise ValueError(f"compat must be fixed or reference, got {compat!r}")
        if compat == "reference" and inputs != channels:
            raise ValueError(
                f"the reference has no projection: channels ({channels}) must be the"
                f" features' {inputs}"
            )
        if compat == "reference" and positions:
            raise ValueError("the reference's embedding has no positions")
        self.compat = compat
        self.inputs, self.snippets, self.classes = inputs, snippets, classes
        self.projection = (
            nn.Conv1d(inputs, channels, 1) if inputs != channels else nn.Identity()
        )
        self.embedding = SnippetAttention(
            channels,
            heads,
            dropout_attention,
            dropout_out,
            snippets if positions else 0,
        )
        self.class_branch = nn.Conv1d(channels, classes + 1, 1)
        self.mask_branch = MaskBranch(channels, mask_hidden, snippets)
        self.order_head: BlockOrderHead | HalfOrderHead
        if compat == "fixed":
            self.order_head = BlockOrderHead(
                channels, heads, dropout_attention, dropout_out, snippets, order_blocks
            )
            return
        self.order_head = HalfOrderHead(channels, snippets)
        self.unread = nn.ModuleDict(
            {
                "positions": nn.Embedding(channels, channels),
                "order_attention": SnippetAttention(
                    channels, heads, REFERENCE_ORDER_DROPOUT, dropout_out, channels
                ),
            }
        ).requires_grad_(False)

    def forward(self, x: Tensor) -> SpotOutput:
        """Classify snippets and draw masks.

        Args:
            x: features (B, inputs, T).

        Raises:
            ValueError: `x` has other channels or snippets than the network.
        """
        embedded = self.embed(x)
        return SpotOutput(
            embedded, self.class_branch(embedded), self.mask_branch(embedded)
        )

    def embed(self, x: Tensor) -> Tensor:
        """The embedding (B, C, T) of features (B, inputs, T)."""
        out: Tensor = self.embedding(self.project(x).transpose(1, 2)).transpose(1, 2)
        return out

    def project(self, x: Tensor) -> Tensor:
        """Features at the embedding's width, (B, C, T): what it is to stay close to.

        Raises:
            ValueError: `x` has other channels or snippets than the network.
        """
        if x.ndim != 3 or tuple(x.shape[1:]) != (self.inputs, self.snippets):
            raise ValueError(
                f"features must be (B, {self.inputs}, {self.snippets}), are"
                f" {tuple(x.shape)}"
            )
        projected: Tensor = self.projection(x)
        return projected

    def order(self, x: Tensor) -> Tensor:
        """Logits of the order head, see there, of features (B, inputs, T)."""
        logits: Tensor = self.order_head(self.embed(x))
        return logits
