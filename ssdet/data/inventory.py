"""The stage `inventory`: every annotated video, found and decoded once.

One row for each annotated video says where it lies and what it holds, or why it cannot
be used. The stage is also the gate for the labels: they are checked here, with the
durations of the videos known.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ssdet.config import SPLITS, DataConfig
from ssdet.data.annotations import (
    Dataset,
    VideoRecord,
    add_dataset_arguments,
    dataset_from_arguments,
)
from ssdet.data.parallel import run_each
from ssdet.data.probed import Probed, ProbedFiles, died, probe_file, probe_folder
from ssdet.data.video_files import find_videos, is_frame_folder
from ssdet.files import only_one, sha256, write_text
from ssdet.progress import Progress
from ssdet.provenance import block, check_recorded, label_files, now, write_record

REVISION = 1
STATUSES = ("ok", "missing", "corrupt", "excluded")
SHOWN = 20  # videos in a message
UNLIKE = 0.05  # share of the stated duration by which a video may differ unmentioned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InventoryRow:
    """One annotated video.

    Attributes:
        video_id: its name.
        path: of its file, or of the folder of its frames; empty if it is missing.
        fps: frames / duration_s; this and all numbers are 0 unless the status is ok.
        frames: how many there are, by decoding.
        duration_s: from the first frame's start to the last one's end.
        width: pixels, upright.
        height: pixels, upright.
        rotation: degrees clockwise that turn the stored frames upright.
        codec: its name.
        sha256: of the file, or of all frames; empty if it is missing or unreadable.
        status: ok, missing, corrupt or excluded.
        reason: why it is not ok, or what is odd about it.
    """

    video_id: str
    path: str
    fps: float
    frames: int
    duration_s: float
    width: int
    height: int
    rotation: int
    codec: str
    sha256: str
    status: str
    reason: str


COLUMNS = tuple(field.name for field in fields(InventoryRow))
WHOLE = ("frames", "width", "height", "rotation")
NUMBERS = ("fps", "duration_s", *WHOLE)
POSITIVE = frozenset(NUMBERS) - {"rotation"}  # of videos that are ok
LARGEST = 2**31  # above all of them


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ssdet.data.inventory")
    add_dataset_arguments(parser)
    parser.add_argument("--videos", type=Path, required=True, help="folder of videos")
    parser.add_argument("--data", required=True, help="config section, JSON")
    parser.add_argument(
        "--folder-fps",
        type=float,
        help="frames/s of folders of frames; absent: not known",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="the csv file")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read arguments, probe the videos, write the inventory."""
    args = arguments().parse_args(argv)
    started = now()
    cfg = DataConfig.model_validate_json(args.data)
    dataset = dataset_from_arguments(args)  # bad labels stop the run before probing
    ids = [record.video_id for record in dataset.records]
    excluded = set(ids) & set(cfg.exclude)
    also = {record.video_id: record.also for record in dataset.records if record.also}
    found = find_videos(args.videos, set(ids) - excluded, dataset.name, also)
    resume = args.out.with_name(args.out.name + ".resume")
    with only_one(resume, f"makes {args.out}"):
        memory = ProbedFiles(resume)
        probed = probe_all(list(found.values()), memory, args.workers, args.folder_fps)
        rows = [
            _row(record, found, probed, record.video_id in excluded)
            for record in dataset.records
        ]
        log.info("%s", summary(rows))
        check_losses(rows, dataset, cfg)
        durations = {row.video_id: row.duration_s for row in rows if row.status == "ok"}
        dataset_from_arguments(args, durations)
        write_inventory(args.out, rows)
        sections = {
            name: json.loads(getattr(args, name)) for name in ("dataset", "data")
        }
        config = {"name": dataset.name, **sections, "folder_fps": args.folder_fps}
        record = block("inventory", REVISION, config, label_files(args), started)
        write_record(args.out, record, sha256(args.out))
        memory.remove()


def probe_all(
    paths: list[Path],
    memory: ProbedFiles,
    workers: int,
    folder_fps: float | None = None,
) -> dict[Path, Probed]:
    """Probe every file that an interrupted run has not probed yet.

    Args:
        paths: the video files, and folders of frames.
        memory: what an interrupted run has learnt; is added to.
        workers: processes; 0: none, work in this one.
        folder_fps: frames/s of the folders; None: not known.
    """
    probed = {}
    for path in paths:
        known = memory.get(path)
        if known and (known.fps == folder_fps or not is_frame_folder(path)):
            probed[path] = known
    files = [p for p in paths if p not in probed and not is_frame_folder(p)]
    folders = [p for p in paths if p not in probed and is_frame_folder(p)]
    probe = partial(probe_folder, fps=folder_fps)
    if probed:
        log.info("%d videos were probed by an interrupted run", len(probed))
    with Progress(len(paths), "inventory", "video", done=len(probed)) as progress:
        for path, result in chain(
            run_each(probe_file, files, workers, died),
            run_each(probe, folders, workers, died),
        ):
            probed[path] = result
            memory.add(path, result)
            progress.advance()
    return probed


