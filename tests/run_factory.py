"""Stored runs for tests: a market maker on a random market, in the files a real run leaves."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.run_schemas import SCHEMAS

START = datetime(2024, 1, 15, 9, 0, tzinfo=UTC)
INSTRUMENT = "BTCUSDT-PERP.BINANCE"
BOOK = "MM-BTC"
TICK = Decimal("0.10")
OPENING = Decimal("100000.00")
MAKER_FEE, TAKER_FEE = Decimal("-0.00005"), Decimal("0.0004")
INSTRUMENT_DATA: dict[str, Any] = {
    "instrument_id": INSTRUMENT, "kind": "crypto_perpetual", "base": "BTC", "quote": "USDT", "settlement": "USDT",
    "tick_size": "0.10", "lot_size": "0.001", "price_precision": 1, "size_precision": 3,
}  # fmt: skip

Rows = dict[str, list[tuple[Any, ...]]]


def market_maker_rows(
    minutes: float, *, seed: int = 7, book: str = BOOK, instrument: str = INSTRUMENT, step_s: float = 0.5
) -> Rows:
    """Trade a symmetric quoter, leaning against its inventory, on an arithmetic random walk.

    The last equity is exactly the opening balance plus cash flows, fees and the position at mid.
    """
    rng = random.Random(seed)
    rows: Rows = {name: [] for name in SCHEMAS}
    mid, position, cash, bound = 421_505, Decimal(0), OPENING, Decimal("0.050")  # mid in ticks
    steps = int(minutes * 60 / step_s)
    for step in range(steps + 1):
        ts = START + timedelta(seconds=step * step_s, microseconds=rng.randrange(400_000))
        mid += rng.choices((-3, -1, 0, 0, 1, 3), (1, 6, 10, 10, 6, 1))[0]
        market_bid, market_ask = TICK * mid, TICK * (mid + 1)
        lean = int(-position / bound * 4)
        bid = TICK * min(mid, mid - 2 + lean) if position < bound else None
        ask = TICK * max(mid + 1, mid + 3 + lean) if position > -bound else None
        reason = "inventory bound" if bid is None or ask is None else rng.choice(("market moved", "interval", "fill"))
        lot = Decimal("0.010")
        fair = float(market_bid + market_ask) / 2 + rng.gauss(0, 0.02)
        rows["quotes"].append((ts, book, instrument, bid, bid and lot, ask, ask and lot, fair, position,
                               market_bid, market_ask, reason))  # fmt: skip
        hit = rng.random()
        for side, price in (("BUY", bid), ("SELL", ask)):
            if price is None or not (hit < 0.03 if side == "BUY" else hit > 0.97):
                continue
            taker = rng.random() < 0.08
            price = (market_ask if side == "BUY" else market_bid) if taker else price
            # The market comes to a resting quote: its far side touches our price.
            seen = (market_bid, market_ask) if taker else (bid, ask)
            if None in seen:
                seen = (price - 2 * TICK, price + 2 * TICK)
            fee = price * lot * (TAKER_FEE if taker else MAKER_FEE)
            sign = 1 if side == "BUY" else -1
            position, cash = position + sign * lot, cash - sign * price * lot - fee
            n = len(rows["fills"])
            liquidity = "TAKER" if taker else "MAKER"
            rows["fills"].append((ts, f"T{n}", f"O{n}", f"V{n}", book, instrument, side, price, lot, liquidity, fee,
                                  "USDT", seen[0], seen[1]))  # fmt: skip
            now = (market_bid + market_ask) / 2
            rows["markouts"].append((ts, f"T{n}", f"O{n}", book, instrument, (seen[0] + seen[1]) / 2, now, now, now,
                                     None))  # fmt: skip
            rows["orders"].append((ts, f"O{n}", book, instrument, side, "LIMIT", lot, price, "FILLED", lot, price, ts,
                                   ""))  # fmt: skip
        if step % 6 == 0:
            price = bid or ask
            rows["orders"].append((ts, f"C{step}", book, instrument, "BUY", "LIMIT", lot, price, "CANCELED",
                                   Decimal(0), None, ts, ""))  # fmt: skip
        if step % 2 == 0:
            rows["inventory"].append((ts, book, instrument, position, market_bid, market_ask))
            equity = cash + position * (market_bid + market_ask) / 2
            rows["equity"].append((ts, "BINANCE-001", "USDT", equity, cash, equity - cash))
    rows["positions"].append((book, instrument, "LONG" if position > 0 else "SHORT", abs(position), TICK * mid, None,
                              Decimal("12.34"), "USDT", START, None))  # fmt: skip
    return rows


def write_run(
    run_dir: Path, rows: Rows, *, instruments: list[dict[str, Any]] | dict[str, Any] | None = None, **result: Any
) -> dict[str, Any]:
    """Write a run directory from rows of `SCHEMAS`; `result` overrides keys of result.json, which is returned."""
    run_dir.mkdir(parents=True)
    for name, schema in SCHEMAS.items():
        frame = pl.DataFrame(rows.get(name) or [], schema=schema, orient="row")
        frame.write_parquet(run_dir / f"{name}.parquet", compression="zstd")
    equity, fills = rows.get("equity") or [], rows.get("fills") or []
    held = [abs(row[3]) for row in rows.get("inventory") or []]
    stored: dict[str, Any] = {
        "run_id": run_dir.name, "name": "mm btcusdt perp", "spec_digest": "5f2c9a", "seed": 42,
        "code_version": "0.1.0", "data": ["sha256:9b1d"], "started_at": "2024-06-01T12:00:00Z", "elapsed_s": 1.25,
        "events": 250_000, "orders": len(rows.get("orders") or []), "fills": len(fills), "denied": 0, "rejected": 2,
        "net_pnl": {"USDT": str(equity[-1][3] - equity[0][3])} if equity else {},
        "max_inventory": {INSTRUMENT: str(max(held))} if held else {},
        "final_balances": {"BINANCE-001": {"USDT": str(equity[-1][4])}} if equity else {},
        "statistics": {"returns": {"Sharpe Ratio (252 days)": 1.8342, "Sortino Ratio (252 days)": None},
                       "pnls": {"USDT": {"PnL (total)": 41.25, "Win Rate": 0.5421}}, "general": {"Long Ratio": 0.5}},
        "digest": "c0ffee" * 10, "status": "completed", "error": None, "report": "report.html",
    }  # fmt: skip
    last = (rows.get("inventory") or [None])[-1]
    if last is not None and last[4] is not None and last[5] is not None:
        stored["marks"] = {last[2]: str((last[4] + last[5]) / 2)}
    if instruments is not None:
        stored["instruments"] = instruments
    stored |= result
    (run_dir / "result.json").write_text(json.dumps(stored), encoding="utf-8")
    spec = {"name": stored["name"], "seed": stored["seed"], "books": [{"id": BOOK, "gamma": "0.1"}]}
    (run_dir / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    return stored


def make_run(runs_dir: Path, run_id: str = "r1", *, minutes: float = 30, seed: int = 7, **result: Any) -> Path:
    """Write a market-making run and return its directory."""
    write_run(
        runs_dir / run_id, market_maker_rows(minutes, seed=seed), instruments=[INSTRUMENT_DATA], seed=seed, **result
    )
    return runs_dir / run_id


def empty_run(runs_dir: Path, run_id: str = "empty") -> Path:
    """Write a run in which nothing happened: every table empty."""
    write_run(runs_dir / run_id, {}, statistics={}, events=0, rejected=0)
    return runs_dir / run_id
