"""Whole processes from the shell: this project's command and its peers on the same recordings."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.environments import Environment
from benchmarks.inputs import CHECKOUT, Inputs
from benchmarks.measure import Process, least, run_process
from ufos_nautilus.engine import load_spec

DESK_SPEC = CHECKOUT / "strategies" / "specs" / "mm_btcusdt_perp.toml"
SMA_SPEC = CHECKOUT / "benchmarks" / "specs" / "sma_btc.toml"
FIRST_EVENT_SPEC = CHECKOUT / "benchmarks" / "specs" / "first_event.toml"
PEER_SCRIPTS = CHECKOUT / "benchmarks" / "peers"


def ufos_backtest(python: Path, spec: Path, catalog: Path, sets: Sequence[str] = ()) -> Process:
    """Run `ufos backtest SPEC --no-report --json` as the shell would."""
    args = [f'data.0.catalog="{catalog}"', *sets]
    with TemporaryDirectory() as scratch:
        command = [python, "-m", "ufos_nautilus.cli", "backtest", spec, "--no-report", "--json"]
        pairs = [text for item in args for text in ("--set", item)]
        # The checkout is on the path for the books of benchmarks/; the engine comes from the environment.
        return run_process([*command, *pairs], {"PYTHONPATH": str(CHECKOUT), "UFOS_RUNS": scratch}, Path(scratch))


def seconds_to_first_event(python: Path, inputs: Inputs) -> float:
    """Return the wall seconds from the shell's start of `ufos backtest` to the first event in a book."""
    with TemporaryDirectory() as scratch:
        note = Path(scratch) / "first"
        started = time.time_ns()
        ufos_backtest(python, FIRST_EVENT_SPEC, inputs.l2, [f'books.0.params.note="{note}"'])
        return (int(note.read_text("utf-8")) - started) / 1e9


def repeat(run: Callable[[], Process], repetitions: int) -> Process:
    """Run once to warm file caches and bytecode, then `repetitions` times; return the least."""
    run()
    return least([run() for _ in range(repetitions)])


def hftbacktest(peer: Environment, inputs: Inputs, *, again: bool = False) -> Process:
    """Run the desk's loop in hftbacktest, on the recording converted to its format."""
    script, data = PEER_SCRIPTS / "hftbacktest_mm.py", inputs.root / "hftbacktest.npz"
    python = _python(peer)
    if not data.exists():
        run_process([python, script, "prepare", inputs.raw_l2, data.with_suffix(".part.npz")])
        shutil.move(data.with_suffix(".part.npz"), data)
    return run_process([python, script, "run", data, json.dumps(desk_parameters()), *(["again"] if again else [])])


def bars_peer(peer: Environment, script: str, inputs: Inputs, *args: str) -> Process:
    """Run the SMA cross of a peer on the bars as CSV."""
    return run_process([_python(peer), "-W", "ignore", PEER_SCRIPTS / script, inputs.bars_csv, *args])


def last_json(process: Process) -> dict[str, Any]:
    """Return the object on the last line that a process printed."""
    return json.loads(process.output.strip().splitlines()[-1])


def desk_parameters() -> dict[str, float]:
    """Return what a peer needs to quote like the desk of the spec."""
    spec = load_spec(DESK_SPEC)
    params, venue = spec.books[0].params, spec.venues[0]
    names = ("gamma", "k_per_tick", "a_per_s", "order_size", "max_inventory", "tolerance_ticks")
    more = ("minimum_interval_ms", "volatility_half_life_s", "warmup_s")
    return {
        **{name: float(params[name]) for name in (*names, *more)},
        "maker_rate": float(venue.fees.maker_rate),
        "taker_rate": float(venue.fees.taker_rate),
        "latency_ms": venue.latency.base_ms + venue.latency.insert_ms,
    }


def interpreter(own: Environment) -> Path:
    """Return the interpreter of this project's base install, or this one where that could not be made."""
    return own.python or Path(sys.executable)


def _python(environment: Environment) -> Path:
    if environment.python is None:
        raise RuntimeError(f"no environment {environment.name}: {environment.why}")
    return environment.python
