"""A folder for the MCP server to work in, and clients of it, for tests."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mcp import Client
from mcp.types import CallToolResult

from ufos_mcp.server import create_server
from ufos_mcp.services import Services
from ufos_mcp.settings import Settings
from ufos_nautilus.engine.generated import make_params
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.spec import SyntheticSpec
from ufos_nautilus.market import synthetic, tables
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording

SIM = "SIM-PERP.SIM"
BARS = "ABC.TEST"
START_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60_000_000_000
BAR_SPEC = InstrumentSpec(
    instrument_id=BARS,
    kind="equity",
    base="ABC",
    quote="USD",
    settlement="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    price_precision=2,
    size_precision=0,
)


def minute_bars(count: int = 3_000, seed: int = 5) -> pl.DataFrame:
    """Bars of a random walk that comes back, one a minute."""
    rng = random.Random(seed)
    start = START_NS - START_NS % MINUTE_NS
    rows, price = [], 10_000
    for _ in range(count):
        opened = price
        path = [opened]
        for _ in range(4):
            path.append(max(100, path[-1] + rng.choice((-6, -2, 0, 2, 6)) - (path[-1] - 10_000) // 200))
        price = path[-1]
        rows.append((opened, max(path), min(path), price, rng.randrange(1, 50)))
    ends = tables.utc_ns([start + (i + 1) * MINUTE_NS for i in range(count)])
    columns = {
        name: tables.decimal_column([f"{row[i] / 100:.2f}" for row in rows])
        for i, name in enumerate(("open", "high", "low", "close"))
    }
    volume = tables.decimal_column([str(row[4]) for row in rows])
    return pl.DataFrame({**columns, "volume": volume, "ts_event": ends, "ts_init": ends})


def make_world(root: Path, seconds: float = 60.0) -> Path:
    """Write a folder with two small catalogs: a generated market with an order book, and minute bars."""
    spec = SyntheticSpec(kind="single", seed=3, params={"duration_s": seconds})
    params = make_params(synthetic.SingleMarketParams, spec)
    import_recording(
        root / "catalogs" / "sim",
        lambda: synthetic.generate_single(params),
        sources=(),
        fmt="generated",
        options={"seed": "3"},
        instrument_writer=write_instruments,
    )
    batch = Batch("bars", f"{BARS}-1-MINUTE-LAST-EXTERNAL", BARS, minute_bars())
    import_recording(
        root / "catalogs" / "bars",
        lambda: Recording([BAR_SPEC], iter([batch]), [], {}),
        sources=(),
        fmt="test",
        options={"seed": "5"},
        instrument_writer=write_instruments,
    )
    return root


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made once; nothing writes into it."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def anyio_backend() -> str:
    """The event loop the server runs on."""
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """Both eras of the protocol: 2026-07-28 and 2025-11-25."""
    return request.param


def settings_of(world: Path, scratch: Path, **changes: Any) -> Settings:
    """Settings that keep runs and records of one test apart from all others."""
    runs = scratch / "runs"
    return Settings.of(world, **{"runs": runs, "research": runs / "_research", "wait_s": 40} | changes)


@asynccontextmanager
async def connected(settings: Settings, mode: str = "auto", **options: Any) -> AsyncIterator[tuple[Client, Services]]:
    """A client of a server in this process."""
    server, services = create_server(settings)
    async with Client(server, mode=mode, **options) as client:
        yield client, services


def data_of(result: CallToolResult) -> dict[str, Any]:
    """The structured result, which says the same as the text."""
    assert not result.is_error, result.content[0].text
    assert result.structured_content is not None
    if result.content[0].text.startswith("{"):
        assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def error_of(result: CallToolResult) -> str:
    """The text of a refused call."""
    assert result.is_error
    return result.content[0].text


DESK: dict[str, Any] = {
    "order_size": "1",
    "max_inventory": "3",
    "gamma": 0.02,
    "k_per_tick": 2.0,
    "warmup_s": 2.0,
}
"""Parameters under which the desk trades on the generated market."""


def desk_call(**changes: Any) -> dict[str, Any]:
    """Arguments of a backtest of the desk on the generated market."""
    arguments: dict[str, Any] = {
        "strategy": "MarketMaker",
        "symbols": [SIM],
        "hypothesis": "quoting both sides earns the spread",
        "params": DESK,
        "depth": True,
        "fee_bps": 0.0,
    }
    return arguments | changes
