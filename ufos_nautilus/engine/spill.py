"""Tables that grow during a run without growing in memory: rows go to part files and are joined at the end."""

from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.run_schemas import DEC, SCHEMAS, TS

PART_ROWS = 20_000
"""Rows kept in memory per table."""


class SpillTable:
    """One table of a run being written.

    Parameters
    ----------
    name : str
        Key of `SCHEMAS`.
    directory : Path
        Where part files and the finished table go.
    rows_max : int
        Rows the finished table may have; once reached, later rows are counted in `dropped` and not kept.

    """

    def __init__(self, name: str, directory: Path, rows_max: int) -> None:
        self.name, self.rows_max = name, rows_max
        self.columns = SCHEMAS[name]
        self.rows_count = 0
        self.dropped = 0
        self._directory = directory
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[Path] = []

    def append(self, row: tuple[Any, ...]) -> None:
        """Keep one row, in the order of `SCHEMAS[name]`; times as integer nanoseconds."""
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
            # By way of memory: for tables this small, opening the file takes longer than all the rest.
            buffer = BytesIO()
            self._frame().write_parquet(buffer, compression="zstd")
            path.write_bytes(buffer.getbuffer())
        self._rows.clear()
        return path

    def _spill(self) -> None:
        part = self._directory / f".{self.name}-{len(self._parts):05d}.parquet"
        self._frame().write_parquet(part, compression="zstd")
        self._parts.append(part)
        self._rows.clear()

    def _frame(self) -> pl.DataFrame:
        # Column by column is three times faster than from rows.
        values = zip(*self._rows, strict=True) if self._rows else [()] * len(self.columns)
        return pl.DataFrame(
            [
                pl.Series(name, column, dtype=_raw_type(dtype)).cast(dtype)
                for (name, dtype), column in zip(self.columns.items(), values, strict=True)
            ]
        )


def _raw_type(dtype: Any) -> Any:
    if dtype == TS:
        return pl.Int64
    return pl.String if dtype == DEC else dtype
