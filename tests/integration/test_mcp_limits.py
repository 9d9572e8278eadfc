"""The MCP server under load and under watch: tasks, the record of calls, limits, clients apart."""

import json
import os
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters

from tests import mcp_world
from tests.mcp_tasks import ask_task, call_task, knowing_tasks
from tests.mcp_world import DESK, SIM, connected, data_of, desk_call, error_of, make_world, settings_of
from ufos_nautilus.crossing.chain import verify
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.runs import list_runs
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.synthetic_daily import DailyParams, generate_daily

world = mcp_world.world
era = mcp_world.era
anyio_backend = mcp_world.anyio_backend
pytestmark = pytest.mark.anyio
LONG = {
    "strategy": "MarketMaker",
    "symbols": [SIM],
    "hypothesis": "a long run can be ended at any time",
    "params": DESK,
}


async def test_a_client_that_knows_tasks_gets_a_handle(world: Path, tmp_path: Path) -> None:
    settings = settings_of(world, tmp_path)
    async with knowing_tasks(settings) as (client, services):
        made = await call_task(client, "run_backtest", desk_call(wait_s=0))
        assert (made["resultType"], made["status"]) == ("task", "working")
        with anyio.fail_after(40):
            while (state := await ask_task(client, made["taskId"]))["status"] == "working":
                await anyio.sleep(0.1)
        assert state["status"] == "completed"
        assert state["result"]["structuredContent"]["status"] == "done"
        other = await call_task(client, "run_backtest", desk_call(seed=3))
        await ask_task(client, other["taskId"], "tasks/cancel")
        with anyio.fail_after(20):
            while (state := await ask_task(client, other["taskId"]))["status"] == "working":
                await anyio.sleep(0.05)
        assert state["status"] == "cancelled"
        with pytest.raises(MCPError) as caught:
            await ask_task(client, "nothing")
        assert caught.value.error.code == -32602
        assert not services.jobs.running()


async def test_every_call_is_in_the_record(world: Path, tmp_path: Path) -> None:
    settings = settings_of(world, tmp_path)
    async with connected(settings) as (client, services):
        assert services.trail is not None
        path = services.trail.path
        await client.call_tool("describe_data", {"symbol": SIM})
        await client.call_tool("describe_data", {"confirmed": True})
        with pytest.raises(MCPError) as caught:
            await client.call_tool("execute_market_order", {"symbol": "FAKETOKEN", "quantity": 1})
        assert caught.value.error.code == -32602
        await client.read_resource("financial://universe")
    report = verify(path)
    assert report.sealed
    rows = [json.loads(line)["line"]["data"] for line in path.read_text("utf-8").splitlines()]
    calls = [(r["name"], r["outcome"]) for r in rows if r.get("event") == "call"]
    assert calls == [
        ("describe_data", "ok"),
        ("describe_data", "error"),
        ("execute_market_order", "refused -32602"),
        ("resources/read", "ok"),
    ]
    assert all(r["user"] == "local" and r["ms"] >= 0 and r["request"] for r in rows if r.get("event") == "call")
    surfaces = [r["surface"] for r in rows if r.get("event") == "start"]
    assert len(surfaces) == 1


async def test_a_caller_that_asks_too_often_is_told_when_to_come_back(world: Path, tmp_path: Path) -> None:
    async with connected(settings_of(world, tmp_path, calls_per_minute=5)) as (client, _):
        for _ in range(5):
            data_of(await client.call_tool("describe_data", {}))
        with pytest.raises(MCPError) as caught:
            await client.call_tool("describe_data", {})
        assert caught.value.error.code == -32010
        assert caught.value.error.data["retryAfterSeconds"] > 0
        data_of(await client.call_tool("list_strategies", {}))


async def test_nothing_new_starts_when_the_memory_is_short(world: Path, tmp_path: Path) -> None:
    async with connected(settings_of(world, tmp_path, memory_share=0.0001)) as (client, services):
        with pytest.raises(MCPError) as caught:
            await client.call_tool("run_backtest", desk_call())
        assert caught.value.error.code == -32010
        assert "memory" in caught.value.error.message
        data_of(await client.call_tool("describe_data", {}))
        assert not services.jobs.running()


async def test_a_thousand_calls_at_once_leave_the_server_well(world: Path, tmp_path: Path) -> None:
    settings = settings_of(world, tmp_path)
    async with connected(settings) as (client, services):
        outcomes: dict[str, int] = {}

        async def call(number: int) -> None:
            arguments = desk_call(symbols=["FAKETOKEN.SIM"]) if number % 2 else desk_call(fee_bps="1")
            try:
                outcome = "error" if (await client.call_tool("run_backtest", arguments)).is_error else "ok"
            except MCPError as error:
                outcome = str(error.error.code)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

        began = time.monotonic()
        async with anyio.create_task_group() as group:
            for number in range(1_000):
                group.start_soon(call, number)
        took = time.monotonic() - began
        assert took < 30
        assert set(outcomes) == {"error", "-32010"}
        assert 100 <= outcomes["error"] <= 101 + took * 100 / 60, "a burst, and what a minute's rate gives meanwhile"
        assert sum(outcomes.values()) == 1_000
        assert not services.jobs._kept
        data_of(await client.call_tool("describe_data", {}))
    assert list_runs(settings.runs) == []


