"""What the programs here share: options, timing in turn, facts of a run, its JSON."""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

Clocks = dict[str, list[float]]  # `wall` and `processor`, seconds of each round
Row = dict[str, float | dict[str, float]]
SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "h5py",
    "av",
    "pillow",
    "simplejpeg",
    "scikit-learn",
    "snakemake",
    "triton",
)


def options(text: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """The options of every program.

    Args:
        text: of the program; its first line is the help.
        rounds: how often each side is measured, unless another number is asked for;
            None: the program has no rounds.
    """
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help="of all sides")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    return parser


def facts(device: str = "cpu") -> dict[str, object]:
    """The machine, its software and how busy it is."""
    model, flags = platform.processor() or platform.machine(), ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        found = {name.strip(): value.strip() for name, value in found.items()}
        model, flags = found.get("model name", model), found.get("flags", "")
    cuda = device.startswith("cuda")
    allocator = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("MALLOC_")]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "processor": model,
        "instructions": [name for name in SETS if name in flags.split()],
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version for name in PACKAGES if (version := _version(name))},
        "allocator": " ".join(allocator) or "default",
        "nice": os.nice(0),
        "load": round(os.getloadavg()[0], 1),
    }


def show_facts(device: str = "cpu") -> None:
    """Print them in one line."""
    print(", ".join(f"{name} {value}" for name, value in facts(device).items()))


def processor_s() -> float:
    """Processor time of this process and of its children that ended, s."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def peak_mb() -> float:
    """Most memory that this process has had, MB.

    Where there is /proc, of its own address space: what `getrusage` says of a process
    that was just started is the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_turn(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: bool = True,
    settle: Callable[[], object] = lambda: None,
) -> dict[str, Clocks]:
    """Call all in turn, `rounds` times.

    Args:
        calls: side -> what is measured.
        rounds: at least 1.
        warm_up: call each once before.
        settle: called after each call, within its time, as a GPU needs it.
    """
    for call in calls.values() if warm_up else ():
        call()
        settle()
    times: dict[str, Clocks] = {n: {"wall": [], "processor": []} for n in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), processor_s()
            call()
            settle()
            times[name]["wall"].append(time.perf_counter() - wall)
            times[name]["processor"].append(processor_s() - processor)
    return times


def summary(
    times: Mapping[str, Clocks], *against: str, per: float = 1
) -> dict[str, Row]:
    """Medians in ms, half the distance of the quartiles, ratios to some sides.

    A ratio is the median of the rounds' ratios: neighbours on the machine slow both
    sides of a round down.

    Args:
        times: of each side.
        against: sides; above 1 is faster than they are.
        per: how many things (clips, frames) a call does: times are of one.
    """
    found: dict[str, Row] = {}
    for name, clocks in times.items():
        found[name] = {}
        for clock, values in clocks.items():
            found[name] |= {
                f"{clock}_ms": 1000 / per * statistics.median(values),
                f"{clock}_spread_ms": 1000 / per * spread(values),
                f"{clock}_ratio": {
                    other: _ratio(times[other][clock], values) for other in against
                },
            }
    return found


def spread(values: list[float]) -> float:
    """Half the distance of the quartiles; 0 for a single value."""
    if len(values) == 1:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def show(title: str, rows: Mapping[str, Row]) -> None:
    """Print a table of `summary`."""
    first = next(iter(rows.values()))
    others = list(first["wall_ratio"])
    marks = dict(zip(others, "abcdef", strict=False)) if len(others) > 1 else {}
    heads = [f"ratio {marks.get(other, '')}".strip() for other in others]
    long = max(row["wall_ms"] for row in rows.values()) >= 1e5
    unit, scale = ("s", 1e-3) if long else ("ms", 1)
    width = max(len(title), *map(len, rows)) + 2
    line = f"\n{title:{width}}"
    for clock in ("wall", "processor"):
        line += f"{f'{clock} {unit}':>19}" + "".join(f"{head:>9}" for head in heads)
    print(line)
    for name, row in rows.items():
        line = f"{name:{width}}"
        for clock in ("wall", "processor"):
            middle, half = row[f"{clock}_ms"], row[f"{clock}_spread_ms"]
            line += f"{scale * middle:11.2f} ± {scale * half:5.2f}"
            line += "".join(f"{row[f'{clock}_ratio'][other]:9.2f}" for other in others)
        print(line)
    if others:
        names = (f"{o} ({marks[o]})" if o in marks else o for o in others)
        print(f"above 1: faster than {', '.join(names)}", flush=True)


def finish(
    path: Path | None,
    program: str,
    results: Mapping[str, object],
    device: str = "cpu",
) -> None:
    """Write what was found, with the facts of the run, if a file is asked for."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"program": program, **facts(device), **results}
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(f"\nwritten: {path}")


def _ratio(others: list[float], ours: list[float]) -> float:
    pairs = zip(others, ours, strict=True)
    return statistics.median(other / own for other, own in pairs)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
