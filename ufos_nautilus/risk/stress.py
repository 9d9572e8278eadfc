"""What positions would lose in shocks somebody thought of, and in days that have happened."""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ufos_nautilus.errors import DataError

Share = Annotated[float, Field(ge=-1, le=10, allow_inf_nan=False)]


class Shock(BaseModel):
    """One scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """What it is called."""
    price: Share = 0.0
    """Move of every price, as a share: -0.2 is a fall by a fifth."""
    prices: dict[str, Share] = Field(default_factory=dict)
    """Instrument -> its own move."""
    volatility: float = Field(default=1.0, ge=0, le=100)
    """Value at risk is multiplied by it."""
    spread: float = Field(default=1.0, ge=0, le=1_000)
    """Half-spreads are multiplied by it."""
    liquidity: float = Field(default=1.0, gt=0, le=1_000)
    """Volumes are multiplied by it."""


SHOCKS = (
    Shock(name="fall of a fifth", price=-0.2, volatility=3, spread=5, liquidity=0.3),
    Shock(name="rise of a tenth", price=0.1, volatility=1.5, spread=2, liquidity=0.7),
    Shock(name="flash crash", price=-0.09, volatility=5, spread=20, liquidity=0.1),
    Shock(name="volatility doubles", volatility=2, spread=3, liquidity=0.5),
    Shock(name="liquidity dries up", spread=10, liquidity=0.05),
)
"""Where no others are given."""


class Stressed(NamedTuple):
    """Outcome of one scenario; money, losses negative."""

    name: str
    profit: float
    """Of the positions at the new prices."""
    exit_cost: float
    """Half a spread on everything, on top."""
    var_99: float
    days_to_exit: float


def stress(
    values: Mapping[str, float],
    shocks: Sequence[Shock],
    *,
    half_spreads: Mapping[str, float] | None = None,
    volumes: Mapping[str, float] | None = None,
    var_99: float = 0.0,
    participation: float = 0.1,
) -> list[Stressed]:
    """Apply shocks to positions.

    Parameters
    ----------
    values : mapping
        Instrument -> signed value.
    shocks : sequence of Shock
        Scenarios.
    half_spreads : mapping, optional
        Instrument -> half the spread as a share of the price.
    volumes : mapping, optional
        Instrument -> value traded in a day.
    var_99 : float
        Before the shock.
    participation : float
        Share of the volume that leaving may take.

    """
    out = []
    for shock in shocks:
        moves = {name: shock.prices.get(name, shock.price) for name in values}
        after = {name: value * (1 + moves[name]) for name, value in values.items()}
        cost = fsum(abs(after[n]) * (half_spreads or {}).get(n, 0.0) * shock.spread for n in values)
        days = [
            abs(after[n]) / (v * shock.liquidity * participation)
            if (v := (volumes or {}).get(n, 0.0))
            else float("inf")
            for n in values
            if after[n]
        ]
        profit = fsum(values[n] * moves[n] for n in values)
        out.append(Stressed(shock.name, profit, -cost, var_99 * shock.volatility, max(days, default=0.0)))
    return out


class Window(NamedTuple):
    """A span of past days, first and last included, as positions in a history."""

    name: str
    first: int
    last: int


def replay(
    values: Mapping[str, float], history: Mapping[str, Sequence[float]], windows: Sequence[Window]
) -> list[Stressed]:
    """Return what today's positions would have made in named spans of past days, returns compounded."""
    if unknown := sorted(set(values) - set(history)):
        raise DataError(f"{unknown[0]} has no history", expected="returns of every instrument that is held")
    out = []
    for window in windows:
        profit = 0.0
        for name, value in values.items():
            grown = 1.0
            for r in history[name][window.first : window.last + 1]:
                grown *= 1 + r
            profit += value * (grown - 1)
        out.append(Stressed(window.name, profit, 0.0, 0.0, 0.0))
    return out


def worst_windows(profits: Sequence[float], days: int, count: int) -> list[Window]:
    """Return the spans of so many days in which today's positions lost most, none overlapping another."""
    if not 1 <= days <= len(profits):
        raise DataError(f"{days} days of {len(profits)}", expected="a span inside the history")
    sums = [(fsum(profits[at : at + days]), at) for at in range(len(profits) - days + 1)]
    found: list[Window] = []
    for _, at in sorted(sums):
        if len(found) < count and all(abs(at - w.first) >= days for w in found):
            found.append(Window(f"worst {days} days, number {len(found) + 1}", at, at + days - 1))
    return found
