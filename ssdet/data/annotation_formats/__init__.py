"""Reads the label files of each format, as they are written.

A reader gives every video of a file with its segments, and adds to a list of problems
what it cannot read. What the segments must satisfy is decided in `segments.py`. All
files may be gzip.
"""

from ssdet.data.annotation_formats.activitynet import read_activitynet
from ssdet.data.annotation_formats.charades import read_charades
from ssdet.data.annotation_formats.class_lists import read_classes
from ssdet.data.annotation_formats.kinetics import read_kinetics
from ssdet.data.annotation_formats.multithumos import read_multithumos
from ssdet.data.annotation_formats.raw import (
    AnnotationError,
    RawSegment,
    RawVideo,
    Reader,
    wrong_label,
)
from ssdet.data.annotation_formats.table import read_table
from ssdet.data.annotation_formats.thumos14 import read_thumos14

READERS: dict[str, Reader] = {
    "activitynet": read_activitynet,
    "charades": read_charades,
    "kinetics": read_kinetics,
    "multithumos": read_multithumos,
    "table": read_table,
    "thumos14": read_thumos14,
}

__all__ = [
    "READERS",
    "AnnotationError",
    "RawSegment",
    "RawVideo",
    "read_classes",
    "wrong_label",
]
