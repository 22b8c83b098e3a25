"""What the programs here share: timing in turn, the facts of a run, its JSON file."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import torch

Clocks = dict[str, list[float]]  # `wall` and `processor`, seconds of each round
SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def facts() -> dict[str, object]:
    """The machine, its software and how busy it is."""
    model, flags = platform.processor() or platform.machine(), ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        found = {name.strip(): value.strip() for name, value in found.items()}
        model, flags = found.get("model name", model), found.get("flags", "")
    allocator = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("MALLOC_")]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": model,
        "instructions": [name for name in SETS if name in flags.split()],
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "allocator": " ".join(allocator) or "default",
        "nice": os.nice(0),
        "load": round(os.getloadavg()[0], 1),
    }


def in_turn(
    calls: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, Clocks]:
    """Call each once to warm up, then all in turn, `rounds` times."""
    for call in calls.values():
        call()
    times: dict[str, Clocks] = {n: {"wall": [], "processor": []} for n in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            times[name]["wall"].append(time.perf_counter() - wall)
            times[name]["processor"].append(time.process_time() - processor)
    return times


def summary(times: Mapping[str, Clocks], against: str) -> dict[str, dict[str, float]]:
    """Medians in ms, half the distance of the quartiles, and ratios to one side.

    A ratio is the median of the rounds' ratios: neighbours on the machine slow both
    sides of a round down.
    """
    found: dict[str, dict[str, float]] = {}
    for name, clocks in times.items():
        found[name] = {}
        for clock, values in clocks.items():
            pairs = zip(times[against][clock], values, strict=True)
            low, _, high = statistics.quantiles(values, n=4, method="inclusive")
            found[name] |= {
                f"{clock}_ms": 1000 * statistics.median(values),
                f"{clock}_spread_ms": 500 * (high - low),
                f"{clock}_ratio": statistics.median(one / two for one, two in pairs),
            }
    return found


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of `summary`."""
    print(f"\n{title:34}{'wall ms':>16}{'ratio':>7}{'processor ms':>18}{'ratio':>7}")
    for name, row in rows.items():
        cells = (
            f"{row[f'{clock}_ms']:{width}.1f} ± {row[f'{clock}_spread_ms']:5.1f}"
            f"{row[f'{clock}_ratio']:7.2f}"
            for clock, width in (("wall", 8), ("processor", 10))
        )
        print(f"{name:34}{''.join(cells)}")


def finish(path: Path | None, program: str, results: Mapping[str, object]) -> None:
    """Write what was found, with the facts of the run, if a file is asked for."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"program": program, **facts(), **results}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
        print(f"\nwritten: {path}")
