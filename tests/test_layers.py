"""Data flows one way: a module imports its own layer, an earlier one, or a leaf."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ssdet"
LAYERS = ("data", "augment", "models", "train", "features", "evaluate", "report")
# Leaves import nothing from the layers; `kernels` and `sections` are folders of them.
# The command line stands above all; `commands` are its parts.
TOP = {"cli", "commands", "__main__"}
# Machines that only train have none of these: they are imported where they are used.
OPTIONAL = {"av", "matplotlib", "onnx", "onnxruntime", "snakemake", "triton"}
# Except by modules that are imported themselves only where they are used.
LATE = tuple(
    f"ssdet.kernels.gpu.{name}"
    for name in ("convolution", "depthwise", "norm", "norm_maps", "norm_numbers")
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(tree, package):
    """Full names of all imported modules, those within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def top_level(tree):
    """The statements that run when the module is imported."""
    statements = list(tree.body)
    while statements:
        node = statements.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for name in ("body", "orelse", "finalbody"):
            statements += getattr(node, name, [])
        for handler in getattr(node, "handlers", []):
            statements += handler.body


def rank(parts):
    """Place of a module in the order of the layers; leaves come first."""
    if parts[:1] == ("ssdet",):
        parts = parts[1:]
    if parts and parts[0] in LAYERS:
        return 1 + LAYERS.index(parts[0])
    if parts and parts[0] in TOP:
        return 1 + len(LAYERS)
    return 0


def name_of(path):
    return path.relative_to(PACKAGE.parent).with_suffix("").parts


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(name_of(path)))
def test_imports_point_to_earlier_layers(path):
    own = name_of(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    later = [
        name
        for name in imports(tree, own[:-1])
        if name.split(".")[0] == "ssdet" and rank(tuple(name.split("."))) > rank(own)
    ]
    assert not later, f"{'.'.join(own)} imports {', '.join(later)}, of a later layer"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(name_of(path)))
def test_what_may_be_absent_is_imported_where_it_is_used(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        name.split(".")[0]
        for statement in top_level(tree)
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in imports(ast.Module([statement], []), name_of(path)[:-1])
    }
    if ".".join(name_of(path)) in LATE:
        named.discard("triton")
    assert not named & OPTIONAL


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(name_of(path)))
def test_what_needs_triton_is_imported_where_it_is_used(path):
    own = name_of(path)
    if ".".join(own) in LATE:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        name
        for statement in top_level(tree)
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in imports(ast.Module([statement], []), own[:-1])
    }
    assert not [name for name in named if name.startswith(LATE)]


def test_planning_needs_no_pytorch():
    """What the workflow imports, and all that it imports in turn."""
    open_modules = [
        "ssdet.config",
        "ssdet.data.annotations",
        "ssdet.data.shards",
        "ssdet.data.synthetic_ids",
    ]
    seen, outside = set(), set()
    while open_modules:
        module = open_modules.pop()
        if module in seen:
            continue
        seen.add(module)
        path = PACKAGE.parent.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.is_file():
            continue  # a name within a module
        package = tuple(module.split("."))[:-1]
        for statement in top_level(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for name in imports(ast.Module([statement], []), package):
                    parts = name.split(".")
                    outside.add(parts[0])
                    if parts[0] == "ssdet":
                        open_modules += [
                            ".".join(parts[:n]) for n in range(1, 1 + len(parts))
                        ]
    assert not outside & {"torch", "torchvision", "h5py", "pandas", "sklearn"}


def test_the_layers_are_there():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == {*LAYERS, "kernels", "commands", "sections"}
