"""requirements.lock, environment.yml and pyproject.toml say the same."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# Where the name of the module is not that of the package.
PACKAGE_OF = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def lock_lines():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def locked():
    """Name -> exact version."""
    pins = [Requirement(line) for line in lock_lines()]
    return {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pins}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements(*extras):
    """What pyproject.toml asks for, with some of its extras, or all."""
    table = project()["project"]
    optional = table["optional-dependencies"]
    lines = list(table["dependencies"])
    for extra in extras or optional:
        lines += optional[extra]
    return [Requirement(line) for line in lines]


def test_every_pin_is_exact():
    for line in lock_lines():
        pin = Requirement(line)
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), line
    assert len(locked()) == len(lock_lines())


def test_environment_yml_has_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pins = next(x["pip"] for x in environment["dependencies"] if isinstance(x, dict))
    assert pins == lock_lines(), "run `make environment.yml`"


def test_environment_yml_has_a_python_that_the_project_takes():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(x for x in environment["dependencies"] if str(x).startswith("python"))
    version = python.split("=")[1]
    needed = Requirement("python" + project()["project"]["requires-python"])
    assert Version(version) in needed.specifier


@pytest.mark.parametrize("requirement", requirements(), ids=lambda x: x.name)
def test_the_lock_holds_what_pyproject_asks_for(requirement):
    pins = locked()
    name = canonicalize_name(requirement.name)
    assert name in pins
    assert Version(pins[name]) in requirement.specifier


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("torch", "2.14.1"),
        ("torchvision", "0.29.1"),
        ("snakemake", "9.27.1"),
        ("snakemake-executor-plugin-slurm", "2.8.0"),
        ("av", "18.1.0"),
    ],
)
def test_pins_that_were_tried_together(name, version):
    assert locked()[name] == version


def test_every_dependency_has_its_reason():
    """One line of comment for each."""
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in requirements():
        line = next(x for x in text.splitlines() if f'"{requirement}' in x)
        assert re.search(r"#\s*\S", line), line


def test_every_import_is_a_dependency():
    names = {canonicalize_name(x.name) for x in requirements("video", "report", "fast")}
    optional = {"onnx", "onnxruntime", "triton"}  # used where installed
    missing = set()
    for path in (ROOT / "ssdet").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            else:
                continue
            for module in {module.split(".")[0] for module in modules}:
                known = module in sys.stdlib_module_names or module in optional
                package = canonicalize_name(PACKAGE_OF.get(module, module))
                if not known and module != "ssdet" and package not in names:
                    missing.add(f"{path.relative_to(ROOT)}: {module}")
    assert not missing


def test_versions_agree():
    from ssdet import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project()["project"]["version"] == __version__ == citation["version"]
