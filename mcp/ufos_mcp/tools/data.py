"""Tools over market data: what there is, and what indicators, patterns and screens say of it."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
from mcp.types import CallToolResult
from pydantic import Field

from ufos_mcp.market import SYMBOL, Found, Stamp, iso, parse_time, to_ns
from ufos_mcp.plain import answer
from ufos_mcp.services import Services
from ufos_mcp.strict import READS, StrictTool, strict_tool
from ufos_mcp.texts import TEXTS
from ufos_nautilus.errors import SpecError, UfosError
from ufos_nautilus.limits import (
    MCP_BARS_MAX,
    MCP_CACHED_MAX,
    MCP_INSTRUMENTS_MAX,
    MCP_ROWS_MAX,
    MCP_SCREEN_INSTRUMENTS_MAX,
    MCP_SYMBOLS_LISTED_MAX,
)

if TYPE_CHECKING:
    from ufos_nautilus.market.manifest import TableEntry

Symbol = Annotated[str, Field(pattern=SYMBOL)]
Catalog = Annotated[str, Field(max_length=120)]
Time = Annotated[str, Field(max_length=40)]
Term = Annotated[str, Field(max_length=80)]
DEFECTS_SHOWN = 10
INSTRUMENTS_SHOWN = 20
"""Instruments an answer describes one by one; more are named."""
NAMES_SHOWN = 5
CATALOGS_SHOWN = 40
SCREEN_THREADS = 4


class DataTools:
    """Tools that read market data.

    Parameters
    ----------
    services : Services
        Of the server.

    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def tools(self) -> list[StrictTool]:
        """Return the tools of this group."""
        return [
            strict_tool(
                self.describe_data,
                description=TEXTS["describe_data"],
                annotations=READS,
                output={"instruments": {"type": "array"}},
            ),
            strict_tool(
                self.analyze_market,
                description=TEXTS["analyze_market"],
                annotations=READS,
                output={"rows": {"type": "array"}},
            ),
        ]

    async def describe_data(
        self,
        catalog: Catalog = "",
        symbol: Annotated[str, Field(pattern=SYMBOL.replace("{1,64}", "{0,64}"))] = "",
    ) -> CallToolResult:
        """List market data, or describe an instrument."""
        return await anyio.to_thread.run_sync(self._describe, catalog, symbol)

    def _describe(self, catalog: str, symbol: str) -> CallToolResult:
        market = self._services.market
        if symbol:
            found = market.find(symbol, catalog)
            links = {f"financial://market/book/{symbol.replace('/', '%2F')}": "order book at the end of the recording"}
            return answer({"instruments": [_instrument(found, symbol)]}, links=links)
        opened = [market.catalog(catalog)] if catalog else market.all()
        total = sum(len(found.instruments) for found in opened)
        if total > INSTRUMENTS_SHOWN:
            catalogs = market.overview(MCP_SYMBOLS_LISTED_MAX if catalog else NAMES_SHOWN, catalog)
            following = (
                '{"symbol":...} describes one' if catalog else '{"catalog":...} lists one, {"symbol":...} describes one'
            )
            return answer({"catalogs": catalogs[:CATALOGS_SHOWN], "total": total, "next": f"describe_data {following}"})
        data: dict[str, Any] = {"instruments": market.universe(opened), "total": total}
        if not total:
            data["next"] = "no catalog yet: ufos data import --help, or ufos data generate single"
        return answer(data)

    async def analyze_market(
        self,
        what: Literal["indicators", "patterns", "screen"],
        terms: Annotated[list[Term], Field(min_length=1, max_length=12)],
        symbols: Annotated[list[Symbol], Field(max_length=MCP_INSTRUMENTS_MAX)] = [],  # noqa: B006
        catalog: Catalog = "",
        interval: Annotated[str, Field(max_length=6)] = "1h",
        start: Time = "",
        end: Time = "",
        limit: Annotated[int, Field(ge=1, le=MCP_ROWS_MAX)] = 20,
    ) -> CallToolResult:
        """Look at bars through indicators, patterns or conditions."""
        span = _Span(interval, start, end, limit)
        return await anyio.to_thread.run_sync(self._analyze, what, terms, symbols, catalog, span)

    def _analyze(self, what: str, terms: list[str], symbols: list[str], catalog: str, span: "_Span") -> CallToolResult:
        if what == "screen":
            return answer(self._screen(terms, symbols, catalog, span))
        if not symbols:
            raise SpecError(f"{what} need symbols", expected='for example ["AAPL.XNAS"]', next_step="describe_data")
        from ufos_nautilus.research.patterns import occurrences
        from ufos_nautilus.research.technical import indicators

        rows: list[dict[str, Any]] = []
        for symbol in symbols:
            bars = span.bars(self._services.market.find(symbol, catalog), symbol)
            if what == "patterns":
                rows += [{"symbol": symbol, **row} for row in occurrences(bars, terms, span.limit)]
            else:
                table = indicators(bars, terms).tail(span.limit)
                rows += [{"symbol": symbol, **row} for row in table.iter_rows(named=True)]
        note = "in-sample counts: the best of many patterns is best by chance too" if what == "patterns" else ""
        return answer({"rows": rows, **({"note": note} if note else {})})

    def _screen(self, terms: list[str], symbols: list[str], catalog: str, span: "_Span") -> dict[str, Any]:
        import polars as pl

        from ufos_nautilus.research.technical import condition

        tests = [condition(text) for text in terms]
        market = self._services.market
        if symbols:
            places = [(market.find(s, catalog), s) for s in symbols]
        else:
            opened = [market.catalog(catalog)] if catalog else market.all()
            places = [(found, s) for found in opened for s in found.instruments]
        met = pl.all_horizontal(tests).fill_null(value=False).alias("met")

        def look(place: tuple[Found, str]) -> dict[str, Any] | None:
            """Return the last bar where it meets the tests; nothing in it where it does not, None without bars."""
            found, symbol = place
            try:
                bars = span.bars(found, symbol)
            except UfosError:
                return None
            if not bars.select(met)["met"][-1]:
                return {}
            last = bars.row(-1, named=True)
            return {"symbol": symbol, "catalog": found.name, "at": last["ts"], "close": last["close"]}

        looked = places[:MCP_SCREEN_INSTRUMENTS_MAX]
        with ThreadPoolExecutor(SCREEN_THREADS) as threads:
            seen = list(threads.map(look, looked))
        rows, skipped = [row for row in seen if row], sum(row is None for row in seen)
        return {"rows": rows[: span.limit], "met": len(rows), "looked_at": len(looked) - skipped,
                "without_bars": skipped, "not_looked_at": len(places) - len(looked)}  # fmt: skip


