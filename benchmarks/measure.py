"""Clocks: CPU time of alternating repetitions in this process; wall time, CPU and memory of processes of their own."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


RUNNER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=2)
_, status, usage = os.wait4(child.pid, 0)
wall = time.perf_counter() - started
print(json.dumps([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""
"""Starts a command and prints what it took; small, because a child's peak memory is never below its parent's."""


def run_process(args: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Process:
    """Run a command to its end; wall time from before its start.

    Raises
    ------
    RuntimeError
        When it fails, with the end of what it printed.

    """
    command = [str(a) for a in args]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", RUNNER, *command],
        env={**_environment(), **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} was not run: {done.stderr[-2_000:]}")
    wall, cpu, peak_kb, code = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{done.stderr[-2_000:]}")
    return Process(wall, cpu, peak_kb * 1024 / BYTES_PER_MB, done.stderr)


def _environment() -> dict[str, str]:
    """Return this process's environment; every program may keep its bytecode, as it would when it is used."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


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
