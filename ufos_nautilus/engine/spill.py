"""Tables that grow during a run without growing in memory: rows go to part files and are joined at the end."""

from pathlib import Path
from typing import Any

import polars as pl

DEC = pl.Decimal(38, 12)
TS = pl.Datetime("ns", "UTC")
PART_ROWS = 20_000
"""Rows kept in memory per table."""

Columns = dict[str, Any]

TABLES: dict[str, Columns] = {
    "orders": {
        "ts_init": TS,
        "client_order_id": pl.String,
        "book": pl.String,
        "instrument_id": pl.String,
        "side": pl.String,
        "order_type": pl.String,
        "quantity": DEC,
        "price": DEC,
        "status": pl.String,
        "filled_quantity": DEC,
        "avg_price": DEC,
        "ts_last": TS,
        "tags": pl.String,
    },
    "fills": {
        "ts": TS,
        "trade_id": pl.String,
        "client_order_id": pl.String,
        "venue_order_id": pl.String,
        "book": pl.String,
        "instrument_id": pl.String,
        "side": pl.String,
        "price": DEC,
        "quantity": DEC,
        "liquidity": pl.String,
        "commission": DEC,
        "commission_currency": pl.String,
        "bid": DEC,
        "ask": DEC,
    },
    "positions": {
        "book": pl.String,
        "instrument_id": pl.String,
        "side": pl.String,
        "quantity": DEC,
        "avg_open": DEC,
        "avg_close": DEC,
        "realized_pnl": DEC,
        "currency": pl.String,
        "ts_opened": TS,
        "ts_closed": TS,
    },
    "equity": {
        "ts": TS,
        "account": pl.String,
        "currency": pl.String,
        "equity": DEC,
        "balance": DEC,
        "unrealized": DEC,
    },
    "inventory": {
        "ts": TS,
        "book": pl.String,
        "instrument_id": pl.String,
        "quantity": DEC,
        "bid": DEC,
        "ask": DEC,
    },
    "quotes": {
        "ts": TS,
        "book": pl.String,
        "instrument_id": pl.String,
        "bid": DEC,
        "bid_size": DEC,
        "ask": DEC,
        "ask_size": DEC,
        "fair_value": pl.Float64,
        "inventory": DEC,
        "market_bid": DEC,
        "market_ask": DEC,
        "reason": pl.String,
    },
    "denials": {
        "ts": TS,
        "book": pl.String,
        "client_order_id": pl.String,
        "instrument_id": pl.String,
        "action": pl.String,
        "reason": pl.String,
    },
}
"""Every table a run stores, with its columns; decimals arrive as text and are converted in bulk."""


class SpillTable:
    """One table of a run being written.

    Parameters
    ----------
    name : str
        Key of `TABLES`.
    directory : Path
        Where part files and the finished table go.
    rows_max : int
        Rows the finished table may have; once reached, later rows are counted in `dropped` and not kept.

    """

    def __init__(self, name: str, directory: Path, rows_max: int) -> None:
        self.name, self.rows_max = name, rows_max
        self.columns = TABLES[name]
        self.rows_count = 0
        self.dropped = 0
        self._directory = directory
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[Path] = []

    def append(self, row: tuple[Any, ...]) -> None:
        """Keep one row, in the order of `TABLES[name]`; times as integer nanoseconds."""
        if self.rows_count >= self.rows_max:
            self.dropped += 1
            return
        self.rows_count += 1
        self._rows.append(row)
        if len(self._rows) >= PART_ROWS:
            self._spill()

    def close(self) -> Path:
        """Write the finished table and return its path; part files are gone afterwards."""
        path = self._directory / f"{self.name}.parquet"
        if self._parts:
            self._spill()
            pl.scan_parquet(self._parts).sink_parquet(path, compression="zstd", maintain_order=True)
            for part in self._parts:
                part.unlink()
        else:
            self._frame().write_parquet(path, compression="zstd")
        self._rows.clear()
        return path

    def _spill(self) -> None:
        part = self._directory / f".{self.name}-{len(self._parts):05d}.parquet"
        self._frame().write_parquet(part, compression="zstd")
        self._parts.append(part)
        self._rows.clear()

    def _frame(self) -> pl.DataFrame:
        raw = {name: _raw_type(dtype) for name, dtype in self.columns.items()}
        return pl.DataFrame(self._rows, schema=raw, orient="row").cast(self.columns)


def _raw_type(dtype: Any) -> Any:
    if dtype == TS:
        return pl.Int64
    return pl.String if dtype == DEC else dtype
