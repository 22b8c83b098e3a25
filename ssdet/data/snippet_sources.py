"""Where features of videos come from: our own store, or files of others.

Source: spec of SPOT, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ssdet.config import canonical_json
from ssdet.data.feature_store import FeatureStore
from ssdet.data.snippets import covered_s
from ssdet.data.step_features import StoredSteps
from ssdet.files import sha256_text


class SnippetSource(Protocol):
    """Where features come from: `StoredSnippets` or `FeatureFiles`."""

    def __contains__(self, video_id: str) -> bool: ...

    @property
    def identity(self) -> str:
        """A hash that another set of features does not have."""
        ...

    def as_parent(self) -> dict[str, Any]:
        """What a record says of them; they are too large to hash."""
        ...

    def read(self, video_id: str) -> Tensor:
        """Features (L, C) of a video."""
        ...

    def covered_s(self, video_id: str, duration_s: float) -> float:
        """Seconds of the video that they cover."""
        ...


class StoredSnippets:
    """Features of extract_features, the mean of one map over the picture."""

    def __init__(self, folder: Path, names: Sequence[str], map_name: str) -> None:
        """Open the shards `names` in `folder`, to read `map_name` of them.

        Raises:
            ValueError: see `FeatureStore`.
        """
        self.store = FeatureStore(folder, names)
        self.steps = StoredSteps(self.store, map_name)
        self._ids = set(self.store.video_ids)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._ids

    @property
    def identity(self) -> str:
        """A hash of how the features were made, the same for both splits."""
        return sha256_text(canonical_json(self.steps.identity))

    def as_parent(self) -> dict[str, Any]:
        """How the shards were made."""
        return self.store.as_parent()

    def read(self, video_id: str) -> Tensor:
        """Features (L, C) of a video, float32."""
        return self.steps.read(video_id, 0, self.steps.steps(video_id)).T

    def covered_s(self, video_id: str, duration_s: float) -> float:
        """Seconds that the rows cover, each `stride` frames."""
        info = self.store.info(video_id)
        frames = info.length * int(self.store.attributes["stride"])
        return covered_s(duration_s, frames, info.n_frames)
