"""A worker process: takes jobs as JSON lines on standard input and answers with JSON lines, for the MCP server.

``python -m ufos_nautilus.cli.worker`` works on one job after the other until its input ends; input that ends while a
job runs ends the job, so that no worker outlives the process that started it.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from ufos_nautilus.errors import BadInputError, UfosError

NICENESS = 10
"""Added to this process's niceness, so that whoever asked stays responsive."""
PROGRESS_INTERVAL_S = 0.2
Emit = Callable[[dict[str, Any]], None]


def main() -> None:
    """Work until the input ends."""
    wire = _own_wire()
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")  # short of memory, the kernel takes this one first
    jobs = _watch_input()
    signal.signal(signal.SIGTERM, _stop)

    def emit(message: dict[str, Any]) -> None:
        wire.write(json.dumps(message, default=str, allow_nan=False) + "\n")
        wire.flush()

    while (line := jobs.get()) is not None:
        _answer(line, emit)


def _answer(line: str, emit: Emit) -> None:
    try:
        job = json.loads(line)
        emit({"result": KINDS[job["kind"]](job, emit)})
    except UfosError as error:
        emit({"error": error.as_dict()})
    except (SystemExit, KeyboardInterrupt):
        emit({"error": {"error": "Cancelled", "problem": "the job was cancelled", "expected": "", "next_step": ""}})
        raise
    except Exception as error:
        import traceback

        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"[:400]
        emit({"error": {"error": "Defect", "problem": problem, "expected": "", "next_step": "see the server's log"}})


def _own_wire() -> TextIO:
    """Keep standard output for answers alone: what else is printed goes to standard error."""
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return wire


def _watch_input() -> "queue.SimpleQueue[str | None]":
    """Read jobs in a thread of their own, which ends the process once nobody is there to answer."""
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def watch() -> None:
        for line in sys.stdin:
            jobs.put(line)
        jobs.put(None)
        time.sleep(1.0)  # a worker without a job ends by itself
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return jobs


def _stop(*_: object) -> None:
    raise SystemExit(130)


def backtest(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run a spec and store the run; the result is its summary's head."""
    from ufos_nautilus.engine import parse_spec, run_backtest
    from ufos_nautilus.report import write_report

    spec = parse_spec(job["spec"], source="the request")
    show = _progress(emit)
    result = run_backtest(spec, root=Path(job["runs"]), progress=show)
    if job.get("report", True):
        write_report(result.directory)
    return {"run_id": result.run_id, "digest": result.digest, "elapsed_s": result["elapsed_s"]}


def sandbox(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run foreign code in a container; the result is the verdict, and the id of the run where one was kept."""
    from ufos_sandbox.sandbox import Sandbox
    from ufos_sandbox.slices import DataRequest

    source = job["data"]
    data = DataRequest(
        catalog=Path(source["catalog"]),
        instruments=tuple(source["instruments"]),
        tables=tuple(source["tables"]),
        start=_time(source.get("start")),
        end=_time(source.get("end")),
    )
    cancel = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancel.set())  # the container ends first, then this process
    try:
        with Sandbox(pool_size=0) as box:
            result = box.run(
                job["code"],
                data,
                job["params"],
                venues=job["venues"],
                seed=job["seed"],
                name=job["name"],
                keep=Path(job["runs"]),
                progress=lambda phase, share: emit({"progress": [round(share, 3), 1, phase]}),
                cancel=cancel,
            )
    finally:
        signal.signal(signal.SIGTERM, _stop)
    told = result.as_dict()
    kept = ("state", "group", "label", "advice", "evidence", "unjudged", "failure", "provenance")
    return {"run_id": Path(result.stored).name if result.stored else "", "sandbox": {k: told[k] for k in kept}}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def classes(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return the parameters of every book class of the product."""
    from ufos_nautilus.engine.assemble import load_book_class

    found = {}
    for path in job["class_paths"]:
        with contextlib.suppress(BadInputError):
            found[path] = load_book_class(path).Config.model_json_schema()
    return {"schemas": found}


def _progress(emit: Emit) -> Callable[[int, int], None]:
    state = {"done": 0, "at": 0.0}

    def show(rows: int, total: int) -> None:
        state["done"] += rows
        now = time.monotonic()
        if now - state["at"] >= PROGRESS_INTERVAL_S or state["done"] >= total:
            state["at"] = now
            emit({"progress": [state["done"], total, "rows"]})

    return show


KINDS: dict[str, Callable[[dict[str, Any], Emit], dict[str, Any]]] = {
    "backtest": backtest,
    "sandbox": sandbox,
    "classes": classes,
}
"""Kind of job -> what does it."""

if __name__ == "__main__":
    main()
