"""The whole demo: with the compiled kernels of CPUs, and with PyTorch's own.

    OMP_NUM_THREADS=1 python benchmarks/demo.py [--config FILE] [--json FILE]

Each side runs the target `demo` of config/demo.yaml, what `make demo` runs, in a fresh
folder on all cores: videos are generated, everything is trained and evaluated. Sides
take turns, each for ten minutes or more; `resources.cpu_kernels` is all that differs.
The kernels are compiled before. Printed are the times of the whole and of its stages,
from the records of Snakemake, and the dense mAP of each ensemble, which must agree: to
2 points, since a rounding that differs leads a training elsewhere, and single models by
up to 5 points.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from side_by_side import finish, in_turn, options, show, show_facts, summary

from ssdet.kernels.compiled import built
from ssdet.report.hours import HOUR_S, hours_rows, read_jobs

ROOT = Path(__file__).resolve().parents[1]
PLAIN, OURS = "PyTorch's kernels", "compiled kernels"
SIDES = {PLAIN: False, OURS: True}
BOUND = 0.02  # of dense mAP
SHOWN = 3000  # characters of what a failed run said


class Side:
    """One setting; each run has a folder of its own, the last one stays in `folder`."""

    def __init__(self, root: Path, config: Path, kernels: bool) -> None:
        self.root, self.config, self.kernels = root, config, kernels
        self.runs = 0

    @property
    def folder(self) -> Path:
        """Of the last run."""
        return self.root / str(self.runs)

    def run(self) -> None:
        """The target `demo`, from nothing."""
        self.runs += 1
        self.folder.mkdir(parents=True)
        override = self.folder / "kernels.yaml"
        override.write_text(f"resources: {{cpu_kernels: {json.dumps(self.kernels)}}}\n")
        command = [sys.executable, "-m", "snakemake", "--cores", "all"]
        command += ["--snakefile", str(ROOT / "workflow" / "Snakefile")]
        recipe = ROOT / "config" / "config.yaml"
        command += ["--configfile", str(recipe), str(self.config), str(override)]
        done = subprocess.run(
            [*command, "--", "demo"], cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(
                f"the demo failed:\n{(done.stdout + done.stderr)[-SHOWN:]}"
            )

    def stages(
        self, results: str, datasets: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Seconds of all jobs of each stage: on the clock, of processors."""
        jobs = read_jobs(self.folder / results / "benchmarks", datasets)
        return {
            row["stage"]: {
                "jobs": row["jobs"],
                "wall_s": HOUR_S * (row["hours"] or 0),
                "processor_s": HOUR_S * (row["cpu_hours"] or 0),
            }
            for row in hours_rows(jobs, ())
        }

    def dense_map(self, results: str, dataset: str) -> float:
        """Of the ensemble."""
        path = self.folder / results / f"{dataset}_ensemble.json"
        return float(json.loads(path.read_text())["metrics"]["dense_map"])


def main(argv: Sequence[str] | None = None) -> None:
    """Run both sides in turn, compare, print."""
    parser = options(__doc__, rounds=1)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "demo.yaml")
    args = parser.parse_args(argv)
    show_facts()
    print(f"kernels: {built()}")
    said = yaml.safe_load(args.config.read_text())
    results, sets = said["results"], said["synthetic"]
    with tempfile.TemporaryDirectory() as root:
        sides = {
            name: Side(Path(root) / str(kernels), args.config.resolve(), kernels)
            for name, kernels in SIDES.items()
        }
        calls = {name: side.run for name, side in sides.items()}
        times = in_turn(calls, args.rounds, warm_up=False)
        maps = {
            n: side.dense_map(results, sets["detection"]) for n, side in sides.items()
        }
        names = list(said["datasets"])
        stages = {name: side.stages(results, names) for name, side in sides.items()}
    apart = abs(maps[OURS] - maps[PLAIN])
    shown = ", ".join(f"{name} {100 * value:.2f}" for name, value in maps.items())
    print(f"dense mAP of the ensemble: {shown}; at most {100 * BOUND:.0f} points apart")
    assert apart <= BOUND, f"the ensembles are {100 * apart:.1f} points apart"
    rows = summary(times, PLAIN)
    show("the whole demo", rows)
    print(f"\n{'jobs of the last round, s':28}{PLAIN:>26}{OURS:>26}")
    print(f"{'':28}" + 2 * f"{'wall':>14}{'processor':>12}")
    for stage in stages[OURS]:
        cells = (
            f"{of[stage]['wall_s']:14.1f}{of[stage]['processor_s']:12.1f}"
            for of in stages.values()
        )
        print(f"{stage:28}{''.join(cells)}")
    found = {"dense_map": maps, "bound": BOUND, "sides": rows, "stages": stages}
    finish(args.json, "demo", {"config": args.config.name, **found})


if __name__ == "__main__":
    main()
