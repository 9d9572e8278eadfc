"""What every command shares: one JSON object per line with `--json`, tables and progress otherwise."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # with --json nothing is drawn, so nothing is imported for it
    from rich.console import Console
    from rich.progress import Progress

PLAIN_PROGRESS_INTERVAL_S = 5.0
"""Seconds between progress lines where the output is no terminal."""


def out() -> "Console":
    """Return the console for results (standard output)."""
    from rich.console import Console

    return Console()


def print_json(value: dict[str, Any]) -> None:
    """Print one object on one line; decimals as strings."""
    print(json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False), flush=True)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers to the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    materialised = [tuple(row) for row in rows]
    for i, name in enumerate(columns):
        numeric = bool(materialised) and all(isinstance(r[i], int | float | Decimal) for r in materialised)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in materialised:
        table.add_row(*("" if v is None else f"{v:f}" if isinstance(v, Decimal) else str(v) for v in row))
    out().print(table)


def _bar() -> "Progress":
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(show_speed=True),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class ProgressLine:
    """Progress with rate and time left: a bar on a terminal, a plain line every few seconds elsewhere.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Units in all; 0 where unknown.
    unit : str
        What is counted, for example ``"rows"``.
    quiet : bool
        Print nothing at all.

    """

    def __init__(self, label: str, total: int, unit: str = "rows", *, quiet: bool = False) -> None:
        self.label, self.total, self.unit, self.quiet = label, total, unit, quiet
        self.done = 0
        self._started = self._last = time.monotonic()
        self._bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task(label, total=total or None)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def set_total(self, total: int) -> None:
        """Say how many units there are in all, once that is known."""
        if total != self.total:
            self.total = total
            if self._bar:
                self._bar.update(self._task, total=total)

    def advance(self, units: int) -> None:
        """Count `units` more as done."""
        self.done += units
        if self._bar:
            self._bar.update(self._task, advance=units)
            return
        now = time.monotonic()
        if not self.quiet and now - self._last >= PLAIN_PROGRESS_INTERVAL_S:
            self._last = now
            rate = self.done / (now - self._started)
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate else ""
            share = f" of {self.total:,}" if self.total else ""
            line = f"{self.label}: {self.done:,}{share} {self.unit}, {rate:,.0f} {self.unit}/s{left}"
            print(line, file=sys.stderr, flush=True)