def check_losses(rows: list[InventoryRow], dataset: Dataset, cfg: DataConfig) -> None:
    """See that no more videos are lost than is allowed.

    Raises:
        ValueError: more are missing or corrupt, or a split has no usable video; the
            message names the videos and says what to do.
    """
    bad = [row for row in rows if row.status in ("missing", "corrupt")]
    usable = {row.video_id for row in rows if row.status == "ok"}
    empty = [
        split
        for split in SPLITS
        if not any(record.video_id in usable for record in dataset.of(split))
    ]
    fraction = cfg.allowed(dataset.name)
    allowed = fraction * len(rows) + 1e-9
    if len(bad) <= allowed and not empty:
        return
    lines = [
        f"{row.video_id}: {row.status}, {row.reason}"
        + (f" ({row.path})" if row.path else "")
        for row in bad[:SHOWN]
    ]
    if len(bad) > SHOWN:
        lines.append(f"... and {len(bad) - SHOWN} more")
    key = f"datasets.{dataset.name}.videos"
    if len(bad) > allowed:
        head = (
            f"{len(bad)} of the {len(rows)} annotated videos of {dataset.name} are"
            f" missing or corrupt, data.max_missing_fraction ({fraction:g}) allows"
            f" {int(allowed)}"
        )
    else:
        head = f"{dataset.name} has no usable video of split {' and '.join(empty)}"
    raise ValueError(
        "\n  ".join([head + ":", *lines])
        + f"\nPut the files into the folder that {key} names or correct that key; or"
        " leave the videos out by listing their ids in data.exclude; or allow the loss"
        " by raising data.max_missing_fraction. Then run again; what is probed is kept"
    )


def summary(rows: list[InventoryRow]) -> str:
    """What the inventory holds, in a few readable lines."""
    counts = Counter(row.status for row in rows)
    lines = [", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])]
    good = [row for row in rows if row.status == "ok"]
    if good:
        hours = sum(row.duration_s for row in good) / 3600
        lines.append(
            f"{hours:.3g} h, {sum(row.frames for row in good)} frames,"
            f" {_span([row.duration_s for row in good])} s each,"
            f" {_span([row.fps for row in good])} frames/s,"
            f" short sides {_span([min(row.width, row.height) for row in good])} pixels"
        )
        codecs = Counter(row.codec for row in good).most_common()
        lines.append(", ".join(f"{codec} {count}" for codec, count in codecs))
        odd = [row for row in good if row.reason]
        for row in odd[:SHOWN]:
            lines.append(f"{row.video_id}: {row.reason}")
        if len(odd) > SHOWN:
            lines.append(f"... and {len(odd) - SHOWN} more oddities, in the inventory")
    return "\n  ".join(["inventory:", *lines])


def write_inventory(path: str | Path, rows: list[InventoryRow]) -> None:
    """Write the rows as csv, whole or not at all; numbers of no video stay empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = asdict(row)
        if row.status != "ok":
            cells.update(dict.fromkeys(NUMBERS, ""))
        writer.writerow(cells.values())
    write_text(path, text.getvalue())


def read_inventory(path: str | Path) -> list[InventoryRow]:
    """Read an inventory; its rows are sorted by video_id.

    Raises:
        ValueError: the file is absent or is not an inventory; bad rows are listed; or
            it is not as it was written.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no inventory at {path} (--inventory); run `inventory` first")
    rows, problems = [], []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = tuple(next(reader, ()))
            if header == COLUMNS:
                for cells in reader:
                    try:
                        rows.append(_parse(cells))
                    except ValueError as error:
                        problems.append(f"{path}:{reader.line_num}: {error}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); run `inventory` again"
        ) from None
    if header != COLUMNS:
        raise ValueError(
            f"{path} is not an inventory: expected the columns"
            f" {', '.join(COLUMNS)}, found {', '.join(header) or 'an empty file'}"
        )
    ids = [row.video_id for row in rows]
    if not problems and ids != sorted(set(ids)):
        problems.append("its rows are not sorted by video_id, or one comes twice")
    if problems:
        shown = "\n  ".join(problems[:SHOWN])
        raise ValueError(
            f"{path} has {len(problems)} bad rows:\n  {shown}\nRun `inventory` again"
        )
    check_recorded(path, "run `inventory` again")
    return rows


def _parse(cells: list[str]) -> InventoryRow:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} cells")
    values: dict[str, Any] = dict(zip(COLUMNS, cells, strict=True))
    status = values["status"]
    if status not in STATUSES:
        raise ValueError(f"status is {status!r}, expected {', '.join(STATUSES)}")
    for name in NUMBERS:
        text = values[name] or ("" if status == "ok" else "0")
        try:
            values[name] = int(text) if name in WHOLE else float(text)
        except ValueError:
            raise ValueError(f"{name} should be a number, found {text!r}") from None
        needed = status == "ok" and name in POSITIVE
        if not 0 <= values[name] < LARGEST or (needed and not values[name]):
            raise ValueError(f"{name} cannot be {text}")
    return InventoryRow(**values)


def _row(
    record: VideoRecord,
    found: Mapping[str, Path],
    probed: Mapping[Path, Probed],
    out: bool,
) -> InventoryRow:
    empty = InventoryRow(record.video_id, "", 0, 0, 0, 0, 0, 0, "", "", "", "")
    if out:
        return replace(empty, status="excluded", reason="listed in data.exclude")
    path = found.get(record.video_id)
    if path is None:
        return replace(empty, status="missing", reason="no video file of this name")
    row = replace(empty, path=str(path), **asdict(probed[path]))
    stated_s = record.duration_s
    if row.status == "ok" and stated_s is not None:
        difference_s = abs(row.duration_s - stated_s)
        if difference_s > max(1.0, UNLIKE * stated_s):
            odd = f"lasts {row.duration_s:.2f} s, the labels say {stated_s:.2f} s"
            return replace(row, reason="; ".join(filter(None, [row.reason, odd])))
    return row


def _span(values: list[float] | list[int]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    from ssdet.stage import run  # here: workers import this module, but need no torch

    run(main)
