"""Models, as results name them, and the report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from ssdet.sections.base import Name, Pretext, Section

ON_TEST = "best_on_test"


class FineModel(Section):
    """A single-stream detector fine-tuned from one pretraining."""

    kind: Literal["fine"]
    pretext: Pretext


class CoarseFineModel(Section):
    """A two-stream detector."""

    kind: Literal["coarse_fine"]
    coarse: Pretext
    fine: Pretext


class EndToEndModel(Section):
    """A two-stream detector whose streams are trained together."""

    kind: Literal["end_to_end"]
    coarse: Pretext
    fine: Pretext


class CoarseModel(Section):
    """The coarse stream of a two-stream detector alone."""

    kind: Literal["coarse"]
    pretext: Pretext


class SlowModel(Section):
    """A single-stream detector on every 4th frame, fine-tuned from one pretraining."""

    kind: Literal["slow"]
    pretext: Pretext


class SlowFastModel(Section):
    """SlowFast_det: a slow stream from one pretraining, a fine-tuned one as fast."""

    kind: Literal["slowfast"]
    slow: Pretext
    fast: Pretext


class HeadModel(Section):
    """A temporal head on the features of a fine-tuned detector, or on others."""

    kind: Literal["head"]
    head: Name
    pretext: Name
    epoch: Literal["selected", "last", "best_on_test"]


Model = Annotated[
    FineModel
    | CoarseFineModel
    | EndToEndModel
    | CoarseModel
    | SlowModel
    | SlowFastModel
    | HeadModel,
    Field(discriminator="kind"),
]


class SeedsConfig(Section):
    """Trainings by other seeds than the first."""

    tables: tuple[NonNegativeInt, ...]
    share: Literal["nothing", "pretrain", "features"]


class ReportConfig(Section):
    """Figures."""

    timeline_videos: PositiveInt
    boundary_s: NonNegativeFloat
    resamples: PositiveInt
    tables: tuple[str, ...]
