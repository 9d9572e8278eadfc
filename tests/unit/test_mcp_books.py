"""A book rebuilt from a recording is the book the engine would have."""

import json
import random
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderBook, OrderBookDeltas
from nautilus_trader.persistence import ParquetDataCatalog

from tests import mcp_world
from tests.mcp_world import BARS, SIM
from ufos_mcp.books import Books, book_at, instant
from ufos_mcp.market import Market, iso
from ufos_nautilus.engine.feed import ENGINE_TYPES, batch_deltas
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import MCP_BOOK_DEPTH_MAX
from ufos_nautilus.market import tables
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording

world = mcp_world.world


def engine_book(deltas: list, symbol: str, book_type: BookType, until_ns: int) -> OrderBook:
    book = OrderBook(InstrumentId.from_str(symbol), book_type)
    for event in deltas:
        if event.ts_init > until_ns:
            break
        book.apply_deltas(event)
    return book


def levels(book: OrderBook, depth: int) -> dict[str, list[list[Decimal]]]:
    sides = {"bids": book.bids(depth), "asks": book.asks(depth)}
    return {
        name: [[level.price.as_decimal(), Decimal(str(level.size()))] for level in side] for name, side in sides.items()
    }


def ours(found: dict, depth: int) -> dict[str, list[list[Decimal]]]:
    return {name: [[Decimal(p), Decimal(s)] for p, s in found[name][:depth]] for name in ("bids", "asks")}


def test_the_book_at_any_instant_is_the_engines(world: Path) -> None:
    found = Market(world).find(SIM)
    stored = ParquetDataCatalog(str((world / "catalogs/sim").resolve()))
    events: list[OrderBookDeltas] = batch_deltas(stored.query(ENGINE_TYPES["order_book_deltas"], [SIM]))
    times = [e.ts_init for e in events]
    for at in (times[0], times[1], times[len(times) // 3], times[-1], times[len(times) // 2] + 1):
        book = engine_book(events, SIM, BookType.L2_MBP, at)
        rebuilt = book_at(found, SIM, 10, at)
        assert ours(rebuilt, 10) == levels(book, 10), iso(at)
        assert rebuilt["at"] == iso(max(t for t in times if t <= at))


def test_orders_add_up_to_levels_where_the_recording_is_order_by_order(tmp_path: Path) -> None:
    """Random adds, changes and deletes of single orders, a clear in the middle, against the engine's L3 book."""
    rng = random.Random(11)
    spec = InstrumentSpec(
        instrument_id="ABC.TEST", kind="equity", base="ABC", quote="USD", settlement="USD", tick_size=Decimal("0.01"),
        lot_size=Decimal(1), price_precision=2, size_precision=0,
    )  # fmt: skip
    live: dict[int, tuple[str, int]] = {}
    rows = []
    for n in range(1, 1_200):
        if n == 600:
            rows.append(("CLEAR", "NO_ORDER_SIDE", 0, 0, 0))
            live.clear()
            continue
        if live and rng.random() < 0.45:
            number = rng.choice(list(live))
            side, price = live[number]
            if rng.random() < 0.6:
                del live[number]
                rows.append(("DELETE", side, price, 0, number))
            else:
                rows.append(("UPDATE", side, price, rng.randrange(1, 9) * 100, number))
        else:
            side = rng.choice(("BUY", "SELL"))
            price = rng.randrange(980, 1_000) if side == "BUY" else rng.randrange(1_001, 1_020)
            live[n] = (side, price)
            rows.append(("ADD", side, price, rng.randrange(1, 9) * 100, n))
    times = tables.utc_ns([1_700_000_000_000_000_000 + i * 1_000_000 for i in range(len(rows))])
    frame = pl.DataFrame(
        {
            "action": [r[0] for r in rows],
            "side": [r[1] for r in rows],
            "price": tables.decimal_column([f"{r[2] / 100:.2f}" for r in rows]),
            "size": tables.decimal_column([str(r[3]) for r in rows]),
            "order_id": pl.Series([r[4] for r in rows], dtype=pl.UInt64),
            "flags": pl.Series([128] * len(rows), dtype=pl.UInt8),
            "sequence": pl.Series(range(len(rows)), dtype=pl.UInt64),
            "ts_event": times,
            "ts_init": times,
        }
    )
    from ufos_nautilus.engine.instruments import write_instruments

    root = tmp_path / "catalogs" / "l3"
    batch = Batch("order_book_deltas", "ABC.TEST", "ABC.TEST", frame)
    import_recording(
        root, lambda: Recording([spec], iter([batch]), [], {}), sources=(), fmt="test", options={},
        instrument_writer=write_instruments,
    )  # fmt: skip
    found = Market(tmp_path).find("ABC.TEST")
    events = batch_deltas(ParquetDataCatalog(str(root)).query(ENGINE_TYPES["order_book_deltas"], ["ABC.TEST"]))
    for n in (10, 300, 599, 620, 1_198):
        at = events[n].ts_init
        book = engine_book(events, "ABC.TEST", BookType.L3_MBO, at)
        assert ours(book_at(found, "ABC.TEST", 50, at), 20) == levels(book, 20), n


def test_a_prepared_book_is_the_same_text(world: Path) -> None:
    books = Books(Market(world))
    assert books.kept(SIM, 5, "", "") is None
    text = books.read(SIM, 5)
    assert books.kept(SIM, 5, "", "") == text
    assert books.kept(SIM, 6, "", "") is None
    assert json.loads(text)["source"] == "order_book_deltas"


@pytest.mark.parametrize(
    ("symbol", "depth", "at"),
    [
        (SIM, 0, ""),
        (SIM, MCP_BOOK_DEPTH_MAX + 1, ""),
        (SIM, 5, "noon"),
        (SIM, 5, "1999-01-01T00:00:00Z"),
        ("NOPE.SIM", 5, ""),
        ("../sim", 5, ""),
        ("/etc/passwd", 5, ""),
        ("x" * 65, 5, ""),
        ("", 5, ""),
    ],
)
def test_books_that_cannot_be_had_are_refused(world: Path, symbol: str, depth: int, at: str) -> None:
    with pytest.raises(SpecError):
        Books(Market(world)).read(symbol, depth, at)


def test_an_instrument_without_book_or_quotes_says_so(world: Path) -> None:
    with pytest.raises(DataError, match="no order book"):
        Books(Market(world)).read(BARS)


def test_instants_are_read_to_the_nanosecond() -> None:
    second = 1_700_000_000_000_000_000
    assert instant("2023-11-14T22:13:20Z") == second
    assert instant("2023-11-14T22:13:20.123456789Z") == second + 123_456_789
    assert instant("2023-11-14T22:13:20.1234567Z") == second + 123_456_700
    assert instant("2023-11-14T23:13:20.000000001+01:00") == second + 1
    assert instant(iso(second + 42)) == second + 42


def test_a_catalog_reached_by_a_link_to_elsewhere_is_not_served(world: Path, tmp_path: Path) -> None:
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "elsewhere").symlink_to(world / "catalogs" / "sim")
    assert Market(tmp_path).universe() == []
