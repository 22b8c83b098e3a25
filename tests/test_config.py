"""config.yaml, its overrides, its schema, and what is said about bad values."""

import re
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ssdet.config import SPLITS, Config, ConfigError, StoredFrames, load
from ssdet.config_schema import schema_text

ROOT = Path(__file__).resolve().parents[1]
OVERRIDES = (
    "activitynet",
    "demo",
    "demo_spot",
    "demo_tables",
    "from_scratch",
    "gpu_demo",
    "own_videos",
    "reference",
    "test",
    "thumos14",
)


def merged(base, override):
    """What Snakemake makes of two config files: mappings key by key, the rest whole."""
    result = dict(base)
    for key, value in override.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result


def read(name):
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())


def items(mapping, path=()):
    """All keys below a mapping, as paths, with their values."""
    for key, value in mapping.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from items(value, (*path, key))


@pytest.fixture
def recipe():
    return read("config")


def test_the_recipe_is_valid(recipe):
    assert load(recipe).classification == "kinetics400"


@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_are_valid(recipe, name):
    load(merged(recipe, read(name)))


def test_every_config_file_is_known():
    files = {path.stem for path in (ROOT / "config").glob("*.yaml")}
    assert files == {"config", "tables", "demo_rows", *OVERRIDES}


@pytest.mark.parametrize("name", ["demo", "test", "gpu_demo"])
def test_generated_sets_stay_below_their_results(recipe, name):
    config = load(merged(recipe, read(name)))
    folder = f"{config.results}/synthetic"
    assert config.results == f"results/{name}"
    for dataset in (config.synthetic.classification, config.synthetic.detection):
        files = config.datasets[dataset]
        paths = [files.videos, *files.annotations.model_dump().values()]
        assert all(path.startswith(folder) for path in paths if path is not None)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("model.depth_factor", 2.2),
        ("model.width_factor", 2.0),
        ("model.head_width", 2048),
        ("sampling.stride", 10),
        ("pretrain.frames", 16),
        ("pretrain.stride", 5),
        ("pretrain.batch_size", 64),
        ("pretrain.bn_group", 16),
        ("pretrain.learning_rate", 0.05),
        ("pretrain.steps", 100_000),
        ("pretrain.warmup_steps", 8_000),
        ("pretrain.drop_steps", (80_000,)),
        ("pretrain.weight_decay", 5e-5),
        ("fine.frames", 16),
        ("fine.batch_size", 16),
        ("fine.bn_group", 8),
        ("fine.learning_rate", 0.02),
        ("fine.epochs", 100),
        ("fine.drop_epochs", (80,)),
        ("fine.weight_decay", 1e-5),
        ("coarse_fine.frames", 64),
        ("coarse_fine.fine_frames", 128),
        ("coarse_fine.learning_rate", 0.02),
        ("coarse_fine.fusion_rate_factor", 10),
        ("coarse_fine.epochs", 40),
        ("slowfast.frames", 128),
        ("slowfast.learning_rate", 0.02),
        ("slowfast.fusion_rate_factor", 10),
        ("slowfast.epochs", 40),
        ("end_to_end.frames", 64),
        ("end_to_end.fine_frames", 64),
        ("end_to_end.test_fine_frames", 128),
        ("end_to_end.learning_rate", 0.02),
        ("end_to_end.weight_decay", 1e-5),
        ("end_to_end.fusion_rate_factor", 1),
        ("end_to_end.drop_epochs", (60, 90, 110)),
        ("frames.shard_videos", 64),
        ("spatial.train_short_sides", (256, 320)),
    ],
)
def test_the_recipe_is_the_papers(recipe, key, expected):
    """Source: specs of SSDet, section 8, and of Coarse-Fine, section 7."""
    value = load(recipe)
    for part in key.split("."):
        value = getattr(value, part)
    assert value == expected


def test_statistics_are_on_the_scale_of_0_to_1(recipe):
    """Source: spec of SSDet, section 2: Kinetics' numbers, there times 255."""
    kinetics = load(recipe).datasets["kinetics400"]
    mean = (110.63666788, 103.16065604, 96.29023126)
    std = (38.7568578, 37.88248729, 40.02898126)
    assert kinetics.mean == pytest.approx([x / 255 for x in mean], abs=1e-8)
    assert kinetics.std == pytest.approx([x / 255 for x in std], abs=1e-8)


