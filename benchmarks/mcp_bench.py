"""Times the MCP server as clients meet it: `python -m benchmarks.mcp_bench [--rows 1000000] [--json]`.

Every figure is of real processes and includes what the client does, which competes for the processors.
Other work on the machine shows in all figures, so read the smallest start beside the median, and the load average.
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from ufos_mcp.server import create_server
from ufos_mcp.settings import Settings
from ufos_mcp.surface import surface
from ufos_mcp.tokens import KeyFile
from ufos_nautilus.engine.generated import make_params
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.spec import SyntheticSpec
from ufos_nautilus.market import synthetic
from ufos_nautilus.market.importing import import_recording

BOOK = "SIM-PERP.SIM"
CHARACTERS_PER_TOKEN = 3.6
"""Of this JSON; the o200k vocabulary has 3.8."""
UNLIMITED = ("--calls-per-minute", "1000000")
BESIDE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("describe_data", {}),
    ("describe_data", {"symbol": BOOK, "catalog": "book"}),
    ("list_strategies", {}),
    ("list_strategies", {"name": "MarketMaker"}),
    ("search_research", {"query": "spread"}),
    ("get_backtest", {}),
    (
        "analyze_market",
        {"what": "indicators", "terms": ["rsi(14)"], "symbols": [BOOK], "catalog": "book", "interval": "1s"},
    ),
    ("save_insight", {"kind": "hypothesis", "text": "other tools answer while a run goes on"}),
)
"""Tools that are called while a backtest runs."""
BACKTEST: dict[str, Any] = {
    "strategy": "MarketMaker",
    "catalog": "long",
    "symbols": [BOOK],
    "hypothesis": "a long run disturbs nobody",
    "params": {"order_size": "1", "max_inventory": "3", "gamma": 0.02, "k_per_tick": 2.0, "warmup_s": 2.0},
    "depth": True,
    "wait_s": 600,
}
EVENTS_PER_S = 67
"""Of the generated market."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events of the backtest that runs meanwhile")
    parser.add_argument("--reads", type=int, default=2_000, help="resource reads of each era")
    parser.add_argument("--clients", type=int, default=200, help="HTTP clients at once")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        make_market(root, options.rows)
        report: dict[str, Any] = {"schema": anyio.run(schema, root), "start": starts(root, options.starts)}
        for mode in ("auto", "legacy"):
            report[f"reads over stdio, {mode}"] = anyio.run(reads, root, mode, options.reads)
        report["http"] = anyio.run(many, root, options.clients)
        report["beside a backtest"] = anyio.run(beside, root)
    report["load_average"] = round(os.getloadavg()[0], 2)
    if options.json:
        print(json.dumps(report))
        return
    for name, figures in report.items():
        print(f"{name}: {figures}")


def make_market(root: Path, rows: int) -> None:
    """Write a catalog of a minute of an order book, and one of about `rows` events."""
    for name, seconds in (("book", 60.0), ("long", rows / EVENTS_PER_S)):
        spec = SyntheticSpec(kind="single", seed=3, params={"duration_s": seconds})
        params = make_params(synthetic.SingleMarketParams, spec)
        import_recording(
            root / "catalogs" / name, partial(synthetic.generate_single, params), sources=(), fmt="generated",
            options={"seed": "3"}, instrument_writer=write_instruments,
        )  # fmt: skip


async def schema(root: Path) -> dict[str, float]:
    """Return how much a client is shown before its first call."""
    server, _ = create_server(Settings.of(root))
    text = json.dumps((await surface(server))["tools"], separators=(",", ":"))
    return {"tools": text.count('"inputSchema"'), "characters": len(text),
            "tokens": round(len(text) / CHARACTERS_PER_TOKEN)}  # fmt: skip


