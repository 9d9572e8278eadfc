"""What a section of a report is made of; plain data, escaped only when the page is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

from ufos_nautilus import limits
from ufos_nautilus.report.tables import RunTables

Tone = Literal["", "good", "bad"]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A headline number: its label, its value and unit, a second line, and whether it is good or bad news."""

    label: str
    value: str
    note: str = ""
    tone: Tone = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A row of headline numbers; `quiet` sets them small, for facts that are looked up rather than read."""

    figures: tuple[KeyFigure, ...]
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing by plotly.js.

    Parameters
    ----------
    title : str
        Shown above it.
    summary : str
        What it says, in a sentence, for those who cannot see it.
    data : list of dict
        Traces; times in UNIX milliseconds relative to the trace's `t0` where it has one.
        Colours named ``--x`` are custom properties of the style sheet, so that they follow light and dark.
    layout : dict
        Layout without colours and sizes: the page gives those.
    height : int
        Pixels.

    """

    title: str
    summary: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 340


@dataclass(frozen=True, slots=True)
class Table:
    """A table: caption, column names and rows; `numeric` names the columns set to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph; `kind` ``"empty"`` says that there is nothing to show, ``"error"`` that something went wrong."""

    text: str
    kind: Literal["plain", "empty", "error"] = "plain"


@dataclass(frozen=True, slots=True)
class Code:
    """Text in a fixed-width box, folded away under `summary` where one is given."""

    text: str
    summary: str = ""


Part = KeyFigures | Chart | Table | Note | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the report: its anchor in the page, its title, a sentence on how to read it, and its parts."""

    anchor: str
    title: str
    lead: str
    parts: tuple[Part, ...]


SectionMaker = Callable[[RunTables], Section]


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[str] = ()) -> list[Part]:
    """Return a table whose columns are numbers except those in `text`, and a note where rows had to be left out."""
    shown = tuple(tuple(row) for row in rows[: limits.REPORT_TABLE_ROWS_MAX])
    parts: list[Part] = [Table(caption, tuple(columns), shown, frozenset(columns) - frozenset(text))]
    if len(rows) > len(shown):
        parts.append(Note(f"The first {len(shown):,} of {len(rows):,} rows; the run's Parquet tables hold all."))
    return parts


def amount(value: Decimal | None, unit: str = "", *, signed: bool = False) -> str:
    """Return money or a quantity for reading: thousands apart, rounded to two decimals or to five digits."""
    if value is None:
        return "n/a"
    places = _places(value)
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if rounded == 0:
        return f"0.00 {unit}".rstrip()
    whole, _, decimals = (f"{rounded:+,f}" if signed else f"{rounded:,f}").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} {unit}".rstrip()


def amounts(values: Sequence[Decimal | None], *, signed: bool = False) -> list[str]:
    """Return a column of amounts of one unit, all with the decimals that its largest needs."""
    places = _places(max((abs(v) for v in values if v is not None), default=Decimal(0)))
    unit = Decimal(1).scaleb(-places)
    rounded = [None if v is None else v.quantize(unit, ROUND_HALF_EVEN) for v in values]
    return ["n/a" if v is None else f"{v:+,f}" if signed and v else f"{v if v else abs(v):,f}" for v in rounded]


def _places(value: Decimal) -> int:
    """Return the decimals that show five digits, two at least and eight at most."""
    return min(max(2, 4 - value.adjusted()), 8) if value else 2


def quantity(value: Decimal | None) -> str:
    """Return a quantity or price with all its decimals and no trailing zeros."""
    if value is None:
        return ""
    text = f"{value:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def decimal_or_none(value: object) -> Decimal | None:
    """Read a stored decimal; None where it is no finite number."""
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def number(value: float | None, places: int = 2) -> str:
    """Return a float for reading; ``n/a`` for None and for what is no number."""
    if value is None or value != value:
        return "n/a"
    return f"{value:,.{places}f}"
