"""Frames of training and validation clips: temporal_sampling.json (frames from 1)."""

import json

import pytest

from ssdet.data.clip_sampling import clip_frames, last_begin, validation_windows


def from_one(frames):
    return [frame + 1 for frame in frames]


@pytest.mark.golden("temporal_sampling.json")
def test_training_windows(golden_file):
    for case in json.loads(golden_file.read_text())["train"]:
        begin, total = case["begin_offset"], case["n_frames"]
        assert last_begin(total, case["window"]) == case["max_begin_offset"]
        stride = case["stride"] * case["t_stride"]
        samples = case["trunc"] // case["stride"]
        found = clip_frames(total, begin, samples, stride)
        assert from_one(found) == case["frames_1based"]


@pytest.mark.golden("temporal_sampling.json")
def test_validation_windows(golden_file):
    for case in json.loads(golden_file.read_text())["val_multicrop"]:
        stride = case["stride"]
        samples = case["window"] // stride
        found = validation_windows(case["n_frames"], samples, stride, case["crops"])
        assert [frames[0] // stride for frames in found] == case["starts"]
        assert from_one(found[0]) == case["first_clip_frames"]
        assert from_one(found[-1]) == case["last_clip_frames"]
