"""Keeps a sandboxed result as a stored run that reports and comparisons read, every figure in it the host's own."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.engine.runs import RUN_ID_DIGITS, new_run_directory, write_json, write_result
from ufos_nautilus.run_schemas import DEC, SCHEMAS, TS
from ufos_sandbox.audit import row_hash
from ufos_sandbox.audit_money import Position, step
from ufos_sandbox.figures import Marks, Sample, text
from ufos_sandbox.messages import GuestResult
from ufos_sandbox.outcome import SandboxResult
from ufos_sandbox.slices import Slice

CODE_FILE = "strategy.py.txt"
"""The foreign code lies beside its result under a name that nothing imports."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the host worked out besides the result's own figures."""

    spec: dict[str, Any]
    samples: list[Sample]


def store(result: SandboxResult, part: Slice, account: Account, code: str, root: Path) -> Path:
    """Write a run directory and return it; the same code, data, spec and image replace it.

    Parameters
    ----------
    result : SandboxResult
        With orders and fills.
    part : Slice
        The data it ran over.
    account : Account
        Spec and samples.
    code : str
        The foreign code.
    root : Path
        Directory of runs.

    """
    name = account.spec["name"]
    key = json.dumps([account.spec, result.provenance], sort_keys=True)
    identifier = f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:RUN_ID_DIGITS]}"
    with new_run_directory(root, identifier) as folder:
        for table, rows in _rows(result, part, account).items():
            _frame(table, rows).write_parquet(folder / f"{table}.parquet", compression="zstd")
        (folder / CODE_FILE).write_text(code, "utf-8")
        write_json(folder / "spec.json", account.spec)
        write_result(folder, _summary(identifier, result, part, account))
    return root / identifier


def _rows(result: SandboxResult, part: Slice, account: Account) -> dict[str, list[tuple[Any, ...]]]:
    guest = _guest(result)
    marks = Marks(part)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}
    rows["orders"] = [tuple(o) for o in guest.orders]
    tops = {n: iter(marks.at(n, [f.ts for f in guest.fills if f.instrument_id == n])) for n in part.instruments}
    for fill in guest.fills:
        top = next(tops[fill.instrument_id])
        rows["fills"].append((*fill, *(map(str, top) if top else (None, None))))
    rows["positions"] = _positions(result, part)
    book = account.spec["books"][0]["id"]
    times = [s.ts for s in account.samples]
    seen = {n: marks.at(n, times) for n in part.instruments}
    for i, sample in enumerate(account.samples):
        for (venue, code), balance in sorted(sample.balances.items()):
            equity = sample.gains.get((venue, code), Decimal(0)) + _start(account.spec, venue, code)
            rows["equity"].append((sample.ts, venue, code, text(equity), text(balance), text(equity - balance)))
        for name, held in sorted(sample.held.items()):
            top = seen[name][i]
            rows["inventory"].append((sample.ts, book, name, text(held), *(map(str, top) if top else (None, None))))
    return rows


def _guest(result: SandboxResult) -> GuestResult:
    if result.guest is None:
        raise ValueError("there is no result to keep")
    return result.guest


def _start(spec: dict[str, Any], venue: str, code: str) -> Decimal:
    for entry in spec["venues"]:
        for amount in entry["balances"] if entry["name"] == venue else ():
            number, _, currency = amount.partition(" ")
            if currency == code:
                return Decimal(number)
    return Decimal(0)


def _positions(result: SandboxResult, part: Slice) -> list[tuple[Any, ...]]:
    """Return each round from flat to flat, and what is open at the end."""
    guest = _guest(result)
    open_: dict[str, _Round] = {}
    out: list[tuple[Any, ...]] = []
    for fill in guest.fills:
        instrument = part.instruments[fill.instrument_id]
        price, quantity = Decimal(fill.price), Decimal(fill.quantity)
        signed = quantity if fill.side == "BUY" else -quantity
        current = open_.setdefault(fill.instrument_id, _Round(Position(instrument), fill.ts, fill.book))
        held = current.position.quantity
        closing = min(abs(held), abs(signed)).copy_sign(signed) if held * signed < 0 else Decimal(0)
        current.add(closing, price)
        if closing and not current.position.quantity:
            out.append(current.row(fill.ts))
            current = open_[fill.instrument_id] = _Round(Position(instrument), fill.ts, fill.book)
        current.add(signed - closing, price)
        if not current.position.quantity:
            del open_[fill.instrument_id]
    return [*out, *(current.row(None) for _, current in sorted(open_.items()))]


@dataclass(slots=True)
class _Round:
    position: Position
    opened: int
    book: str
    realised: Decimal = Decimal(0)
    entered: Decimal = Decimal(0)
    entry_value: Decimal = Decimal(0)
    left: Decimal = Decimal(0)
    exit_value: Decimal = Decimal(0)

    def add(self, signed: Decimal, price: Decimal) -> None:
        if not signed:
            return
        if self.position.quantity * signed >= 0:
            self.entered += signed
            self.entry_value += signed * price
        else:
            self.left += signed
            self.exit_value += signed * price
        self.realised += self.position.add(signed, price)

    def row(self, closed: int | None) -> tuple[Any, ...]:
        instrument = self.position.instrument
        return (
            self.book,
            instrument.instrument_id,
            "LONG" if self.entered > 0 else "SHORT",
            text(self.position.largest),
            f"{self.entry_value / self.entered:.12f}",
            f"{self.exit_value / self.left:.12f}" if self.left else None,
            text(self.realised.quantize(step(instrument.settlement))),
            instrument.settlement,
            self.opened,
            closed,
        )


def _frame(name: str, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    columns = SCHEMAS[name]
    raw = {c: pl.Int64 if t == TS else pl.String if t == DEC else t for c, t in columns.items()}
    return pl.DataFrame(rows, schema=raw, orient="row").cast(columns)  # pyright: ignore[reportArgumentType]


def _summary(identifier: str, result: SandboxResult, part: Slice, account: Account) -> dict[str, Any]:
    guest = _guest(result)
    statistics = {k: v for k, v in result.statistics.items() if k != "max_inventory"}
    return {
        "run_id": identifier,
        "name": account.spec["name"],
        "mode": "backtest",
        "seed": account.spec["seed"],
        "spec_digest": hashlib.sha256(json.dumps(account.spec, sort_keys=True).encode()).hexdigest(),
        "data": [part.digest],
        "code_version": result.provenance.get("code", ""),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": round(result.times_ms.get("total", 0.0) / 1e3, 3),
        "rows": result.rows,
        "events": guest.events,
        "orders": len(guest.orders),
        "fills": len(guest.fills),
        "denied": guest.counts.denied,
        "rejected": guest.counts.rejected,
        "net_pnl": result.net_pnl,
        "max_inventory": result.statistics.get("max_inventory", {}),
        "final_balances": guest.balances,
        "statistics": {"sandbox": statistics},
        "digests": {"orders": row_hash(guest.orders), "fills": row_hash(guest.fills)},
        "digest": result.digest,
        "instruments": {name: i.to_dict() for name, i in sorted(part.instruments.items())},
        "books": [{"id": b["id"], "kind": b["kind"], "class_path": b["class_path"]} for b in account.spec["books"]],
        "status": "completed",
        "error": None,
        "sandbox": {
            "state": result.state.value,
            "label": result.label.value,
            "evidence": result.evidence,
            "unjudged": result.unjudged,
            "provenance": result.provenance,
        },
    }
