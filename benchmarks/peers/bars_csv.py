"""Reads the prepared minute bars, `timestamp,open,high,low,close,volume` with a header, into plain tuples."""

import csv
from datetime import datetime
from pathlib import Path


def read_bars(path: Path) -> list[tuple[datetime, float, float, float, float, float]]:
    """Return (time, open, high, low, close, volume) per minute."""
    with path.open(newline="") as source:
        rows = csv.reader(source)
        next(rows)
        return [
            (datetime.fromisoformat(t), float(o), float(h), float(lo), float(c), float(v)) for t, o, h, lo, c, v in rows
        ]
