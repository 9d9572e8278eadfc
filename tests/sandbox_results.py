"""Results of sandboxed runs made by hand: a small market, honest fills on it, and the spec they belong to."""

from pathlib import Path
from typing import Any

import msgspec

from ufos_sandbox.audit import row_hash
from ufos_sandbox.messages import Counts, Fill, GuestResult, Hashes, Order
from ufos_sandbox.requests import check_spec, make_spec
from ufos_sandbox.samples import INSTRUMENT, START_NS, sample_catalog
from ufos_sandbox.slices import DataRequest, Slice, SliceCache

STEP_NS = 100_000_000


def market(folder: Path, rows: int = 400) -> Slice:
    """A slice of a seeded random walk, one quote every 0.1 s."""
    return SliceCache().get(DataRequest(catalog=sample_catalog(folder / "market", rows), instruments=(INSTRUMENT,)))


def spec_of(part: Slice, **venue: Any) -> dict[str, Any]:
    """The run spec of an honest result."""
    entry = {"name": "TEST", "balances": ["1000000 USD"], "leverage": 10, "book": "L1"} | venue
    return check_spec(make_spec(part, {}, venues=[entry])).data


def honest(part: Slice, count: int = 6) -> GuestResult:
    """Market orders of one unit, buy and sell in turn, filled at the touch of the quote they answer."""
    quotes = part.frame("quotes", INSTRUMENT)
    orders, fills = [], []
    for n in range(count):
        row = (n + 1) * 20
        ts = START_NS + row * STEP_NS
        side = "BUY" if n % 2 == 0 else "SELL"
        price = f"{quotes['ask_price' if side == 'BUY' else 'bid_price'][row]:.2f}"
        name = f"X-{n + 1}"
        orders.append(Order(ts, name, "BOOK-1", INSTRUMENT, side, "MARKET", "1", None, "FILLED", "1", price, ts, ""))
        fills.append(Fill(ts, f"T-{n}", name, f"V-{n}", "BOOK-1", INSTRUMENT, side, price, "1", "TAKER", "0", "USD"))
    return seal(orders, fills)


def seal(orders: list[Order], fills: list[Fill], **changes: Any) -> GuestResult:
    """A result whose digests, counts and balances fit its orders and fills."""
    cash = sum(float(f.price) * (-1 if f.side == "BUY" else 1) * float(f.quantity) for f in fills)
    result = GuestResult(
        iterations=400,
        events=400,
        counts=Counts(orders=len(orders), fills=len(fills), denied=0, rejected=0),
        hashes=Hashes(orders=row_hash(orders), fills=row_hash(fills)),
        balances={"TEST": {"USD": f"{1_000_000 + cash:.2f}"}},
        orders=orders,
        late=[],
        fills=fills,
        run_ms=1.0,
    )
    return msgspec.structs.replace(result, **changes)


def change(row: Any, **fields: Any) -> Any:
    """A copy of an order or fill with other values."""
    return msgspec.structs.replace(row, **fields)
