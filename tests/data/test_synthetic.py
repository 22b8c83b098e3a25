import csv
import io
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ssdet.config import ConfigError, SyntheticConfig, canonical_json
from ssdet.data.annotations import read_dataset
from ssdet.data.synthetic import check, generate, main, planned_ids
from ssdet.data.synthetic_plan import draw_plan, render

av = pytest.importorskip("av")

VALUES = {
    "classification": "moves",
    "detection": "scenes",
    "side": 16,
    "fps": 12,
    "training_clips": 9,
    "testing_clips": 3,
    "training_videos": 3,
    "testing_videos": 2,
    "clip_s": (1.0, 1.5),
    "video_s": (3.0, 5.0),
}
CONFIG = SyntheticConfig(**VALUES)


def config_with(**changes):
    return SyntheticConfig(**{**VALUES, **changes})


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The sets of CONFIG and seed 7; tests must leave them as they are."""
    folder = tmp_path_factory.mktemp("made")
    text = canonical_json(CONFIG.model_dump(mode="json"))
    arguments = ["--synthetic", text, "--seed", "7", "--workers", "1"]
    main([*arguments, "--out-dir", str(folder)])
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """The same sets, to be damaged."""
    for name, content in files(made).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_two_runs_and_two_workers_give_the_same_bytes(made, tmp_path):
    generate(CONFIG, 7, 2, tmp_path)
    assert files(tmp_path) == files(made)


def test_another_seed_gives_other_videos(made, tmp_path):
    generate(CONFIG, 8, 1, tmp_path)
    videos, others = ({n for n in files(f) if ".mp4" in n} for f in (made, tmp_path))
    assert len(videos) == len(others) == 17
    assert not videos & others


def test_the_layout_of_kinetics(made):
    ids = planned_ids(CONFIG, 7)["moves"]
    for name, split, count in (("train", "training", 9), ("val", "testing", 3)):
        path = made / "moves" / f"{name}.csv"
        header = path.read_text().splitlines()[0]
        assert header == "label,youtube_id,time_start,time_end,split,is_cc"
        found = rows(path)
        assert len(found) == count
        names = [
            f"{row['youtube_id']}_{int(row['time_start']):06d}"
            f"_{int(row['time_end']):06d}"
            for row in found
        ]
        assert names == ids[split]
        for row, video_id in zip(found, names, strict=True):
            assert re.fullmatch(r"[A-Za-z0-9_-]{11}", row["youtube_id"])
            assert (row["split"], row["is_cc"]) == (name, "0")
            label = row["label"].replace(" ", "_")
            video = made / "moves" / "videos" / name / label / f"{video_id}.mp4"
            assert video.is_file()
    assert rows(made / "moves" / "train.csv")[2]["label"] == "sliding sideways"


def test_the_layout_of_charades(made):
    ids = planned_ids(CONFIG, 7)["scenes"]
    for name, split, count in (("train", "training", 3), ("test", "testing", 2)):
        path = made / "scenes" / f"Charades_v1_{name}.csv"
        assert path.read_text().splitlines()[0] == (
            "id,subject,scene,quality,relevance,verified,script,objects,descriptions,"
            "actions,length"
        )
        found = rows(path)
        assert len(found) == count
        assert [row["id"] for row in found] == ids[split]
        for row in found:
            assert re.fullmatch(r"[A-Z0-9]{5}", row["id"])
            assert (made / "scenes" / "videos" / f"{row['id']}.mp4").is_file()
            for action in row["actions"].split(";"):
                assert re.fullmatch(r"c00\d \d+\.\d{6} \d+\.\d{6}", action)
    classes = (made / "scenes" / "Charades_v1_classes.txt").read_text().splitlines()
    assert len(classes) == 10
    assert classes[0] == "c000 Someone rises"


def test_the_header_is_that_of_charades(shared, made):
    real = shared / "data" / "annotations" / "charades" / "Charades_v1_train.csv.gz"
    if not real.exists():
        pytest.skip(f"needs {real}, which may not be passed on")
    import gzip

    with gzip.open(real, "rt") as file:
        header = file.readline()
    made_file = made / "scenes" / "Charades_v1_train.csv"
    assert made_file.read_text().startswith(header)


@pytest.mark.parametrize(
    ("name", "format", "training", "testing", "classes", "count"),
    [
        ("moves", "kinetics", "train.csv", "val.csv", None, 8),
        (
            *("scenes", "charades", "Charades_v1_train.csv", "Charades_v1_test.csv"),
            *("Charades_v1_classes.txt", 10),
        ),
    ],
)
def test_the_readers_of_real_data_read_it(
    made, name, format, training, testing, classes, count
):
    config = {
        "format": format,
        "fps": None,
        "mean": (0.45, 0.45, 0.45),
        "std": (0.225, 0.225, 0.225),
        "segments": "refuse",
    }
    folder = made / name
    dataset = read_dataset(
        *(name, config, folder / training, folder / testing),
        folder / classes if classes else None,
    )
    assert len(dataset.classes) == count
    for split, ids in planned_ids(CONFIG, 7)[name].items():
        assert [record.video_id for record in dataset.of(split)] == sorted(ids)
    assert all(record.segments for record in dataset.records)
    assert not any(dataset.irregularities.values())


def test_videos_show_the_planned_frames(made):
    ids = planned_ids(CONFIG, 7)["scenes"]["training"]
    for index, video_id in enumerate(ids):
        plan = draw_plan("detection", CONFIG, 7, "training", index)
        path = made / "scenes" / "videos" / f"{video_id}.mp4"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.average_rate == 12
            assert float(stream.duration * stream.time_base) == plan.frames / 12
            images = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        planned = np.stack(list(render(plan))).astype(int)
        assert len(images) == plan.frames
        assert planned.shape == (plan.frames, 16, 16, 3)
        distance = np.abs(np.stack(images) - planned).mean((1, 2, 3))
        assert distance.max() < 20  # tiny frames lose much colour
        lengths = {
            row["id"]: float(row["length"])
            for row in rows(made / "scenes" / "Charades_v1_train.csv")
        }
        assert lengths[video_id] == pytest.approx(plan.frames / 12, abs=1e-6)


def test_a_run_again_makes_only_what_is_missing(made, copy):
    videos = sorted(copy.rglob("*.mp4"))
    gone, cut, kept = videos[0], videos[1], videos[2:]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    leftover = gone.with_name(f".{gone.name}.123.tmp")
    leftover.write_bytes(b"half")
    (copy / "moves" / "val.csv").unlink()
    for path in kept:
        os.utime(path, (1, 1))
    generate(CONFIG, 7, 1, copy)
    assert files(copy) == files(made)
    assert {path.stat().st_mtime for path in kept} == {1}


def test_videos_of_another_config_are_made_again(copy):
    before = files(copy)
    generate(config_with(side=18), 7, 1, copy)
    after = files(copy)
    assert before.keys() == after.keys()
    videos = [name for name in before if name.endswith(".mp4")]
    assert all(before[name] != after[name] for name in videos)


def test_a_killed_run_is_completed(tmp_path):
    config = config_with(training_clips=80)  # long enough to be killed on the way
    text = canonical_json(config.model_dump(mode="json"))
    arguments = ["--synthetic", text, "--seed", "7", "--workers", "2"]
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "from ssdet.data.synthetic import main\n"
        "if __name__ == '__main__':\n"
        "    main(sys.argv[1:])\n"
    )
    folder = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments, "--out-dir", str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    while not list(folder.rglob("*.mp4")) and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    # The workers hold the pipe: it ends only when none of them is left behind.
    assert process.communicate()[0] == b""
    assert process.returncode == -signal.SIGKILL
    assert not list(folder.rglob("*.csv"))
    generate(config, 7, 1, folder)
    generate(config, 7, 1, tmp_path / "again")
    assert files(folder) == files(tmp_path / "again")


def test_ids_are_unique_whatever_the_case_and_depend_on_the_seed():
    config = config_with(training_clips=3000, training_videos=3000)
    for name, ids in planned_ids(config, 0).items():
        every = [video_id.lower() for split in ids.values() for video_id in split]
        assert len(set(every)) == len(every)
        assert list(ids) == ["training", "testing"]
        assert ids["training"] != planned_ids(config, 1)[name]["training"]
    assert planned_ids(config, 0) == planned_ids(config, 0)


def test_more_videos_keep_the_first():
    few = planned_ids(CONFIG, 0)
    many = planned_ids(config_with(training_clips=90, training_videos=30), 0)
    assert many["moves"]["training"][:9] == few["moves"]["training"]
    assert many["scenes"]["training"][:3] == few["scenes"]["training"]


def test_planning_needs_neither_torch_nor_pyav():
    code = (
        "import sys; from ssdet.data.synthetic_ids import planned_ids;"
        "assert not {'torch', 'numpy', 'av'} & set(sys.modules);"
        "from ssdet.data.synthetic import planned_ids;"
        "assert not {'torch', 'av'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_bad_values_are_listed_together(tmp_path):
    config = config_with(
        **{"detection": "moves", "side": 15, "training_clips": 7},
        **{"clip_s": (2, 1), "video_s": (1, 4)},
    )
    with pytest.raises(ConfigError) as error:
        generate(config, -1, 1, tmp_path)
    message = str(error.value)
    for words in (
        "seed must be at least 0, found -1",
        "must differ, both are moves",
        "synthetic.side must be even and at least 16",
        "synthetic.training_clips must be at least the number of classes, 8, found 7",
        "synthetic.clip_s must be a shortest length of at least 0.166667 s",
        "synthetic.video_s must be a shortest length of at least 3 s",
    ):
        assert words in message
    assert not list(tmp_path.iterdir())
    check(CONFIG, 0)


def test_bad_json_names_the_key(tmp_path):
    arguments = ["--seed", "0", "--workers", "1", "--out-dir", str(tmp_path)]
    text = canonical_json({**CONFIG.model_dump(mode="json"), "side": "wide"})
    with pytest.raises(ConfigError, match="side"):
        main(["--synthetic", text, *arguments])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "moves").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot write generated videos into .*moves"):
        generate(CONFIG, 0, 1, tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_clear_message(tmp_path, workers):
    resource = pytest.importorskip("resource")
    text = canonical_json(CONFIG.model_dump(mode="json"))
    command = [sys.executable, "-m", "ssdet.data.synthetic", "--synthetic", text]
    command += ["--seed", "7", "--workers", str(workers), "--out-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"error: .*cannot write .*\.mp4: File too large", done.stderr)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
