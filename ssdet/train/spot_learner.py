"""Student and teacher of SPOT, as one module for the training loop.

Source: Nag et al., SPOT, ECCV 2022 (arXiv:2207.07059); spec of SPOT, section 9.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssdet.config import SpotLosses, SpotTrain
from ssdet.data.clips import Item, Shape, StepSampler
from ssdet.models.spot import Spot
from ssdet.randomness import generator
from ssdet.train.pseudo_labels import ramp_up
from ssdet.train.semi_supervised import Labelled, semi_loss
from ssdet.train.teacher import build_teacher, decay_at, follow

STAGE = "train_spot"


class Learner(nn.Module):
    """Student and teacher with their loss, so that processes share their gradients."""

    def __init__(
        self,
        student: Spot,
        unlabelled: Tensor,
        epoch: int,
        cfg: SpotTrain,
        losses: SpotLosses,
        seed: int,
    ) -> None:
        """Build.

        Args:
            student: is trained, but for its order head.
            unlabelled: features (N, inputs, T) of the videos without labels; N may
                be 0.
            epoch: steps in an epoch.
            cfg: the section of the stage.
            losses: the section of all losses.
            seed: start of all draws.
        """
        super().__init__()
        self.student = student
        self.student.order_head.requires_grad_(False)
        self.teacher = build_teacher(student)
        self.unlabelled, self.epoch = unlabelled, epoch
        self.cfg, self.losses, self.seed = cfg, losses, seed
        self.taught = -1  # the last step that the teacher has followed to

    def forward(self, batch: Item, step: int, slots: tuple[int, int]) -> Tensor:
        """Loss of one part of a step's labelled and unlabelled batch."""
        self.teacher.eval()
        if step != self.taught:
            average = self.cfg.teacher == "average"
            decay = decay_at(step, self.cfg.teacher_decay) if average else 0.0
            follow(self.teacher, self.student, decay)
            self.taught = step
        labelled = Labelled(batch["features"], batch["classes"], batch["mask"])
        weight = ramp_up(
            step // self.epoch, self.cfg.ramp_epochs, self.cfg.pseudo_weight
        )
        return semi_loss(
            self.student,
            self.teacher,
            labelled,
            self._unlabelled(step, slots, labelled.features.device),
            weight,
            self.cfg,
            self.losses,
            generator(self.seed, STAGE, "views", step, *slots),
        ).total

    def _unlabelled(
        self, step: int, slots: tuple[int, int], device: torch.device
    ) -> Tensor | None:
        """This part's share of the step's videos without labels."""
        if not len(self.unlabelled):
            return None
        shape = Shape(self.cfg.unlabelled_batch_size, 1, 1, 1)
        keys = (self.seed, STAGE, "unlabelled")
        order = StepSampler(
            len(self.unlabelled), lambda step: shape, step, step + 1, keys
        )
        numbers = [number for _, _, number, _ in next(iter(order))]
        part = self.unlabelled[numbers[slots[0] :: slots[1]]]
        if device.type == "cuda":
            part = part.pin_memory()  # else the copy waits for the device
        return part.to(device, non_blocking=True)
