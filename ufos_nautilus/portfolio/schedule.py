"""When a portfolio is looked at: on the first session of a period, and whenever it has drifted too far."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from ufos_nautilus.errors import SpecError

Period = Literal["never", "daily", "weekly", "monthly", "quarterly", "yearly"]
PERIODS: tuple[Period, ...] = ("never", "daily", "weekly", "monthly", "quarterly", "yearly")


def is_due(period: Period, day: date, last: date | None) -> bool:
    """Tell whether `day` is the first session of a new period since `last`; the very first session always is.

    Parameters
    ----------
    period : str
        One of `PERIODS`; weeks begin on Monday, quarters in January, April, July and October.
    day : date
        The session.
    last : date or None
        The last session that was due.

    Raises
    ------
    SpecError
        If there is no such period.

    """
    if period not in PERIODS:
        raise SpecError(f"there is no schedule {period!r}", expected=", ".join(PERIODS))
    if period == "never":
        return False
    return last is None or (day > last and _key(period, day) != _key(period, last))


def _key(period: Period, day: date) -> tuple[int, ...]:
    if period == "daily":
        return (day.toordinal(),)
    if period == "weekly":
        return day.isocalendar()[:2]
    if period == "monthly":
        return (day.year, day.month)
    if period == "quarterly":
        return (day.year, (day.month - 1) // 3)
    return (day.year,)


def drift(values: Mapping[str, Decimal], target: Mapping[str, Decimal], cash: Decimal, target_cash: Decimal) -> Decimal:
    """Return the active share of holdings against a target: half the sum of all weight differences, cash included.

    Parameters
    ----------
    values : mapping
        Symbol -> value held, currency.
    target : mapping
        Symbol -> weight.
    cash : Decimal
        Cash held, currency.
    target_cash : Decimal
        Weight of cash.

    """
    nav = cash + sum(values.values(), start=Decimal(0))
    if nav <= 0:
        return Decimal(1)
    gaps = abs(cash / nav - target_cash)
    for symbol in values.keys() | target.keys():
        gaps += abs(values.get(symbol, Decimal(0)) / nav - target.get(symbol, Decimal(0)))
    return gaps / 2
