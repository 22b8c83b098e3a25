import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ssdet.augment import policy
from ssdet.models import build_detector
from ssdet.randomness import generator
from ssdet.stage import StageError
from ssdet.train import pretrain, setup
from ssdet.train.checkpoint import load_checkpoint
from ssdet.train.metrics_log import timing
from ssdet.train.plan import plan_of_steps

ROOT = Path(__file__).resolve().parents[2]
STEPS = 24


def of_steps(tiny, steps, **more):
    """The section pretrain with another number of steps."""
    section = tiny.config.pretrain.model_dump() | {
        "steps": steps,
        "validate_every": steps,
        **more,
    }
    return json.dumps(section)


def with_section(arguments, name, text):
    """Arguments with another text of one section."""
    position = arguments.index(f"--{name}") + 1
    return [*arguments[:position], text, *arguments[position + 1 :]]


def test_the_checkpoint_says_what_it_is(tiny, tmp_path):
    out = tmp_path / "checkpoint.pt"
    pretrain.main(tiny.pretrain(out))
    content = load_checkpoint(out)
    assert content["stage"] == "pretrain"
    assert content["config"]["pretext"] == "freeze"
    assert content["classes"][0] == "background"
    assert len(content["classes"]) == 9
    assert content["weights"]["head.fc2.weight"].shape[0] == 9
    assert not any("split" in name for name in content["weights"])
    record = json.loads((tmp_path / "checkpoint.json").read_text())
    assert record["provenance"]["stage"] == "pretrain"
    parents = record["provenance"]["parents"]
    assert set(parents) == {"inventory", "training", "labels/testing", "frames"}
    assert parents["frames"]["made"] == content["config"]["frames_made"]
    assert record["timing"] == timing(tmp_path / "checkpoint.jsonl")
    assert 0 < record["timing"]["data_wait_share"] < 1
    rows = [json.loads(line) for line in (tmp_path / "checkpoint.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2, 3, 3]
    assert set(rows[0]) == {"step", "loss", "rate", "waited_s", "step_s"}
    assert 0 <= rows[-1]["clean_accuracy"] <= 1
    names = ["checkpoint.json", "checkpoint.jsonl", "checkpoint.pt"]
    assert sorted(os.listdir(tmp_path)) == names


def test_pretexts_start_alike_and_end_apart(tiny, tmp_path):
    weights = {}
    for pretext in ("cls", "mixup", "joint"):
        pretrain.main(tiny.pretrain(tmp_path / f"{pretext}.pt", pretext))
        content = load_checkpoint(tmp_path / f"{pretext}.pt")
        weights[pretext] = content["weights"]["backbone.stem.spatial.weight"]
    assert not torch.equal(weights["cls"], weights["mixup"])
    torch.testing.assert_close(weights["cls"], weights["mixup"], atol=0.02, rtol=0)


def test_the_number_of_workers_changes_nothing(tiny, tmp_path):
    pretrain.main(tiny.pretrain(tmp_path / "a.pt", workers=0))
    pretrain.main(tiny.pretrain(tmp_path / "b.pt", workers=2))
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def task_of(tiny, pretext):
    """A pretext of the tiny set; all draw from the same generators."""
    args = pretrain.arguments().parse_args(tiny.pretrain("unused.pt", pretext))
    cfg = tiny.config.pretrain.model_copy(update={"bn_group": 4})
    return pretrain.Pretext(
        videos=setup.open_videos(args, "training"),
        pretext=pretext,
        cfg=cfg,
        plan=plan_of_steps(cfg, videos=8, crop=64),
        augment=tiny.config.augment,
        spatial=tiny.config.spatial,
        recipe=tiny.config.datasets["kinetics400"],
        keys=(0, "test"),
    )


@pytest.mark.parametrize("kind", ["freeze", "mixup", "cutmix"])
def test_manifold_pretexts_augment_one_level(tiny, kind):
    """At the input they are the plain ones; at all levels gradients reach the stem."""
    plain, manifold = task_of(tiny, kind), task_of(tiny, f"manifold_{kind}")
    draws = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (4, 3, 8, 64, 64), generator=draws).byte()
    batch = {"video": video, "class": torch.tensor([0, 1, 2, 3])}
    torch.manual_seed(0)
    model = build_detector(tiny.config.model, plain.outputs).eval()
    stem = model.backbone.stem.spatial.weight
    same = {}
    for step in range(40):
        level = level_at(manifold, step)
        if level not in same:
            found, expected = (
                torch.autograd.grad(task.loss(model, batch, step, (0, 1)), stem)[0]
                for task in (manifold, plain)
            )
            assert found.isfinite().all()
            assert found.abs().max() > 0
            same[level] = torch.equal(found, expected)
    assert same == {0: True, 1: False, 2: False, 3: False, 4: False}


def level_at(task, step):
    """The level that a manifold pretext draws for a step."""
    source = generator(*task.keys, step)
    policy.draw(task.pretext, 4, 8, 1, task.augment, source)
    return policy.draw_level(task.pretext, source)


def test_a_manifold_pretext_trains(tiny, tmp_path):
    pretrain.main(tiny.pretrain(tmp_path / "c.pt", "manifold_cutmix"))
    content = load_checkpoint(tmp_path / "c.pt")
    assert content["config"]["pretext"] == "manifold_cutmix"


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """Arguments of a run, and the checkpoint it ends with."""
    out = tmp_path_factory.mktemp("undisturbed") / "checkpoint.pt"
    arguments = with_section(tiny.pretrain(out), "pretrain", of_steps(tiny, STEPS))
    done = start(arguments)
    assert done.wait() == 0, done.stderr.read()
    return out


def start(arguments):
    """Run the stage as a program."""
    return subprocess.Popen(
        [sys.executable, "-m", "ssdet.train.pretrain", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def steps_saved(folder):
    """Steps of the newest state in a resume folder; 0 if there is none."""
    names = sorted(path.name for path in Path(folder).glob("step-*.pt"))
    return int(names[-1].split(".")[0].removeprefix("step-")) if names else 0


def interrupt(process, resume, after):
    """Wait until a run has saved so many steps, then end it; says if it still ran."""
    while process.poll() is None and steps_saved(resume) < after:
        time.sleep(0.005)
    if process.poll() is not None:
        return False
    process.kill()
    process.communicate()
    return True


def test_a_run_killed_three_times_ends_with_the_same_bytes(tiny, undisturbed, tmp_path):
    out = tmp_path / "checkpoint.pt"
    arguments = with_section(
        tiny.pretrain(out, checkpoint_seconds=0), "pretrain", of_steps(tiny, STEPS)
    )
    moments = random.Random(0).sample(range(2, STEPS - 2), 3)
    for moment in sorted(moments):
        assert interrupt(start(arguments), f"{out}.resume", moment)
        assert not out.exists()
    last = start(arguments)
    said = last.communicate()[1]
    assert last.returncode == 0, said
    assert "continuing at step" in said
    assert out.read_bytes() == undisturbed.read_bytes()
    assert not Path(f"{out}.resume").exists()


def test_sigterm_saves_and_the_next_run_continues(tiny, undisturbed, tmp_path):
    out = tmp_path / "checkpoint.pt"
    arguments = with_section(
        tiny.pretrain(out, checkpoint_seconds=0), "pretrain", of_steps(tiny, STEPS)
    )
    process = start(arguments)
    while steps_saved(f"{out}.resume") < 3:
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    said = process.communicate()[1]
    assert process.returncode == 143, said
    assert "state saved at" in said
    assert start(arguments).wait() == 0
    assert out.read_bytes() == undisturbed.read_bytes()


def test_the_state_of_another_configuration_is_refused(tiny, tmp_path):
    out = tmp_path / "checkpoint.pt"
    arguments = tiny.pretrain(out, checkpoint_seconds=0)
    process = start(with_section(arguments, "pretrain", of_steps(tiny, 500)))
    assert interrupt(process, f"{out}.resume", 1)
    other = with_section(arguments, "pretrain", of_steps(tiny, 500, learning_rate=0.5))
    with pytest.raises(StageError, match=r"another job \(they differ in pretrain\)"):
        pretrain.main(other)


def test_a_loss_that_is_not_finite_names_the_step(tiny, tmp_path):
    arguments = with_section(
        tiny.pretrain(tmp_path / "c.pt"),
        "pretrain",
        of_steps(tiny, 20, learning_rate=1e30, warmup_steps=0),
    )
    with pytest.raises(StageError, match=r"the loss is \w+ at step \d+\. Lower"):
        pretrain.main(arguments)
    assert not (tmp_path / "c.pt").exists()


def test_missing_initial_weights_are_named(tiny, tmp_path):
    arguments = with_section(tiny.pretrain(tmp_path / "c.pt"), "init", "absent.pt")
    with pytest.raises(StageError, match=r"no checkpoint at absent\.pt \(--init\)"):
        pretrain.main(arguments)