PRESETS = {  # key of augment -> paper, reference
    ("background",): ("class", "class"),
    ("normalisation",): ("visible", "visible"),
    ("freeze", "min_length"): (2, 1),
    ("freeze", "max_fraction"): (0.5, 0.5),
    ("freeze", "segments"): (1, 1),
    ("mixup", "covering"): (True, True),
    ("mixup", "shift"): (False, False),
    ("mixup", "symmetric"): (False, False),
    ("cutmix", "kind"): ("either", "view"),
    ("cutmix", "covering"): (True, False),
    ("joint", "probability"): (0.5, 0.5),
    ("joint", "per"): ("batch", "batch"),
}


@pytest.mark.parametrize(("column", "name"), [(0, "config"), (1, "reference")])
def test_presets_set_every_switch_of_the_augmentation(column, name):
    """Source: spec of SSDet, sections 3.3 to 3.8 and 8."""
    values = {
        path: value
        for path, value in items(read(name)["augment"])
        if not isinstance(value, dict)
    }
    assert values == {path: both[column] for path, both in PRESETS.items()}


def test_the_reference_preset_sets_nothing_else():
    """Source: spec of SSDet, section 7, number 11."""
    reference = read("reference")
    assert reference.keys() == {"augment", "spatial"}
    assert reference["spatial"] == {"train_short_sides": [256, 256]}


def test_the_ensemble_is_the_six_member_one(recipe):
    """Source: spec of Coarse-Fine, section 9."""
    augmentations = ("freeze", "mixup", "cutmix")
    six = {f"coarse_{x}_fine_{y}" for x in augmentations for y in ("cls", x)}
    assert set(load(recipe).ensembles["ensemble"]) == six


def test_the_rows_of_table_2b_can_be_asked_for(recipe):
    """Source: spec of Coarse-Fine, section 9. VF, VM, VC: freeze, mixup, cutmix."""
    config = load(recipe)
    models = config.models.values()
    pairs = [(m.coarse, m.fine) for m in models if m.kind == "coarse_fine"]
    assert set(pairs) >= {
        ("cls", "cls"),
        ("cutmix", "cutmix"),
        ("cutmix", "cls"),
        ("mixup", "cls"),
        ("freeze", "cls"),
        ("mixup", "mixup"),
        ("cls", "cutmix"),
        ("cutmix", "mixup"),
        ("joint", "cls"),
    }
    assert len(set(pairs)) == len(pairs)
    slow = [(m.slow, m.fast) for m in models if m.kind == "slowfast"]
    assert {("cls", "cls"), ("cutmix", "cutmix")} <= set(slow)
    singles = {(m.kind, m.pretext) for m in models if m.kind in ("coarse", "slow")}
    assert singles >= {
        (kind, p) for kind in ("coarse", "slow") for p in ("cls", "cutmix")
    }
    three = ("freeze", "mixup", "cutmix")
    on_cls = {f"coarse_{name}_fine_cls" for name in three}
    assert set(config.ensembles["coarse_ensemble_fine_cls"]) == on_cls
    assert set(config.ensembles["mixed_ensemble"]) == on_cls | {
        f"fine_{name}" for name in three
    }
    assert set(config.ensembles["slowfast_ensemble"]) == {
        f"slow_{name}_fast_{name}" for name in three
    }


def test_models_are_called_by_their_parts(recipe):
    for name, model in load(recipe).models.items():
        if model.kind in ("fine", "coarse", "slow"):
            assert name == f"{model.kind}_{model.pretext}"
        elif model.kind == "head":
            assert name == f"{model.head}_{model.pretext}"
        elif model.kind == "slowfast":
            assert name == f"slow_{model.slow}_fast_{model.fast}"
        elif model.kind == "end_to_end":
            assert name == f"coarse_{model.coarse}_fine_{model.fine}_joint"
        else:
            assert name == f"coarse_{model.coarse}_fine_{model.fine}"


def test_every_key_is_explained():
    """By a comment on its line, by one above, or in the list above its group."""
    lines = (ROOT / "config" / "config.yaml").read_text().splitlines()
    keys, explained = set(), set()
    for above, line in pairwise(lines):
        if listed := re.match(r"#\s{3,}(\w+(?:, \w+)*)\s{2,}", line):
            explained |= set(listed[1].split(", "))
        if key := re.match(r"\s*(\w+):", line):
            keys.add(key[1])
            if "#" in line or above.strip().startswith("#"):
                explained.add(key[1])
    names = {"kinetics400", "charades", "multithumos"}
    assert keys - explained - names - model_names() == {"testing"}


