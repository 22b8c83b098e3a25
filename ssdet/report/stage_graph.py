"""The stages of the workflow and what feeds them, drawn from above to below."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from itertools import pairwise

DATA = ("synthetic", "inventory")
CLIPS = (*DATA, "extract_frames")
# Rule -> the rules whose files it reads. A test compares it with Snakemake's own graph.
FEEDS: dict[str, tuple[str, ...]] = {
    "synthetic": (),
    "inventory": ("synthetic",),
    "extract_frames": ("inventory",),
    "pretrain": CLIPS,
    "train_fine": (*CLIPS, "pretrain"),
    "train_coarse": (*CLIPS, "pretrain"),
    "train_slow": (*CLIPS, "pretrain"),
    "train_slowfast": (*CLIPS, "pretrain", "train_fine"),
    "train_end_to_end": (*CLIPS, "pretrain", "train_fine"),
    "extract_features": (*CLIPS, "train_fine"),
    "extract_pretrained": (*CLIPS, "pretrain"),
    "train_coarse_fine": (*CLIPS, "pretrain", "extract_features"),
    "train_head": (*DATA, "extract_features"),
    "pretrain_spot": (*DATA, "extract_pretrained"),
    "train_spot": (*DATA, "extract_pretrained", "pretrain_spot"),
    "detect_spot": (*DATA, "extract_pretrained", "train_spot"),
    "evaluate_segments": (*DATA, "detect_spot"),
    "predict": (
        *CLIPS,
        "extract_features",
        "train_fine",
        "train_coarse",
        "train_slow",
        "train_slowfast",
        "train_end_to_end",
        "train_coarse_fine",
        "train_head",
    ),
    "ensemble": (*DATA, "predict"),
}
BOX, GAP = (150, 44), (22, 34)  # width and height of a stage, and between stages
MARGIN = 8
SWEEPS = 40  # over the levels, to put stages beside what feeds them


def drawn_edges(present: Collection[str]) -> list[tuple[str, str]]:
    """What feeds what among some stages.

    Of the data, which feed nearly all, only what no other edges imply.
    """
    feeds = {
        stage: [source for source in FEEDS[stage] if source in present]
        for stage in FEEDS
        if stage in present
    }

    def reaches(stage: str, source: str) -> bool:
        return any(s == source or reaches(s, source) for s in feeds[stage])

    return [
        (source, stage)
        for stage, sources in feeds.items()
        for source in sources
        if source not in CLIPS or not any(reaches(other, source) for other in sources)
    ]


def stage_graph(present: Collection[str], notes: Mapping[str, Sequence[str]]) -> str:
    """The drawing, as an SVG element that takes the colours of its page.

    Args:
        present: the stages to draw, of those in `FEEDS`.
        notes: lines of text to put into a stage's box, under its name.
    """
    edges = drawn_edges(present)
    stages = [stage for stage in FEEDS if stage in present]
    places = _places(stages, edges)
    width = MARGIN + BOX[0] + max(x for x, _ in places.values())
    height = MARGIN + BOX[1] + max(y for _, y in places.values())
    parts = [_curve(*edge, places) for edge in edges]
    parts += [_box(stage, places[stage], notes.get(stage, ())) for stage in stages]
    size = f'width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg class="stages" viewBox="0 0 {width:.0f} {height:.0f}" {size} role="img"'
        ' aria-label="stages and what feeds them">\n' + "\n".join(parts) + "\n</svg>"
    )


def _levels(stages: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Level of each stage: one below the lowest of what feeds it."""
    levels: dict[str, int] = {}
    for stage in stages:  # FEEDS names what feeds a stage before it
        fed = [levels[source] for source, target in edges if target == stage]
        levels[stage] = max(fed, default=-1) + 1
    return levels


def _places(
    stages: Sequence[str], edges: Sequence[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """Upper left corner of each stage, and of the gaps through which edges pass."""
    levels = _levels(stages, edges)
    by_level: list[list[str]] = [[] for _ in range(max(levels.values()) + 1)]
    for stage in stages:
        by_level[levels[stage]].append(stage)
    beside: dict[str, list[str]] = {stage: [] for stage in stages}
    for source, target in edges:
        chain = [source]
        for level in range(levels[source] + 1, levels[target]):
            chain.append(f"{_edge(source, target)} {level}")
            by_level[level].append(chain[-1])
            beside[chain[-1]] = []
        for one, other in zip(chain, [*chain[1:], target], strict=True):
            beside[one].append(other)
            beside[other].append(one)
    rows = {name: float(row) for names in by_level for row, name in enumerate(names)}
    for _ in range(SWEEPS):
        for names in by_level:
            means = {
                name: sum(rows[other] for other in beside[name])
                / max(1, len(beside[name]))
                for name in names
            }
            names.sort(key=lambda name: means[name])
            first = sum(means.values()) / len(names) - (len(names) - 1) / 2
            rows |= {name: first + row for row, name in enumerate(names)}
    for names, below in reversed(list(pairwise(by_level))):
        if len(names) == 1:  # a chain of single stages stands upright
            under = [rows[name] for name in beside[names[0]] if name in below]
            rows[names[0]] = sum(under) / max(1, len(under))
    left = min(rows.values())
    return {
        name: (
            MARGIN + (rows[name] - left) * (BOX[0] + GAP[0]),
            MARGIN + level * (BOX[1] + GAP[1]),
        )
        for level, names in enumerate(by_level)
        for name in names
    }


def _edge(source: str, target: str) -> str:
    return f"{source} feeds {target}"


def _curve(source: str, target: str, places: Mapping[str, tuple[float, float]]) -> str:
    """An edge, upright where it leaves, passes between stages and arrives."""
    edge = _edge(source, target)
    through = [name for name in places if name.startswith(f"{edge} ")]
    x, y = places[source][0] + BOX[0] / 2, places[source][1] + BOX[1]
    parts = [f"M{x:.0f},{y:.0f}"]
    for name in [*through, target]:
        middle, before = y + GAP[1] / 2, x
        x, y = places[name][0] + BOX[0] / 2, places[name][1]
        parts.append(f"C{before:.0f},{middle:.0f} {x:.0f},{middle:.0f} {x:.0f},{y:.0f}")
        if name != target:
            y += BOX[1]
            parts.append(f"V{y:.0f}")
    return f'<path class="edge" d="{" ".join(parts)}"><title>{edge}</title></path>'


def _box(stage: str, place: tuple[float, float], notes: Sequence[str]) -> str:
    (x, y), (width, height) = place, BOX
    middle = x + width / 2
    lines = [
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width}" height="{height}" rx="6"/>',
        f'<text class="stage" x="{middle:.0f}" y="{y + 18:.0f}">{stage}</text>',
    ]
    for number, note in enumerate(notes):
        below = y + 35 + 14 * number
        lines.append(
            f'<text class="fact" x="{middle:.0f}" y="{below:.0f}">{escape(note)}</text>'
        )
    return f'<g class="box" data-stage="{stage}">{"".join(lines)}</g>'
