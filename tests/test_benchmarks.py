"""The programs of benchmarks/ on inputs so small that they take no time.

They check what they compare before they time it, so that running them is a test of both
sides; their figures are not looked at.
"""

import gc
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssdet.kernels import compiled
from ssdet.kernels.gpu import switch

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def program(monkeypatch):
    """Imports programs by name, with other sizes; forgets what they did afterwards."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    threads, garbage = torch.get_num_threads(), gc.get_threshold()

    def load(name, **sizes):
        module = importlib.import_module(name)
        for size, value in sizes.items():
            monkeypatch.setattr(module, size, value)
        return module

    yield load
    torch.set_num_threads(threads)
    gc.set_threshold(*garbage)
    for name in set(sys.modules) - before:
        if name in {path.stem for path in FOLDER.glob("*.py")}:
            del sys.modules[name]


@pytest.fixture
def run(tmp_path):
    """Runs a program once in all; returns its figures."""

    def figures(module, *arguments):
        path = tmp_path / "figures" / "found.json"
        module.main([*arguments, "--json", str(path)])
        return json.loads(path.read_text())

    return figures


def test_figures_by_hand(program, capsys):
    shared = program("side_by_side")
    clocks = {
        "slow": {"wall": [4.0, 6.0, 8.0], "processor": [4.0, 4.0, 4.0]},
        "fast": {"wall": [1.0, 2.0, 2.0], "processor": [2.0, 2.0, 1.0]},
    }
    rows = shared.summary(clocks, "slow", per=2)
    assert rows["slow"]["wall_ms"] == 3000
    assert rows["slow"]["wall_spread_ms"] == 500
    assert rows["slow"]["wall_ratio"] == {"slow": 1}
    assert rows["fast"]["wall_ratio"] == {"slow": 4}  # of 4, 3 and 4
    assert rows["fast"]["processor_ms"] == 1000
    shared.show("both", rows)
    assert "above 1: faster than slow\n" in capsys.readouterr().out


def test_sides_take_turns(program):
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "ab"}
    times = program("side_by_side").in_turn(calls, 2)
    assert "".join(called) == "ababab"
    assert len(times["b"]["wall"]) == 2
    assert program("side_by_side").spread([3.0]) == 0


def test_children_count(program):
    shared = program("side_by_side")
    before = shared.processor_s()
    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
    assert shared.processor_s() - before > 0.02


def test_facts_name_what_matters(program):
    facts = program("side_by_side").facts()
    assert torch.__version__.startswith(facts["torch"])
    assert {"processor", "threads", "allocator", "device", "load"} <= facts.keys()


def test_backbone(program):
    module = program("backbone")
    ours = module.build(passes=1).eval()
    video = torch.randn(1, 3, 4, 32, 32)
    sides = {module.AUTHORS: module.authors(ours).eval(), "ours fp32": ours}
    calls = {
        name: lambda side=side: module.infer(side, video)
        for name, side in sides.items()
    }
    assert module.check_inference(calls).keys() == calls.keys()


def test_augment(program, run):
    found = run(program("augment", SHAPE=(3, 2, 8, 4, 32)), "--rounds", "1")
    assert found["all, view"]["ours"]["wall_ratio"].keys() == {"masks", "slices"}


def test_dense_map(program, run):
    sizes = {"FRAMES": 3000, "CLASSES": 6, "VIDEOS": 7, "SEGMENT": 10}
    found = run(program("dense_map", **sizes), "--rounds", "1")
    assert found["memory_mb"]["common meter"] > found["memory_mb"]["ours"] > 0
    assert len(found["sides"]) == 4


def test_clips(program, run):
    sizes = {"VIDEOS": 2, "FRAMES": 170, "SHARD": 1, "HEIGHT": 48, "WIDTH": 64}
    crops = {"CLIPS": 2, "CROP": 40, "SHORT_SIDES": (48, 56)}
    found = run(program("clips", **sizes, **crops), "--rounds", "1")
    assert len(found["one clip"]) == 5


def test_coarse_fine(program):
    program("coarse_fine").check()


def test_depthwise(program, run):
    module = program("depthwise", SHAPES=((1, 16, 4, 8, 2), (1, 16, 4, 8, 1)))
    assert len(run(module, "--rounds", "1")["shapes"]) == 2


def test_features(program, run, tmp_path):
    widths = dict(zip(program("features").KEYS, (2, 4, 8, 8, 16), strict=True))
    module = program("features", VIDEOS=2, WINDOWS=3, CHANNELS=widths)
    found = run(module, str(tmp_path), "--rounds", "1")
    assert found["files"] == {**dict.fromkeys(module.LAYOUTS, 1), "torch files": 10}


def test_storages(program, run):
    program("clips", HEIGHT=48, WIDTH=64)
    forms = [{"jpeg_quality": 90}, {"video": {"gop": 8, "crf": 20}}]
    sizes = {"VIDEOS": 1, "FRAMES": 170, "CLIPS": 1, "CODED": 9, "HEIGHT": 48}
    found = run(program("storages", **sizes, FORMS=forms), "--rounds", "1")
    jpeg, video = found["bytes"].values()
    assert 0 < video < jpeg


def test_extraction(program, run, capsys):
    stored = program("extraction").STORED.model_copy(update={"short_side": 128})
    sizes = {"VIDEOS": 1, "FRAMES": 5, "HEIGHT": 192, "WIDTH": 256, "SIDE": 128}
    found = run(program("extraction", **sizes, STORED=stored), "--rounds", "1")
    sides = found["known"]
    assert sides["ours, one shard"]["files"] == 1
    assert sides["PyAV, Pillow, files"]["files"] == 5
    if shutil.which("ffmpeg") is None:
        assert "no program ffmpeg" in capsys.readouterr().out
    else:
        larger, smaller = (sides[f"ffmpeg, files, {n}"] for n in ("larger", "smaller"))
        assert larger["files"] == smaller["files"] == 5
        own = sides["ours, one shard"]["bytes"]
        assert smaller["bytes"] <= own < larger["bytes"]
        psnr = found["at_our_bytes"]["psnr_db"]
        assert smaller["psnr_db"] <= psnr < larger["psnr_db"]


GROWING = {
    "read, clip length": 4,
    "read, batch": 2,
    "read 64 clips, workers": 1,
    "open store, videos": 3,
    "train step, clip length": 4,
    "train step, batch": 2,
    "predict, video length": 8,
    "inventory, videos": 4,
    "plan, videos": 80,
    "per-frame AP, frames": 3000,
    "segment AP, videos": 80,
}


def test_growth(program, tmp_path):
    module = program("growth")
    assert module.CASES.keys() == GROWING.keys()
    for number, (name, size) in enumerate(GROWING.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        module.CASES[name][1](size, folder)()


def test_exponents_by_hand(program):
    exponent = program("growth").exponent
    assert exponent((1, 2, 4), (3.0, 12.0, 48.0)) == pytest.approx(2)
    assert exponent((1, 2, 4), (0.0, 1.0, 2.0)) == 0


def test_planning_makes_up_so_many_shards(program, tmp_path):
    """tests/test_workflow_planning.py plans them."""
    program("planning").write_project(tmp_path, 6, 2)
    rows = (tmp_path / "training.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 2  # three shards of two videos, below a head
    assert "shard_videos: 2" in (tmp_path / "planning.yaml").read_text()


def test_demo_reads_what_a_run_left(program, tmp_path):
    side = program("demo").Side(tmp_path, Path("demo.yaml"), True)
    records = side.folder / "results/benchmarks/pretrain"
    records.mkdir(parents=True)
    for name, seconds in (("cls", 2), ("freeze", 3)):
        text = f"s\tcpu_time\tmax_rss\n{seconds}\t{2 * seconds}\t100\n"
        (records / f"{name}.tsv").write_text(text)
    (side.folder / "results/x_ensemble.json").write_text(
        '{"metrics": {"dense_map": 0.5}}'
    )
    stages = side.stages("results", ["x"])
    assert stages == {
        "pretrain": {
            "jobs": 2,
            "wall_s": pytest.approx(5),
            "processor_s": pytest.approx(10),
        }
    }
    assert side.dense_map("results", "x") == 0.5


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_gpu_kernels_without_a_gpu(program, capsys):
    program("gpu_kernels").main([])
    assert "no GPU" in capsys.readouterr().out


def test_gpu_kernels_in_the_interpreter(program, capsys, tmp_path, monkeypatch):
    """Every comparison, on maps of which nothing is a multiple of anything."""
    pytest.importorskip("triton", reason="Triton is not installed")
    if not switch.interpreted():
        pytest.skip("Triton does not interpret: there is a GPU to measure")
    monkeypatch.setenv(switch.SWITCH, "off")  # which the program sets
    monkeypatch.setenv(compiled.SWITCH, "off")
    sizes = {"FRAMES": 2, "LAYERS": ((3, 3, 2),), "STEM": (3, 2, 1)}
    made = program("gpu_kernels", **sizes, STAGES=((4, 9, 3),))
    path = tmp_path / "gpu_kernels.json"
    made.main(["--device", "cpu", "--batch", "2", "--json", str(path)])
    lines = json.loads(path.read_text())["lines"]
    assert len(lines) == 2 * 4 + 3 * 2 + 2 + 2 * 3
    assert lines["4, 9 x 3, gated block gradients"]["ours_ms"] > 0