def starts(root: Path, times: int) -> dict[str, float]:
    """Return the seconds from the start of a process to its first answer."""
    info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": info}).encode() + b"\n"
    took = []
    for _ in range(times):
        began = time.perf_counter()
        with subprocess.Popen(
            words(root), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(root)
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise SystemExit("no pipes")
            process.stdin.write(hello)
            process.stdin.flush()
            if b"serverInfo" not in process.stdout.readline():
                raise SystemExit("the server does not start")
            took.append(time.perf_counter() - began)
            process.stdin.close()
    return {"p50_s": round(statistics.median(took), 3), "min_s": round(min(took), 3), "max_s": round(max(took), 3)}


async def reads(root: Path, mode: str, count: int) -> dict[str, float]:
    """Return milliseconds of reading a book of ten levels over real pipes."""
    uri = f"financial://market/book/{BOOK}?depth=10&catalog=book"
    async with stdio_client(root, mode) as client:
        await client.read_resource(uri)
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await client.read_resource(uri)
            took.append((time.perf_counter() - began) * 1e3)
    return summary(took)


async def many(root: Path, clients: int) -> dict[str, Any]:
    """Connect many clients at once, each with a key of its own, half of each era; each lists, reads and calls."""
    file = KeyFile(root / "keys.json")
    headers = [{"Authorization": f"Bearer {file.add(f'user-{n}', ['read', 'run'], 1)}"} for n in range(clients)]
    outcomes: Counter[str] = Counter()
    took: list[float] = []
    uri = f"financial://market/book/{BOOK}?depth=5&catalog=book"
    with http_server(root, file.path) as url:

        async def one(number: int) -> None:
            try:
                mode: Any = ("auto", "legacy")[number % 2]
                async with (
                    httpx2.AsyncClient(headers=headers[number], timeout=120) as http,
                    Client(streamable_http_client(url, http_client=http), mode=mode) as client,
                ):
                    await client.list_tools()
                    for _ in range(5):
                        began = time.perf_counter()
                        await client.read_resource(uri)
                        called = await client.call_tool("describe_data", {"symbol": BOOK})
                        took.append((time.perf_counter() - began) * 1e3)
                        outcomes["error" if called.is_error else "ok"] += 1
            except Exception as error:
                outcomes[type(error).__name__] += 1

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for number in range(clients):
                group.start_soon(one, number)
        total = time.perf_counter() - began
    return {"clients": clients, "outcomes": dict(outcomes), "total_s": round(total, 2),
            "read_and_call": summary(took)}  # fmt: skip


async def beside(root: Path) -> dict[str, Any]:
    """Call every other tool, one after the other, while a backtest runs; a pause between calls as a person would."""
    took: list[float] = []
    by_tool: dict[str, list[float]] = {}
    done: dict[str, Any] = {}
    async with stdio_client(root, "auto") as client:
        for name, arguments in BESIDE:  # what a first call loads is no matter of the backtest
            await client.call_tool(name, arguments)

        async def run() -> None:
            result = await client.call_tool("run_backtest", BACKTEST, read_timeout_seconds=600)
            done.update(result.structured_content or {"error": result.content})

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while not done:
                for name, arguments in BESIDE:
                    began = time.perf_counter()
                    result = await client.call_tool(name, arguments)
                    took.append((time.perf_counter() - began) * 1e3)
                    by_tool.setdefault(name, []).append(took[-1])
                    if result.is_error:
                        raise SystemExit(f"{name}: {result.content}")
                    await anyio.sleep(0.01)
    slowest = {name: round(max(times), 1) for name, times in by_tool.items()}
    kept = ("status", "rows", "orders", "fills", "refused", "elapsed_s", "error")
    return {"backtest": {k: done[k] for k in kept if k in done}, "calls": summary(took), "slowest_ms": slowest}


# details


def words(root: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "ufos_mcp", "--root", str(root), *options]


def environment(root: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("UFOS_", "PYTHON"))}
    return kept | {"UFOS_RUNS": str(root / "runs")}


@asynccontextmanager
async def stdio_client(root: Path, mode: Any) -> AsyncIterator[Client]:
    command, *args = words(root, *UNLIMITED)
    server = StdioServerParameters(command=command, args=args, env=environment(root))
    async with Client(server, mode=mode) as client:
        yield client


@contextmanager
def http_server(root: Path, keys: Path) -> Iterator[str]:
    command = words(root, "--http", "--port", "0", "--keys", str(keys))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(root)) as process:
        try:
            if process.stderr is None:
                raise SystemExit("no pipe")
            ready, _, _ = select.select([process.stderr], [], [], 60)
            line = process.stderr.readline().decode() if ready else ""
            if not line.startswith("serving at "):
                raise SystemExit(line or "the server does not start")
            yield line.removeprefix("serving at ").strip()
        finally:
            process.terminate()


def summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50_ms": 0.5, "p99_ms": 0.99}
    out = {name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) for name, share in at.items()}
    return out | {"max_ms": round(ordered[-1], 2), "n": len(ordered)}


if __name__ == "__main__":
    main()
