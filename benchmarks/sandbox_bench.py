"""Times the sandbox against the same backtest on the host: `python benchmarks/sandbox_bench.py [--rows 100000]`.

Two runs on the host stand beside it, each in a process that has the engine loaded already: `host` is what `ufos
backtest` does, with its tables, samples and stored result; `bare` loads and runs and keeps nothing, the most favourable
case. Warm: a container waits ready; cold: none does; both clocks run from the request to the judged result. Other work
on the machine shows in all rows alike, so read the smallest beside the median.

A virtual machine may get memory from its host only when it is first touched, at up to 50 us a page; 256 MB are touched
and freed before each run, of all rows, so that this is not what is measured.
"""

import argparse
import gc
import json
import mmap
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ufos_nautilus.engine import parse_spec, run_backtest
from ufos_sandbox import DataRequest, Limits, Sandbox
from ufos_sandbox.image.build import build
from ufos_sandbox.requests import check_spec, make_spec
from ufos_sandbox.samples import INSTRUMENT, sample_catalog
from ufos_sandbox.slices import guest_tables

STRATEGY = '''
from nautilus_trader.model import InstrumentId, OrderSide
from ufos_nautilus.engine import Book, BookConfig


class TurnConfig(BookConfig):
    instrument_id: str
    every: int = 1000


class Turn(Book):
    """Buys and sells one lot in turn."""

    Config = TurnConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.seen, self.side = 0, OrderSide.BUY
        self.subscribe_quotes(self.name)

    def on_quote(self, quote):
        self.seen += 1
        if self.seen % self.params.every == 0:
            self.submit_order(self.order_factory.market(self.name, self.side, self.instrument.make_qty(1)))
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
'''
TOUCHED_BYTES = 256 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--patience-s", type=float, default=5.0, help="wait so long for a quiet moment, each time")
    options = parser.parse_args()
    if not os.environ.get("UFOS_SANDBOX_IMAGE"):
        build()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = DataRequest(catalog=sample_catalog(folder / "market", options.rows), instruments=(INSTRUMENT,))
        report = measure(folder, data, options.runs, options.patience_s)
    report["load_average"] = os.getloadavg()[0]
    print(json.dumps(report, indent=1))


def measure(folder: Path, data: DataRequest, runs: int, patience_s: float) -> dict[str, Any]:
    params = {"instrument_id": INSTRUMENT}
    with Sandbox(Limits()) as warm, Sandbox(Limits(), pool_size=0) as cold:
        host, bare, sandboxed, from_cold, inside = [], [], [], [], []
        spec = host_spec(folder, data, warm, params)
        # By turns, so that whatever else the machine does falls on all alike.
        for _ in range(runs):
            wait_quiet(patience_s)
            host.append(timed(lambda: run_backtest(spec, root=folder / "runs")))
            wait_quiet(patience_s)
            bare.append(bare_run(folder, data, warm, params))
            warm.pool.wait_full(30)
            wait_quiet(patience_s)
            sandboxed.append(timed(lambda: inside.append(run(warm, data, params))))
            warm.pool.wait_full(30)
            wait_quiet(patience_s)
            from_cold.append(timed(lambda: run(cold, data, params)))
        refills = list(warm.pool.refill_ms)
        return {
            "host_ms": summary(host),
            "bare_ms": summary(bare),
            "warm_ms": summary(sandboxed),
            "warm_minus_host_ms": summary(less(sandboxed, host)),
            "warm_minus_bare_ms": summary(less(sandboxed, bare)),
            "cold_ms": summary(from_cold),
            "refill_ms": summary(refills),
            "inside_ms": {
                k: round(statistics.median(r[k] for r in inside), 1)
                for k in ("cut", "send", "slice", "load", "lock", "run", "audit")
            },
            "eight_at_once": burst(data, params),
        }


def wait_quiet(patience_s: float) -> None:
    """Wait until the machine has been idle for a third of a second, or patience is over; then touch some memory."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        before = cpu_ticks()
        time.sleep(0.3)
        after = cpu_ticks()
        if (after[0] - before[0]) <= 0.1 * (after[1] - before[1]):
            break
    with mmap.mmap(-1, TOUCHED_BYTES) as memory:
        for at in range(0, TOUCHED_BYTES, mmap.PAGESIZE):
            memory[at] = 1


def cpu_ticks() -> tuple[int, int]:
    """Return busy and all ticks of all processors."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def host_spec(folder: Path, data: DataRequest, sandbox: Sandbox, params: dict[str, Any]) -> Any:
    sys.path.insert(0, str(folder))
    (folder / "bench_turn.py").write_text(STRATEGY, "utf-8")
    spec = make_spec(sandbox.slices.get(data), params)
    spec["data"] = [{"catalog": str(data.catalog), "instruments": [INSTRUMENT]}]
    spec["books"][0]["class_path"] = "bench_turn:Turn"
    return parse_spec(spec)


def bare_run(folder: Path, data: DataRequest, sandbox: Sandbox, params: dict[str, Any]) -> float:
    """Do on the host what a container does between its slice and its result; return how long it took, ms."""
    from ufos_sandbox.guest import session, worker

    part = sandbox.slices.get(data)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch) / "slice"
        for name, content in (file for table in part.tables for file in table.files):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        marked = check_spec(make_spec(part, params)).marked
        instruments = [i.to_dict() for i in part.instruments.values()]
        gc.collect()
        gc.freeze()
        started = time.perf_counter()
        prepared = session.prepare(marked, guest_tables(part), instruments, root)
        prepared.run(session.find_book(worker.load_foreign(STRATEGY)), lambda _: None)
        took = (time.perf_counter() - started) * 1e3
        prepared.engine.dispose()
        gc.unfreeze()
    return took


def less(some: list[float], others: list[float]) -> list[float]:
    return [a - b for a, b in zip(some, others, strict=True)]


def run(sandbox: Sandbox, data: DataRequest, params: dict[str, Any]) -> dict[str, float]:
    result = sandbox.run(STRATEGY, data, params, truncations=0)
    if result.state.value != "COMPLETED":
        raise SystemExit(f"{result.state}: {result.failure}")
    return result.times_ms


def burst(data: DataRequest, params: dict[str, Any]) -> dict[str, Any]:
    states: list[str] = []
    with Sandbox(Limits()) as sandbox:

        def one() -> None:
            states.append(sandbox.run(STRATEGY, data, params, truncations=0).state.value)

        threads = [threading.Thread(target=one) for _ in range(8)]
        total = timed(lambda: ([t.start() for t in threads], [t.join() for t in threads]))
    return {"total_ms": round(total, 1), "failures": sum(s != "COMPLETED" for s in states)}


def timed(call: Any) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def summary(values: list[float]) -> dict[str, float]:
    return {"p50": round(statistics.median(values), 1), "min": round(min(values), 1), "n": len(values)}


if __name__ == "__main__":
    main()
