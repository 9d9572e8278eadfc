"""Typed access to what a run left behind: its result, its spec and its Parquet tables."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.run_schemas import SCHEMAS

_ORDER_BY = dict.fromkeys(SCHEMAS, "ts") | {"orders": "ts_init"}
del _ORDER_BY["positions"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RunTables:
    """One stored run, read whole.

    Parameters
    ----------
    run_dir : Path
        The run's own directory.
    result, spec : dict
        result.json and spec.json as stored; the spec is empty where none was stored.
    instruments : dict of str to InstrumentSpec
        The instruments named by the result's optional key ``instruments``.
    orders, fills, positions, equity, inventory, quotes, denials, tickets, markouts, estimates, alerts :
        polars.DataFrame
        Columns as in `SCHEMAS`, in order of time; empty where the run has no such table.

    """

    run_dir: Path
    result: dict[str, Any]
    spec: dict[str, Any]
    instruments: dict[str, InstrumentSpec]
    orders: pl.DataFrame
    fills: pl.DataFrame
    positions: pl.DataFrame
    equity: pl.DataFrame
    inventory: pl.DataFrame
    quotes: pl.DataFrame
    denials: pl.DataFrame
    tickets: pl.DataFrame
    markouts: pl.DataFrame
    estimates: pl.DataFrame
    alerts: pl.DataFrame
    navs: pl.DataFrame

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Read a run directory.

        Raises
        ------
        DataError
            If the directory is no run, or a file of it is damaged or has other columns than `SCHEMAS`.
        LimitExceededError
            If a JSON file is larger than `limits.RUN_JSON_BYTES_MAX`.

        """
        if not (run_dir / "result.json").is_file():
            raise DataError(
                f"{run_dir} holds no result.json",
                expected="the directory of a stored run",
                next_step="see `ufos runs list`",
            )
        result = _read_json(run_dir / "result.json")
        spec_path = run_dir / "spec.json"
        return cls(
            run_dir,
            result,
            _read_json(spec_path) if spec_path.is_file() else {},
            _instruments(result),
            **{name: _read_table(run_dir / f"{name}.parquet", name) for name in SCHEMAS},
        )

    @property
    def run_id(self) -> str:
        """Return the run's id; the directory's name where the result has none."""
        return str(self.result.get("run_id") or self.run_dir.name)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Return first and last time in any table, UNIX nanoseconds; None where every table is empty."""
        ends = [
            (int(times.min()), int(times.max()))  # pyright: ignore[reportArgumentType]
            for name, column in _ORDER_BY.items()
            if len(times := getattr(self, name)[column].drop_nulls().cast(pl.Int64))
        ]
        return (min(e[0] for e in ends), max(e[1] for e in ends)) if ends else None

    def currencies(self) -> list[str]:
        """Return the currencies of the run, those of the net P&L first."""
        listed = list(self.result.get("net_pnl") or {})
        return listed + sorted(set(self.equity["currency"].unique().to_list()) - set(listed))


def _read_json(path: Path) -> dict[str, Any]:
    if (size := path.stat().st_size) > limits.RUN_JSON_BYTES_MAX:
        raise LimitExceededError(f"{path} has {size:,} bytes", expected=f"at most {limits.RUN_JSON_BYTES_MAX:,}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}", next_step="run the backtest again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}", expected="one JSON object")
    return value


def _instruments(result: dict[str, Any]) -> dict[str, InstrumentSpec]:
    stored = result.get("instruments") or []
    items = stored.values() if isinstance(stored, dict) else stored
    try:
        specs = [InstrumentSpec.from_dict(item) for item in items]
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DataError(f"result.json: instruments cannot be read: {error}", expected="InstrumentSpec data") from error
    return {spec.instrument_id: spec for spec in specs}


def _read_table(path: Path, name: str) -> pl.DataFrame:
    schema = SCHEMAS[name]
    if not path.is_file():
        return pl.DataFrame(schema=schema)
    try:
        frame = pl.read_parquet(path, glob=False)
        missing = [column for column in schema if column not in frame.columns]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}", expected=", ".join(schema))
        frame = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}", next_step="run the backtest again") from error
    by = _ORDER_BY.get(name)
    return frame.sort(by, maintain_order=True) if by else frame
