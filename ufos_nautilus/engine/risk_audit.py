"""What the gate and the switch decided, as hash-chained lines: denials and halts at once, what passed in batches."""

from pathlib import Path
from typing import Any

from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.crossing.chain import Seal
from ufos_nautilus.limits import RISK_AUDIT_BATCH_MAX
from ufos_nautilus.risk.checks import Violation
from ufos_nautilus.risk.fixed import text

RISK_FILE = "risk.jsonl"
RISK_SCHEMA = "ufos-risk-1"
PASSED_COLUMNS = ("ts_ns", "book", "order", "instrument", "action", "quantity", "price")


class RiskAudit:
    """Writes the record of a run or node.

    Parameters
    ----------
    path : Path or None
        The file; None keeps no record (for benchmarks).
    run_id : str
        Run or node it belongs to.
    durable : bool
        Force every denial and halt to the disk before going on.

    """

    def __init__(self, path: Path | None, run_id: str, *, durable: bool = False) -> None:
        self._log = (
            AuditLog(path, run_id=run_id, schema=RISK_SCHEMA, fsync="each" if durable else "none") if path else None
        )
        self.notes: list[tuple[Any, ...]] = []
        """What was let pass since the last record."""
        self.counts = {"passed": 0, "denied": 0}

    def passed(
        self, ts_ns: int, book: str, order: Any, instrument: str, action: str, quantity: int, price: int | None
    ) -> None:
        """Note a request that was let pass; written with the next batch, denial or halt."""
        self.notes.append((ts_ns, book, order, instrument, action, quantity, price))
        if len(self.notes) >= RISK_AUDIT_BATCH_MAX:
            self.flush()

    def denied(
        self, ts_ns: int, book: str, order: str, instrument: str, action: str, violations: tuple[Violation, ...]
    ) -> None:
        """Write a request that was denied, with every limit it would break."""
        self.counts["denied"] += 1
        self.write(
            "denied",
            ts_ns,
            book=book,
            order=order,
            instrument=instrument,
            action=action,
            violations=[v.as_dict() for v in violations],
        )

    def write(self, what: str, ts_ns: int, **data: Any) -> None:
        """Write one record now, after everything noted before it."""
        self.flush()
        if self._log is not None:
            self._log.append({"what": what, "ts_ns": ts_ns, **data})

    def flush(self) -> None:
        """Write what was noted."""
        notes = self.notes
        if not notes:
            return
        self.counts["passed"] += len(notes)
        if self._log is not None:
            rows = [
                (ts, book, str(order), instrument, action, text(quantity), None if price is None else text(price))
                for ts, book, order, instrument, action, quantity, price in notes
            ]
            self._log.append({"what": "passed", "ts_ns": rows[-1][0], "columns": PASSED_COLUMNS, "rows": rows})
        notes.clear()

    def seal(self) -> Seal | None:
        """Write the last line and close; return how the chain ends."""
        self.flush()
        return self._log.seal() if self._log is not None else None

    def close(self) -> None:
        """Close without a seal, as a node does that will go on later."""
        self.flush()
        if self._log is not None:
            self._log.close()
