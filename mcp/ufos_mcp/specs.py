"""Run specs made from what a caller asks for: one or a few instruments of one catalog, one strategy."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from ufos_mcp.market import Found, parse_time
from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import MCP_SWEEP_RUNS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec

START_AMOUNT: Final = "1000000"
LEVERAGE: Final = 10
BOOK_ID: Final = "RESEARCH-1"
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
    kinds = {t.kind for s in ask.symbols for t in found.catalog.tables(s)}
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


def run_spec(name: str, found: Found, ask: Ask, class_path: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run spec with one book."""
    data = data_part(found, ask)
    return {
        "name": name,
        "seed": ask.seed,
        "data": [data],
        "venues": venues(found, ask, data["tables"]),
        "books": [{"id": BOOK_ID, "class_path": class_path, "params": dict(params)}],
    }


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
