"""What a file scores, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssdet.evaluate.coverage import some

WORDS = {
    "dense_map": "dense mAP, every frame",
    "step_map": "dense mAP, every row of the predictions",
    "map_25": "mAP-25, official instants",
    "map_25_weighted": "wAP-25, weighted by class size",
}
SETS = {"activitynet": "ActivityNet", "thumos14": "THUMOS14"}
BLIND = "whole videos"  # detections of one who never looks when


def table(result: Mapping[str, Any]) -> str:
    """The protocols of a result side by side, in percent, and what was covered."""
    metrics, videos = result["metrics"], result["videos"]
    lines = [f"{result['file']} ({result['kind']}) on {result['dataset']}"]
    if "segment_map" in metrics:
        lines += _segment_lines(metrics, result["rows"]["segment_map"])
    else:
        lines += _frame_lines(metrics, result["rows"])
    lines.append(
        f"{videos['evaluated']:,} of {videos['expected']:,} test videos,"
        f" {len(metrics['per_class'])} classes"
    )
    absent = [row["class"] for row in metrics["per_class"] if _absent(row)]
    if absent:
        lines.append(
            f"{len(absent)} classes never happen and are left out of the means:"
            f" {some(absent)}"
        )
    if result["incomplete"]:
        lines.append("INCOMPLETE: " + "; ".join(result["incomplete"]))
    return "\n".join(lines)


def _absent(row: Mapping[str, Any]) -> bool:
    """Whether a class has no positive under any protocol."""
    return not any(row.get(k) for k in ("positives", "positives_25", "instances"))


def _frame_lines(metrics: Mapping[str, Any], rows: Mapping[str, int]) -> list[str]:
    lines = [f"  {'protocol':<42}{'percent':>9}{'chance':>9}{'rows':>12}"]
    for key, words in WORDS.items():
        if metrics.get(key) is not None:
            ranked = rows[key.removesuffix("_weighted")]
            value, chance = 100 * metrics[key], 100 * metrics["chance"][key]
            lines.append(f"  {words:<42}{value:9.2f}{chance:9.2f}{ranked:12,}")
    return lines


def _segment_lines(metrics: Mapping[str, Any], instances: int) -> list[str]:
    lines = []
    for name, scores in metrics["segment_map"].items():
        lines.append(f"  {SETS[name]}: mAP at each tIoU, in percent")
        cells = [*(f"{tiou:.2f}" for tiou in scores["tiou"]), "mean"]
        lines.append(f"    {'tIoU':<14}" + "".join(f"{cell:>7}" for cell in cells))
        for words, values in (("mAP", scores["map"]), ("recall", scores["recall"])):
            mean = sum(values) / len(values)
            row = "".join(f"{100 * value:7.2f}" for value in [*values, mean])
            lines.append(f"    {words:<14}" + row)
        if metrics["whole_videos"] is not None:
            blind = 100 * metrics["whole_videos"][name]
            space = " " * (7 * len(scores["tiou"]))
            lines.append(f"    {BLIND:<14}{space}{blind:7.2f}")
    lines.append(f"  {instances:,} annotated segments")
    lines.append("  recall: of the 100 best detections of each video")
    if metrics["whole_videos"] is not None:
        lines.append(f"  {BLIND}: the right classes, each from start to end of a video")
    return lines
