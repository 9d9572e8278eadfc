"""Clocks: CPU time of alternating repetitions in this process; wall time, CPU and memory of processes of their own."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

BYTES_PER_MB = 1_000_000
TIMEOUT_S = 600.0


def alternate(cases: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, float]:
    """Run every case in turn, `repetitions` times, and return the least CPU seconds of each.

    Cases return their own CPU seconds. Taking turns spreads what else the machine does over all of them, and the least
    is the figure that other processes disturbed least.
    """
    least = dict.fromkeys(cases, float("inf"))
    for _ in range(repetitions):
        for name, case in cases.items():
            gc.collect()
            least[name] = min(least[name], case())
    return least


@dataclass(frozen=True, slots=True)
class Process:
    """What one process took and printed."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run_process(args: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Process:
    """Run a command to its end; wall time from before its start.

    Raises
    ------
    RuntimeError
        When it fails, with the end of what it printed.

    """
    with TemporaryFile() as out:
        started = time.perf_counter()
        child = subprocess.Popen(
            [str(a) for a in args],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if child.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))} ended with {child.returncode}:\n{text[-2_000:]}")
    return Process(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / BYTES_PER_MB, text)


def least(runs: Sequence[Process]) -> Process:
    """Return the run with the least wall time, with the least CPU time and the most memory of all."""
    best = min(runs, key=lambda run: run.wall_s)
    return Process(best.wall_s, min(r.cpu_s for r in runs), max(r.peak_mb for r in runs), best.output)


def machine() -> str:
    """Return what the figures were taken on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    load = f"{os.getloadavg()[0]:.1f}"
    return f"{model}, {os.cpu_count()} CPUs, load {load}, Python {sys.version.split()[0]}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
