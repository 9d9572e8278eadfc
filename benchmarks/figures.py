"""One measured figure, its target, and how all of them are shown and stored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ufos_nautilus.cli.console import print_table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table.

    Parameters
    ----------
    group, name : str
        Table and line.
    value, unit : float, str
        What was measured.
    against, ratio : str, float or None
        What it is compared with in the same run, and how many times better than that it is.
    target : float or None
        Least ratio (or value, where nothing is compared) that must be reached.
    note : str
        Orders, rows, anything else worth a look.

    """

    group: str
    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    target: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Tell whether the target is reached; None without one."""
        if self.target is None:
            return None
        return (self.value if self.ratio is None else self.ratio) >= self.target


def rounded(value: float) -> str:
    """Return a figure with thousands separators and no digits that mean nothing."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def show(figures: Sequence[Figure]) -> None:
    """Print one table per group."""
    marks = {None: "", True: "reached", False: "MISSED"}
    for group in dict.fromkeys(f.group for f in figures):
        rows = [
            (
                f.name,
                rounded(f.value),
                f.unit,
                "" if f.ratio is None else f"{f.ratio:.2f} x {f.against}",
                "" if f.target is None else f">= {f.target:,g} {marks[f.reached]}",
                f.note,
            )
            for f in figures
            if f.group == group
        ]
        print_table(group, ("what", "measured", "unit", "ratio", "target", "note"), rows)


def write(figures: Sequence[Figure], machine: str, path: Path) -> None:
    """Write all figures as JSON."""
    table = [asdict(f) | {"reached": f.reached} for f in figures]
    path.write_text(json.dumps({"machine": machine, "figures": table}, indent=1) + "\n", encoding="utf-8")
