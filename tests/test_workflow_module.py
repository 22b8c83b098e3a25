"""The workflow as a module of another one, and as the catalog of workflows reads it."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.test_workflow import RECIPE, ROOT, SNAKEFILE, TINY, pytestmark

__all__ = ["pytestmark"]  # without Snakemake, these skip too


def snakemake(folder, *arguments, **environment):
    """Run Snakemake in a folder; returns exit status and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    return done.returncode, done.stdout + done.stderr


MODULE = """\
configfile: "{recipe}"
configfile: "config/mine.yaml"


module ssdet:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from ssdet as ssdet_*


rule counted:
    default_target: True
    input:
        "elsewhere/charades/inventory.csv",
        "elsewhere/charades/frames/shard-000.h5",
    output:
        "counted.txt",
    shell:
        "wc -l {{input[0]}} > {{output}}"
"""


@pytest.fixture
def importing(tmp_path):
    """A project of somebody's own that takes this workflow as a module."""
    config = TINY.read_text().replace("results/test", "elsewhere")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.yaml").write_text(config)
    (tmp_path / "workflow").mkdir()

    def write(snakefile):
        text = MODULE.format(recipe=RECIPE, snakefile=snakefile)
        (tmp_path / "workflow" / "Snakefile").write_text(text)
        return tmp_path

    return write


@pytest.mark.slow
def test_another_workflow_takes_this_one_as_a_module(importing):
    """Its own config, its own results; rules, captions and programs are found."""
    project = importing(SNAKEFILE)
    status, said = snakemake(project)
    assert status == 0, said
    assert (project / "counted.txt").read_text().split()[0] == "7"
    assert not (project / "results").exists()
    # Everything else is planned by the new names of the rules, after what there is.
    status, said = snakemake(project, "--dry-run", "ssdet_demo")
    assert status == 0, said
    assert "ssdet_train_coarse_fine" in said
    assert "ssdet_synthetic" not in said


def test_a_module_without_its_package_uses_the_installed_one(importing, tmp_path):
    """As when Snakemake fetches the workflow alone, from where it is published."""
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "workflow").symlink_to(ROOT / "workflow")
    (tmp_path / "fetched" / "environment.yml").symlink_to(ROOT / "environment.yml")
    project = importing(tmp_path / "fetched" / "workflow" / "Snakefile")
    status, said = snakemake(project, "--dry-run", PYTHONPATH=str(ROOT))
    assert status == 0, said
    status, said = snakemake(project, "--dry-run", PYTHONPATH="")
    look = [sys.executable, "-c", "import ssdet"]
    env = os.environ | {"PYTHONPATH": ""}
    installed = subprocess.run(look, cwd=project, env=env, capture_output=True)
    assert status == installed.returncode
    assert ("none is installed: pip install it" in said) == (status == 1)
    assert "Traceback" not in said


def test_the_catalog_can_read_this_workflow():
    """Keys and types of values as snakemake-workflow-catalog documents them."""
    path = ROOT / ".snakemake-workflow-catalog.yml"
    content = yaml.safe_load(path.read_text())
    assert set(content) == {"usage"}
    usage = content["usage"]
    assert set(usage) <= {
        *("mandatory-flags", "software-stack-deployment", "report"),
    }
    assert set(usage["mandatory-flags"]) <= {"desc", "flags"}
    for text in usage["mandatory-flags"].values():
        assert text is None or isinstance(text, str)
    deployment = usage["software-stack-deployment"]
    assert set(deployment) <= {
        *("conda", "singularity", "singularity+conda"),
        *("apptainer", "apptainer+conda"),
    }
    assert all(isinstance(value, bool) for value in deployment.values())
    assert isinstance(usage["report"], bool)
    # What else a workflow needs to be listed as one of standard usage.
    for file in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (ROOT / file).is_file(), file
