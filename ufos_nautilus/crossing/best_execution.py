"""The best-execution record: one hash-chained line per cross, with its market and what each side gained."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from ufos_nautilus.crossing.audit import AuditLog, FsyncPolicy
from ufos_nautilus.crossing.chain import ChainReader, ChainReport, Seal
from ufos_nautilus.crossing.chain import verify as verify_chain
from ufos_nautilus.crossing.grid import EXACT, ROUNDING, Grid
from ufos_nautilus.crossing.terms import Cross
from ufos_nautilus.crossing.ticket import Ticket, decimal_text
from ufos_nautilus.errors import IntegrityError

SCHEMA: Final = "ufos.best_execution"
CROSSES_FILE: Final = "crosses.jsonl"
"""Name of the record in a run's folder."""
DEC: Final = pl.Decimal(38, 12)
TIME: Final = pl.Datetime("ns", "UTC")
BPS_DECIMALS: Final = 4

_TOP: Final[dict[str, pl.DataType]] = {
    "cross_id": pl.String(),
    "ts": TIME,
    "root": pl.String(),
    "currency": pl.String(),
    "price": DEC,
    "quantity": DEC,
    "value": DEC,
    "multiplier": DEC,
}
_NBBO: Final[dict[str, pl.DataType]] = {
    "bid": DEC,
    "ask": DEC,
    "bid_size": DEC,
    "ask_size": DEC,
    "bid_venue": pl.String(),
    "ask_venue": pl.String(),
    "bid_ts": TIME,
    "ask_ts": TIME,
    "bid_age_ns": pl.Int64(),
    "ask_age_ns": pl.Int64(),
    "age_limit_ns": pl.Int64(),
}
_PARTY: Final[dict[str, pl.DataType]] = {
    "order_id": pl.String(),
    "parent_id": pl.String(),
    "client_id": pl.String(),
    "desk_id": pl.String(),
    "strategy_tag": pl.String(),
    "beneficiary": pl.String(),
    "book": pl.String(),
    "instrument": pl.String(),
    "ordered": DEC,
    "limit": DEC,
    "touch": DEC,
    "arrival_mid": DEC,
    "fee": DEC,
    "saved": DEC,
    "saved_bps": DEC,
    "saved_on_arrival": DEC,
}
SCHEMA_COLUMNS: Final[dict[str, pl.DataType]] = (
    _TOP
    | {f"nbbo_{k}": v for k, v in _NBBO.items()}
    | {f"{side}_{k}": v for side in ("buy", "sell") for k, v in _PARTY.items()}
)
"""Columns of `crosses_frame`, in order."""


def cross_fee(cross: Cross, money_decimals: int = 2) -> Decimal:
    """Return what each side pays: the rules' basis points of the value, rounded down to the currency's smallest unit.

    Rounding down keeps the promise of the rules that no fee exceeds the improvement.
    """
    value = abs(cross.grid.money(cross.half_units, cross.size))
    exact_fee = EXACT.multiply(value, EXACT.scaleb(cross.rules.fee_bps, -4))
    units = int(EXACT.scaleb(exact_fee, money_decimals))
    return EXACT.scaleb(Decimal(units), -money_decimals)


def cross_record(cross: Cross, buy_fee: Decimal, sell_fee: Decimal) -> dict[str, Any]:
    """Return the record of a cross as JSON data; money as text, exactly.

    Parameters
    ----------
    cross : Cross
        A committed proposal.
    buy_fee, sell_fee : Decimal
        What each side was charged, currency.

    """
    nbbo, grid = cross.nbbo, cross.grid
    if nbbo.bid is None or nbbo.ask is None:
        raise IntegrityError(f"{cross.cross_id} leans on no market", expected="a two-sided NBBO")
    return {
        "cross_id": cross.cross_id,
        "ts_ns": cross.ts_ns,
        "root": cross.root,
        "currency": grid.currency,
        "price": decimal_text(cross.price),
        "quantity": decimal_text(cross.quantity),
        "value": decimal_text(grid.money(cross.half_units, cross.size)),
        "multiplier": decimal_text(grid.multiplier),
        "nbbo": {
            "bid": decimal_text(grid.price(2 * nbbo.bid)),
            "ask": decimal_text(grid.price(2 * nbbo.ask)),
            "bid_size": decimal_text(grid.size(nbbo.bid_size)),
            "ask_size": decimal_text(grid.size(nbbo.ask_size)),
            "bid_venue": nbbo.bid_venue,
            "ask_venue": nbbo.ask_venue,
            "bid_ts_ns": nbbo.bid_ts_ns,
            "ask_ts_ns": nbbo.ask_ts_ns,
            "bid_age_ns": nbbo.bid_age_ns,
            "ask_age_ns": nbbo.ask_age_ns,
            "age_limit_ns": cross.rules.age_limit_ns,
        },
        "buy": _party(cross.buy, 2 * nbbo.ask, cross.buy_arrival, cross, buy_fee),
        "sell": _party(cross.sell, 2 * nbbo.bid, cross.sell_arrival, cross, sell_fee),
    }