async def test_other_tools_answer_while_a_backtest_runs(tmp_path: Path) -> None:
    """A server process and a worker of its own; `benchmarks/mcp_bench.py` measures it with a million events."""
    root = make_world(tmp_path / "root", seconds=1_500.0)
    words = ["-m", "ufos_mcp", "--root", str(root), "--calls-per-minute", "100000"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("UFOS_", "PYTHON"))}
    server = StdioServerParameters(command=sys.executable, args=words, env=environment)
    others = (
        ("describe_data", {"symbol": SIM}),
        ("list_strategies", {"name": "MarketMaker"}),
        ("search_research", {"query": "spread"}),
        ("get_backtest", {}),
    )
    async with Client(server) as client:
        for name, arguments in others:  # what is loaded by a first call is no matter of the backtest
            data_of(await client.call_tool(name, arguments))
        begun = data_of(await client.call_tool("run_backtest", desk_call(wait_s=0)))
        times: list[float] = []
        while data_of(await client.call_tool("get_backtest", {"runs": [begun["job"]]}))["status"] in (
            "queued",
            "running",
        ):
            for name, arguments in others:
                began = time.perf_counter()
                data_of(await client.call_tool(name, arguments))
                times.append((time.perf_counter() - began) * 1e3)
        done = data_of(await client.call_tool("get_backtest", {"runs": [begun["job"]]}))
    assert done["status"] == "done"
    assert done["rows"] > 80_000
    assert len(times) > 40
    assert sorted(times)[int(0.9 * len(times))] < 400, "99 % are below 100 ms where nothing else runs"


async def test_a_large_universe_is_named_and_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    params = DailyParams(days=30, instruments=24, sectors=4)
    import_recording(
        root / "catalogs" / "daily", lambda: generate_daily(params), sources=(), fmt="generated",
        options={"seed": "1"}, instrument_writer=write_instruments,
    )  # fmt: skip
    async with connected(settings_of(root, tmp_path)) as (client, _):

        async def ask(tool: str, **arguments: object) -> dict:
            return data_of(await client.call_tool(tool, arguments))

        seen = await ask("describe_data")
        assert (seen["total"], len(seen["catalogs"][0]["symbols"]), "instruments" in seen) == (24, 5, False)
        named = await ask("describe_data", catalog="daily")
        assert len(named["catalogs"][0]["symbols"]) == 24
        assert named["catalogs"][0]["tables"] == {"bars": 24 * 30}
        read = json.loads((await client.read_resource("financial://universe")).contents[0].text)
        assert (len(read["instruments"]), read["total"]) == (24, 24)
        screen = {"what": "screen", "terms": ["close > 0"], "interval": "1d", "limit": 5}
        found = await ask("analyze_market", **screen)
        assert (found["met"], found["looked_at"], len(found["rows"])) == (24, 24, 5)
        monkeypatch.setattr("ufos_mcp.tools.data.MCP_SCREEN_INSTRUMENTS_MAX", 10)
        cut = await ask("analyze_market", **screen)
        assert (cut["looked_at"], cut["not_looked_at"]) == (10, 14)


async def test_two_clients_do_not_see_each_others_jobs(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = iter(["ann", "bob"])
    async with connected(settings_of(world, tmp_path)) as (client, _):
        monkeypatch.setattr("ufos_mcp.tools.backtests.user_of_request", lambda: next(users))
        begun = data_of(await client.call_tool("run_backtest", desk_call(wait_s=0)))
        text = error_of(await client.call_tool("get_backtest", {"runs": [begun["job"]]}))
        assert "no job" in text


async def test_an_app_page_is_served_with_a_closed_policy(world: Path, tmp_path: Path) -> None:
    async with connected(settings_of(world, tmp_path)) as (client, _):
        tool = next(t for t in (await client.list_tools()).tools if t.name == "show_pnl")
        assert tool.meta is not None
        uri = tool.meta["ui"]["resourceUri"]
        page = (await client.read_resource(uri)).contents[0]
        assert page.mime_type == "text/html;profile=mcp-app"
        assert page.meta is not None
        assert page.meta["ui"]["csp"] == {"connectDomains": [], "resourceDomains": []}
        assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in page.text


def test_the_client_is_the_official_one() -> None:
    assert Client.__module__.startswith("mcp.")
