"""The order book of an instrument at an instant of a recording."""

import re
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ufos_mcp.market import Found, Market, iso, no_table, require_rows
from ufos_mcp.plain import bounded_json
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import MCP_BOOK_DEPTH_MAX, MCP_BOOK_ROWS_MAX, MCP_CACHED_MAX

if TYPE_CHECKING:
    import polars as pl

    from ufos_nautilus.market.manifest import TableEntry

LATEST: Final = 2**63 - 1
_NANOSECONDS = re.compile(r"^(.*?\.\d{6})(\d{1,3})(.*)$")


class Books:
    """Books from catalogs, each prepared once.

    Parameters
    ----------
    market : Market
        Where the catalogs are.

    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._kept: OrderedDict[tuple[Any, ...], str] = OrderedDict()

    def kept(self, symbol: str, depth: int, at: str, catalog: str) -> str | None:
        """Return a prepared book as JSON, or None where it has to be rebuilt; quick."""
        found = self._market.find(symbol, catalog)
        key = (found.name, found.stamp, symbol, depth, at)
        text = self._kept.get(key)
        if text is not None:
            self._kept.move_to_end(key)
        return text

    def read(self, symbol: str, depth: int = 10, at: str = "", catalog: str = "") -> str:
        """Return a book as JSON, rebuilt where needed.

        Parameters
        ----------
        symbol : str
            Instrument id.
        depth : int
            Levels of each side, 1 to `limits.MCP_BOOK_DEPTH_MAX`.
        at : str
            Instant, ISO 8601; the end of the recording if empty.
        catalog : str
            Name of the catalog; the last changed one that has the instrument if empty.

        Raises
        ------
        SpecError, DataError, LimitExceededError
            There is no such instrument, time or book.

        """
        if not 1 <= depth <= MCP_BOOK_DEPTH_MAX:
            raise SpecError(f"depth is {depth}", expected=f"1 to {MCP_BOOK_DEPTH_MAX}")
        found = self._market.find(symbol, catalog)
        text = bounded_json(book_at(found, symbol, depth, instant(at)), "the book")
        self._kept[found.name, found.stamp, symbol, depth, at] = text
        if len(self._kept) > MCP_CACHED_MAX:
            self._kept.popitem(last=False)
        return text


def instant(text: str) -> int:
    """Return UNIX nanoseconds of ISO 8601 text, down to its ninth digit; the end of time for empty text.

    Raises
    ------
    SpecError
        It is no time.

    """
    if not text:
        return LATEST
    match = _NANOSECONDS.match(text)
    digits = match[2].ljust(3, "0") if match else "0"
    try:
        at = datetime.fromisoformat(f"{match[1]}{match[3]}" if match else text)
    except ValueError:
        raise SpecError(f"at is {text[:40]!r}", expected="ISO 8601, for example 2024-08-09T00:00:00Z") from None
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000 + int(digits)


def book_at(found: Found, symbol: str, depth: int, at_ns: int = LATEST) -> dict[str, Any]:
    """Rebuild a book from deltas, or take its top from quotes; prices and sizes as decimal text.

    Returns
    -------
    dict
        ``bids`` and ``asks`` as [price, size], best first; ``at`` is the last change at or before the instant.

    """
    spec = found.catalog.instrument(symbol)
    tables = {t.kind: t for t in found.tables.get(symbol, ())}
    entry = tables.get("order_book_deltas") or tables.get("quotes")
    if entry is None:
        raise no_table(symbol, "order book and no quotes")
    if entry.first_ns > at_ns:
        raise SpecError(f"{symbol} starts at {iso(entry.first_ns)}", expected="a later time", next_step="describe_data")
    frame = _until(found, entry, at_ns)
    levels = _from_deltas(frame) if entry.kind == "order_book_deltas" else _from_quotes(frame)
    last = int(frame["ts_init"].dt.epoch("ns")[-1])
    sides = {
        name: [[_text(p, spec.price_precision), _text(s, spec.size_precision)] for p, s in levels[name][:depth]]
        for name in ("bids", "asks")
    }
    best = [levels[name][0][0] for name in ("bids", "asks") if levels[name]]
    return {
        "symbol": symbol,
        "catalog": found.name,
        "at": iso(last),
        "source": entry.kind,
        **sides,
        "mid": format((best[0] + best[1]) / 2, f".{spec.price_precision + 1}f") if len(best) == 2 else None,
    }


def _until(found: Found, entry: "TableEntry", at_ns: int) -> "pl.DataFrame":
    import polars as pl

    files = [f for f in entry.files if f.first_ns <= at_ns]
    require_rows(sum(f.rows for f in files), MCP_BOOK_ROWS_MAX, f"the recording of {entry.instrument_id} up to then")
    if entry.kind == "quotes":
        files = files[-1:]
    scan = pl.scan_parquet([found.catalog.root / f.path for f in files])
    if files[-1].last_ns > at_ns:
        scan = scan.filter(pl.col("ts_init") <= pl.lit(at_ns).cast(pl.Datetime("ns", "UTC")))
    if entry.kind == "quotes":
        return scan.tail(1).collect()
    return scan.select("action", "side", "price", "size", "order_id", "ts_init").collect()


def _from_deltas(frame: "pl.DataFrame") -> dict[str, list[tuple[Decimal, Decimal]]]:
    import polars as pl

    cleared = frame.select(pl.arg_where(pl.col("action") == "CLEAR")).to_series()
    rows = frame.slice(int(cleared[-1]) + 1) if len(cleared) else frame
    by_order = rows["order_id"].n_unique() > 1  # order by order; else one entry for each price
    live = (
        rows.group_by(["side", "order_id" if by_order else "price"])
        .last()
        .filter(pl.col("action") != "DELETE", pl.col("size") > 0)
        .group_by("side", "price")
        .agg(pl.col("size").sum())
    )
    out = {}
    for name, side in (("bids", "BUY"), ("asks", "SELL")):
        own = live.filter(pl.col("side") == side).sort("price", descending=side == "BUY").head(MCP_BOOK_DEPTH_MAX)
        out[name] = list(own.select("price", "size").iter_rows())
    return out


def _from_quotes(frame: "pl.DataFrame") -> dict[str, list[tuple[Decimal, Decimal]]]:
    row = frame.row(-1, named=True)
    return {"bids": [(row["bid_price"], row["bid_size"])], "asks": [(row["ask_price"], row["ask_size"])]}


def _text(value: Decimal, precision: int) -> str:
    return format(value, f".{precision}f")