class _Span:
    """Which bars an analysis reads."""

    def __init__(self, interval: str, start: str, end: str, limit: int) -> None:
        from ufos_nautilus.research.bars import interval_seconds

        interval_seconds(interval)
        self.interval, self.limit = interval, limit
        first, last = parse_time(start, "start"), parse_time(end, "end")
        self.start_ns = to_ns(first) if first else None
        self.end_ns = to_ns(last) if last else None

    def bars(self, found: Found, symbol: str) -> Any:
        """Return the bars of an instrument."""
        from ufos_nautilus.research.bars import load_bars

        return load_bars(
            found.catalog, symbol, self.interval, start_ns=self.start_ns, end_ns=self.end_ns, rows_max=MCP_BARS_MAX
        )


def _instrument(found: Found, symbol: str) -> dict[str, Any]:
    catalog = found.catalog
    spec = catalog.instrument(symbol)
    datasets = [d for d in catalog.manifest.datasets if any(t.instrument_id == symbol for t in d.tables)]
    defects = [
        {"defect": x.code, "count": x.count, "done": x.action} for d in datasets for x in d.defects
    ]  # examples stay in `ufos data show`: they are lines of somebody's file
    return {
        "symbol": symbol,
        "catalog": found.name,
        "terms": {k: v for k, v in spec.to_dict().items() if v not in ("", 0, None, False)},
        "tables": [_table(found, t) for t in found.tables[symbol]],
        "sources": sorted({d.format for d in datasets}),
        "defects": defects[:DEFECTS_SHOWN],
        "digest": catalog.digest([symbol]),
    }


def _table(found: Found, entry: "TableEntry") -> dict[str, Any]:
    deltas = entry.kind == "order_book_deltas"
    return {
        "kind": entry.kind,
        **({"bar_type": entry.identifier} if entry.kind == "bars" else {}),
        "rows": entry.rows,
        "first": iso(entry.first_ns),
        "last": iso(entry.last_ns),
        "last_row": {} if deltas else dict(_last_row(str(found.catalog.root / entry.files[-1].path), found.stamp)),
    }


@lru_cache(MCP_CACHED_MAX)
def _last_row(file: str, stamp: Stamp) -> dict[str, str]:
    """Return the prices and sizes of a table's last row; `stamp` says of which state of the catalog."""
    import polars as pl

    last = pl.scan_parquet(file).tail(1).collect().row(0, named=True)
    shown = ("bid_price", "ask_price", "price", "size", "close", "volume")
    return {k: format(v.normalize(), "f") for k, v in last.items() if k in shown}
