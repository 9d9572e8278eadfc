"""Run specs made from what a caller asks for: one or a few instruments of one catalog, one strategy."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from ufos_mcp.market import Found, parse_time, to_ns
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import MCP_SWEEP_RUNS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec

START_AMOUNT: Final = "1000000"
LEVERAGE: Final = 10
BOOK_ID: Final = "RESEARCH-1"
SAMPLES: Final = 10_000
"""Samples of equity and inventory over the span of a run, at most one a second."""
SAMPLE_S_MAX: Final = 31 * 86_400.0
PANEL: Final = {"id": "DAILY-PANEL", "class_path": "ufos_strategies.actors.daily_panel:DailyPanel"}
"""Tells daily books when a session is."""
TABLES: Final = ("quotes", "trades", "bars")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a caller wants to run.

    Parameters
    ----------
    symbols : tuple of str
        Instruments, all of one catalog.
    start, end : str
        Span, ISO 8601; empty for all.
    depth : bool
        Replay the full order book too.
    fee_bps : float
        Commission on notional, basis points.
    seed : int
        Of the run.

    """

    symbols: tuple[str, ...]
    start: str = ""
    end: str = ""
    depth: bool = False
    fee_bps: float = 1.0
    seed: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)


def data_part(found: Found, ask: Ask) -> dict[str, Any]:
    """Return the data section: the book's deltas only where asked for, or where there is nothing else.

    Raises
    ------
    SpecError
        An instrument is not there, or the span is empty.

    """
    if not ask.symbols:
        raise SpecError("no symbols", expected='for example ["BTCUSDT-PERP.BINANCE"]', next_step="describe_data")
    for symbol in ask.symbols:
        found.catalog.instrument(symbol)
    kinds = {t.kind for s in ask.symbols for t in found.tables.get(s, ())}
    light = [k for k in TABLES if k in kinds]
    if ask.depth and "order_book_deltas" not in kinds:
        raise SpecError(f"{', '.join(ask.symbols)}: no order book", expected="depth false", next_step="describe_data")
    tables = light if light and not ask.depth else [*light, "order_book_deltas"]
    first, last = parse_time(ask.start, "start"), parse_time(ask.end, "end")
    if first and last and last <= first:
        raise SpecError("end is not after start", expected="a span of time")
    out: dict[str, Any] = {"catalog": str(found.catalog.root), "instruments": list(ask.symbols), "tables": tables}
    out |= {k: v.isoformat() for k, v in (("start", first), ("end", last)) if v}
    return out


def venues(found: Found, ask: Ask, tables: Sequence[str]) -> list[dict[str, Any]]:
    """Return a margin venue for each venue of the instruments, with a million of each currency."""
    grouped: dict[str, list[InstrumentSpec]] = {}
    for symbol in ask.symbols:
        spec = found.catalog.instrument(symbol)
        grouped.setdefault(spec.venue, []).append(spec)
    rate = format(Decimal(str(ask.fee_bps)) / 10_000, "f")
    return [
        {
            "name": venue,
            "balances": [f"{START_AMOUNT} {code}" for code in sorted({i.settlement for i in instruments})],
            "leverage": LEVERAGE,
            "book": "L2" if "order_book_deltas" in tables else "L1",
            "fees": {"maker_rate": rate, "taker_rate": rate},
        }
        for venue, instruments in sorted(grouped.items())
    ]


def run_spec(name: str, found: Found, ask: Ask, book: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run spec with one book: its class, its parameters, and its capital where it has its own."""
    data = data_part(found, ask)
    interval = max(1.0, round(_span_s(found, ask) / SAMPLES, 3))
    return {
        "name": name,
        "seed": ask.seed,
        "data": [data],
        "venues": venues(found, ask, data["tables"]),
        "books": [{"id": BOOK_ID, **book}],
        "recording": {"sample_interval_s": min(interval, SAMPLE_S_MAX)},
    }


def daily(spec: Mapping[str, Any], found: Found, ask: Ask) -> dict[str, Any]:
    """Return a run spec whose book acts once a session: with the panel, capital, and quotes made from bars."""
    (data,), (book,) = spec["data"], spec["books"]
    out = {**spec, "actors": [PANEL]}
    currency = found.catalog.instrument(ask.symbols[0]).settlement
    out["books"] = [{**book, "capital": [f"{START_AMOUNT} {currency}"]}]
    if "quotes" not in data["tables"]:
        out["data"] = [{**data, "quotes_from_bars": {}}]
        # Quotes come twice a day: what one order takes is there again for the next, and bars don't move the market.
        calm = {"queue_position": False, "liquidity_consumption": False, "bar_execution": False}
        out["venues"] = [{**venue, **calm} for venue in spec["venues"]]
    return out


def _span_s(found: Found, ask: Ask) -> float:
    tables = [t for s in ask.symbols for t in found.tables.get(s, ())]
    first, last = parse_time(ask.start, "start"), parse_time(ask.end, "end")
    start = to_ns(first) if first else min(t.first_ns for t in tables)
    end = to_ns(last) if last else max(t.last_ns for t in tables)
    return (end - start) / 1e9


def combinations(sweep: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of a sweep's values, in the order of its names.

    Raises
    ------
    LimitExceededError
        There are more than `limits.MCP_SWEEP_RUNS_MAX`.

    """
    count = 1
    for values in sweep.values():
        count *= len(values)
    if count > MCP_SWEEP_RUNS_MAX or (sweep and not count):
        raise LimitExceededError(f"the sweep has {count} runs", expected=f"1 to {MCP_SWEEP_RUNS_MAX}")
    return [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]


def short_digest(value: Any) -> str:
    """Return a short digest of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