def model_names():
    """Names that are no keys: of models, ensembles, heads and variants of SPOT."""
    recipe = read("config")
    named = (recipe["models"], recipe["ensembles"], recipe["head"]["heads"])
    return set().union(*named, recipe["spot"]["variants"])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("fine.learning_rte", 0.1, "fine.learning_rte: no such key"),
        ("pretrain.batch_size", 0, "pretrain.batch_size: Input should be greater"),
        ("pretrain.batch_size", 60, r"pretrain.batch_size \(60\) must be a multiple"),
        ("pretrain.warmup_steps", 100_000, "must be below pretrain.steps"),
        ("fine.warmup_epochs", 100, "must be below fine.epochs"),
        ("spatial.crop", 300, "spatial.train_short_sides .* must not be below"),
        (
            "end_to_end.test_fine_frames",
            63,
            r"\(63\) must not be below end_to_end.fine",
        ),
        ("end_to_end.bn_group", 3, r"end_to_end.batch_size \(16\) must be a multiple"),
        ("classification", "kinetics", "classification is 'kinetics', which is not"),
        ("ensembles.fine_ensemble", ["fine_cl"], "fine_ensemble names fine_cl, which"),
        ("ensembles.fine_ensemble", [], "ensembles.fine_ensemble has no members"),
        ("ensembles.fine_cls", ["fine_cls"], "fine_cls names both a model and an"),
        ("models.fine_cls.pretext", "clss", "models.fine_cls.*pretext"),
        ("datasets.charades.mean", [0.4, 0.4], "datasets.charades.mean"),
        ("datasets.my set", {}, "datasets.my set"),
        ("data.max_missing_fraction", 1.5, "data.max_missing_fraction.*less than"),
        (
            "data.max_missing_fraction",
            {"charades": 1.5},
            "data.max_missing_fraction.datasets.charades: .* less than",
        ),
        (
            "data.max_missing_fraction",
            {"kinetics": 0.1},
            "max_missing_fraction names kinetics, which is not one of datasets: char",
        ),
        ("datasets.charades.expected", {"videos": 9}, "charades.expected.videos: no"),
        ("head.heads.se.network.kind", "sse", "head.heads.se.network: .*'linear'"),
        ("head.heads.ms_tct.network.heads", 7, r"heads \(7\) must divide all of width"),
        ("head.heads.se.training", {}, "others is missing, the schedule of all other"),
        ("head.external", {"cls": {}}, "head.external names cls, which is a pretext"),
        ("models.se_cls.head", "see", "models.se_cls.head is 'see', which is not one"),
        ("models.se_cls.pretext", "i3d", "'i3d', which is neither a pretext task nor"),
        ("models.se_cls.epoch", "best_on_test", "models.se_cls: .* name that ends so"),
        (
            "spot.variants.supervised.init",
            "",
            "spot.variants.supervised.init: .* least",
        ),
        (
            "spot.report.variants",
            ["other"],
            "variants names other, which is not one of",
        ),
        ("spot.report.datasets", ["home"], "datasets names home, which is not one of"),
        ("spot.report.labels", [], "spot.report.labels: .* at least 1 item"),
        ("spot.frame_labels.sure_mask", 1.2, "spot.frame_labels.sure_mask: .* less"),
    ],
)
def test_bad_values_are_named(recipe, path, value, message):
    *parents, key = path.split(".")
    section = recipe
    for parent in parents:
        section = section[parent]
    section[key] = value
    with pytest.raises(ConfigError, match=message):
        load(recipe)


def test_variants_of_spot_change_what_they_name(recipe):
    spot = load(recipe).spot
    assert spot.training("") == spot.train
    assert spot.weights("") == spot.losses
    alone = spot.training("supervised")
    assert (alone.init, alone.unlabelled) == ("random", False)
    assert alone.model_copy(update={"init": spot.train.init, "unlabelled": True}) == (
        spot.train
    )
    assert spot.weights("supervised") == spot.losses
    assert spot.training("no_pretext").unlabelled is True
    assert spot.weights("no_pretext_no_contrast").contrast == 0


def test_what_was_selected_on_the_test_videos_says_so(recipe):
    name = "se_cls_best_on_test"
    watched = {**recipe["models"]["se_cls"], "epoch": "best_on_test"}
    recipe["models"][name] = watched
    with pytest.raises(ConfigError, match=r"needs head\.watch_test: true"):
        load(recipe)
    recipe["head"]["watch_test"] = True
    recipe["ensembles"]["se_ensemble"] = [name]
    with pytest.raises(ConfigError, match="name must end with best_on_test"):
        load(recipe)
    del recipe["ensembles"]["se_ensemble"]
    load(recipe)
    watched["epoch"] = "last"
    with pytest.raises(ConfigError, match="ends so, and no other may"):
        load(recipe)


def test_a_head_has_a_schedule_for_each_data_set(recipe):
    heads = load(recipe).head
    rates = [
        heads.section("ms_tct", s).training.learning_rate for s in ("a", "multithumos")
    ]
    assert rates == [1e-4, 5e-4]


