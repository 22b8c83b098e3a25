"""What all sections share: strictness, canonical JSON, common types and rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)

from ssdet.texts import control_characters, printable

Fraction = Annotated[float, Field(ge=0, le=1)]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]


# Paths stand in shell commands: ours quote them, but cluster managers put commands into
# other ones, in which these characters still act; Snakemake reads braces and <>.
ACTIVE = '$`"\\{}<>'
LONGEST = 1000  # characters of a path


def plain_path(path: str) -> str:
    """A path that means itself wherever it is written.

    Raises:
        ValueError: it is empty or too long, begins like an option, or has characters
            that a shell or Snakemake may act upon.
    """
    active = sorted(set(path) & set(ACTIVE))
    if not path:
        raise ValueError("a path must not be empty")
    if len(path) > LONGEST:
        raise ValueError(f"a path has at most {LONGEST} characters, not {len(path)}")
    if active or control_characters(path):
        found = " ".join(active) or "a line break or another control character"
        raise ValueError(
            f"the path {printable(repr(path))} holds {found}, upon which shells or"
            " Snakemake act; rename it, or set a link without"
        )
    if path[0] == "-" or path.strip() != path:
        raise ValueError(
            f"the path {path!r} begins like an option, or begins or ends with a blank;"
            " write ./ before it, or rename it"
        )
    return path


FilePath = Annotated[str, AfterValidator(plain_path)]


Triple = tuple[float, float, float]


Dropout = Annotated[float, Field(ge=0, lt=1)]


Pretext = Literal[
    "cls",
    "freeze",
    "mixup",
    "cutmix",
    "joint",
    "joint_single",
    "manifold_freeze",
    "manifold_mixup",
    "manifold_cutmix",
]


class Section(BaseModel):
    """A mapping of config.yaml: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, allow_inf_nan=False
    )

    def canonical(self) -> str:
        """This section as JSON: sorted keys, so that equal values give equal text."""
        return canonical_json(self.model_dump(mode="json"))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, the same text for equal values."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class OptimizerConfig(Section):
    """What every training stage says of its optimiser."""

    batch_size: PositiveInt
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: PositiveFloat
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegativeFloat
    schedule: Literal["step", "one_cycle"]
    drop_factor: Annotated[float, Field(gt=0, lt=1)]
    clip_norm: PositiveFloat | None
    ema: Annotated[float, Field(gt=0, lt=1)] | None
    frozen_norm: bool
    validate_every: PositiveInt


def without_null(entries: Any) -> Any:
    """Entries without those that an override took away by saying null."""
    if not isinstance(entries, dict):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}


def whole_groups(section: str, batch_size: int, bn_group: int) -> None:
    """Refuse a batch that is not whole groups of batch normalisation."""
    if batch_size % bn_group:
        raise ValueError(
            f"{section}.batch_size ({batch_size}) must be a multiple of"
            f" {section}.bn_group ({bn_group})"
        )


def warmup_ends_in_time(section: str, warmup_epochs: float, epochs: int) -> None:
    """Refuse a warm-up as long as the run."""
    if warmup_epochs >= epochs:
        raise ValueError(
            f"{section}.warmup_epochs ({warmup_epochs:g}) must be below"
            f" {section}.epochs ({epochs})"
        )