def _party(ticket: Ticket, touch: int, arrival: int | None, cross: Cross, fee: Decimal) -> dict[str, Any]:
    grid: Grid = cross.grid
    sign = 1 if ticket.intent_side == "BUY" else -1
    gain = sign * (touch - cross.half_units)
    bps = Decimal(0)
    if touch:
        bps = _round(ROUNDING.divide(Decimal(gain * 10_000), Decimal(abs(touch))), BPS_DECIMALS)
    on_arrival = None if arrival is None else grid.money(sign * (arrival - cross.half_units), cross.size)
    return {
        "order_id": ticket.order_id,
        "parent_id": ticket.parent_id,
        "client_id": ticket.client_id,
        "desk_id": ticket.desk_id,
        "strategy_tag": ticket.strategy_tag,
        "beneficiary": ticket.beneficiary,
        "book": ticket.book,
        "instrument": ticket.instrument,
        "ordered": decimal_text(ticket.quantity),
        "limit": None if ticket.limit is None else decimal_text(ticket.limit),
        "touch": decimal_text(grid.price(touch)),
        "arrival_mid": None if arrival is None else decimal_text(grid.price(arrival)),
        "fee": decimal_text(fee),
        "saved": decimal_text(grid.money(gain, cross.size)),
        "saved_bps": decimal_text(bps),
        "saved_on_arrival": None if on_arrival is None else decimal_text(on_arrival),
    }


class BestExecutionLog:
    """Appends committed crosses to a run's record.

    Parameters
    ----------
    path : Path
        The file; see `AuditLog` for what happens if it exists.
    run_id : str
        The run.
    fsync : FsyncPolicy
        When to force records to the disk.

    """

    def __init__(self, path: Path, *, run_id: str, fsync: FsyncPolicy = "none") -> None:
        self._log = AuditLog(path, run_id=run_id, schema=SCHEMA, fsync=fsync)

    @property
    def records(self) -> int:
        """Return how many crosses are recorded."""
        return self._log.records

    def append(self, cross: Cross, *, buy_fee: Decimal | None = None, sell_fee: Decimal | None = None) -> str:
        """Record a committed cross and return the hash of its line; fees default to `cross_fee`."""
        fee = cross_fee(cross) if buy_fee is None or sell_fee is None else Decimal(0)
        record = cross_record(cross, fee if buy_fee is None else buy_fee, fee if sell_fee is None else sell_fee)
        return self._log.append(record)

    def seal(self) -> Seal:
        """End the record; keep what is returned with the run, it finds even a file that was rewritten as a whole."""
        return self._log.seal()

    def close(self) -> None:
        """Close without an end; the record can be opened again."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def verify(path: Path, *, need_seal: bool = True, expect: Seal | None = None) -> ChainReport:
    """Check that a best-execution record is what was written; `IntegrityError` otherwise (see `ChainReader`)."""
    return _of_schema(verify_chain(path, need_seal=need_seal, expect=expect))


def read_crosses(path: Path, *, need_seal: bool = True, expect: Seal | None = None) -> list[dict[str, Any]]:
    """Return all records of a checked file, as written by `cross_record`."""
    reader = ChainReader(path, need_seal=need_seal, expect=expect)
    records = list(reader)
    _of_schema(reader.report)
    return records


def crosses_frame(records: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return records as a table with the columns `SCHEMA_COLUMNS`, one row per cross.

    Money has 12 decimals here, rounded half to even where the record has more.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA_COLUMNS}
    for record in records:
        flat = dict(record)
        for prefix in ("nbbo", "buy", "sell"):
            flat |= {f"{prefix}_{k}": v for k, v in flat.pop(prefix).items()}
        for name, kind in SCHEMA_COLUMNS.items():
            value = flat[f"{name}_ns"] if kind == TIME else flat[name]
            columns[name].append(_round(Decimal(value), 12) if kind == DEC and value is not None else value)
    return pl.DataFrame(
        [
            pl.Series(name, columns[name], dtype=pl.Int64 if kind == TIME else kind).cast(kind)
            for name, kind in SCHEMA_COLUMNS.items()
        ]
    )


def export_parquet(path: Path, target: Path, *, need_seal: bool = True) -> int:
    """Write a checked record as Parquet and return its rows; the file appears only once it is whole."""
    frame = crosses_frame(read_crosses(path, need_seal=need_seal))
    partial = target.with_name(target.name + ".partial")
    frame.write_parquet(partial, compression="zstd")
    partial.replace(target)
    return frame.height


def _of_schema(report: ChainReport) -> ChainReport:
    if report.schema != SCHEMA:
        raise IntegrityError(f"{report.path} holds {report.schema}", expected=SCHEMA)
    return report


def _round(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN, ROUNDING)