def test_stages_are_told_of_one_storage(recipe):
    """What the other one reads changes no text, and so reruns nothing."""
    recipe["frames"] = {
        "short_side": 256,
        "shard_videos": 64,
        "storage": "jpeg",
        "jpeg_quality": 90,
        "video": {"gop": 8, "crf": 20},
    }
    told = load(recipe).frames.canonical()
    assert told == '{"jpeg_quality":90,"shard_videos":64,"short_side":256}'
    recipe["frames"]["video"]["gop"] = 4
    assert load(recipe).frames.canonical() == told
    assert StoredFrames.model_validate_json(told).jpeg_quality == 90
    recipe["frames"]["storage"] = "video"
    told = load(recipe).frames.canonical()
    assert told == '{"shard_videos":64,"short_side":256,"video":{"crf":20.0,"gop":4}}'
    assert StoredFrames.model_validate_json(told).video.gop == 4


def test_video_needs_even_sides(recipe):
    recipe["frames"] |= {"short_side": 95, "storage": "video"}
    with pytest.raises(ConfigError, match=r"frames: frames.short_side \(95\) must be"):
        load(recipe)


@pytest.mark.parametrize(
    "coding", [{}, {"jpeg_quality": 90, "video": {"gop": 8, "crf": 20}}]
)
def test_frames_are_stored_in_one_way(coding):
    with pytest.raises(ValueError, match="either jpeg_quality or video"):
        StoredFrames(short_side=8, shard_videos=64, **coding)


def test_all_bad_values_are_named_at_once(recipe):
    recipe["fine"]["epochs"] = -1
    recipe["frames"]["jpeg_quality"] = 101
    del recipe["predict"]
    with pytest.raises(ConfigError) as error:
        load(recipe)
    for key in ("fine.epochs", "frames.jpeg_quality", "predict: missing"):
        assert key in str(error.value)


def test_a_missing_key_is_named(recipe):
    for key, _ in items(recipe):
        if key[0] in ("datasets", "models", "ensembles") and len(key) == 2:
            continue  # names, not keys
        if key[:2] == ("head", "heads") and (len(key) == 3 or key[-1] == "multithumos"):
            continue
        if key[:2] == ("spot", "variants") and len(key) == 3:
            continue
        broken = deepcopy(recipe)
        section = broken
        for parent in key[:-1]:
            section = section[parent]
        del section[key[-1]]
        with pytest.raises(ConfigError):
            load(broken)


def test_equal_values_give_equal_text(recipe):
    other = deepcopy(recipe)
    other["fine"] = dict(reversed(other["fine"].items()))
    other["fine"]["warmup_epochs"] = 0.0
    other["fine"]["epochs"] = 100.0
    assert load(other).fine.canonical() == load(recipe).fine.canonical()


def test_moving_a_data_set_changes_no_section(recipe):
    before = load(recipe).datasets["charades"].without_paths()
    recipe["datasets"]["charades"]["videos"] = "elsewhere"
    recipe["datasets"]["charades"]["annotations"]["testing"] = "elsewhere.csv"
    assert load(recipe).datasets["charades"].without_paths() == before
    assert set(before) == {"format", "fps", "mean", "std", "segments"}


def test_allowed_losses_are_for_all_sets_or_for_each(recipe):
    recipe["data"] = {"max_missing_fraction": 0.2, "exclude": ["a", "b"]}
    everywhere = load(recipe).data
    assert (everywhere.allowed("charades"), everywhere.allowed("kinetics400")) == (
        0.2,
        0.2,
    )
    recipe["data"]["max_missing_fraction"] = {"kinetics400": 0.1}
    each = load(recipe).data
    assert (each.allowed("charades"), each.allowed("kinetics400")) == (0.0, 0.1)
    assert each.of("kinetics400", ["b", "c"]) == {
        "max_missing_fraction": 0.1,
        "exclude": ["b"],
    }


def test_configs_do_not_change(recipe):
    config = load(recipe)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1


def test_splits_are_the_two_that_files_are_named_by():
    assert SPLITS == ("training", "testing")


def test_the_schema_is_current():
    path = ROOT / "workflow" / "schemas" / "config.schema.json"
    assert path.read_text() == schema_text(), "run `make schema`"


def test_the_code_holds_no_defaults():
    """Every key has to stand in config.yaml."""
    sections, seen = [Config], set()
    while sections:
        section = sections.pop()
        if section in seen:
            continue
        seen.add(section)
        for name, field in section.model_fields.items():
            assert field.is_required(), f"{section.__name__}.{name} has a default"
            found = {field.annotation, *getattr(field.annotation, "__args__", ())}
            sections += [x for x in found if hasattr(x, "model_fields")]
    assert len(seen) > 15
