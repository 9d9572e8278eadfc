"""The firm's risk at one moment: every book and all together, kept current position by position.

What today's positions would have made on each past day is held per book; a changed position changes one series only,
so that a snapshot costs a sort per book that moved and not a pass over all positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sumprod
from typing import Any

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import RISK_POSITIONS_MAX, RISK_RETURNS_MAX
from ufos_nautilus.risk.measures import METHODS, RETURNS_MIN, beta, cornish_fisher, correlation, historical, parametric
from ufos_nautilus.risk.measures import moments as moments_of

LEVELS = (0.95, 0.99)
PARTICIPATION = 0.1
"""Share of a day's volume that leaving a position may take."""
FIRM = ""


@dataclass(frozen=True, slots=True)
class RiskRow:
    """Figures of one book, or of the firm; money, and losses positive."""

    book: str
    positions: int
    gross: float
    net: float
    var: dict[str, float]
    """``method level`` -> value at risk of a day."""
    es: dict[str, float]
    beta: float
    """Of the net value, to the market; 0 without one."""
    largest: str
    largest_share: float
    """Of the gross value."""
    herfindahl: float
    """Sum of squared shares of the gross value: one over the number of equal positions."""
    days_to_exit: float
    """Of the position that takes longest at a tenth of its volume a day; infinite where volume is not known."""
    incremental_var: float
    """The firm's historical 99 % with the book less without it."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


class RiskMonitor:
    """Keeps what is needed for a snapshot.

    Parameters
    ----------
    history : mapping
        Instrument -> returns of past periods, the same periods for all.
    market : sequence of float, optional
        Returns that betas are taken to.
    volumes : mapping, optional
        Instrument -> value traded in a day.

    """

    def __init__(
        self,
        history: Mapping[str, Sequence[float]],
        market: Sequence[float] | None = None,
        volumes: Mapping[str, float] | None = None,
    ) -> None:
        lengths = {len(series) for series in history.values()} | ({len(market)} if market is not None else set())
        if len(lengths) != 1 or (days := lengths.pop()) < RETURNS_MIN:
            raise DataError("histories of different or no length", expected=f"the same {RETURNS_MIN} days or more")
        if days > RISK_RETURNS_MAX:
            raise LimitExceededError(f"{days:,} days of history", expected=f"at most {RISK_RETURNS_MAX:,}")
        self.days, self._history, self._market = days, history, market
        self._volumes = volumes or {}
        self._held: dict[str, dict[str, float]] = {}
        self._profits: dict[str, list[float]] = {}
        self._moved: set[str] = set()
        self._rows: dict[str, RiskRow] = {}
        self._count = 0

    def hold(self, book: str, instrument: str, value: float) -> None:
        """Say what a position is worth now; zero closes it.

        Raises
        ------
        DataError
            If the instrument has no history: its risk would be left out silently.

        """
        if instrument not in self._history:
            raise DataError(f"{instrument} has no history", expected="returns of every instrument that is held")
        held = self._held.setdefault(book, {})
        self._count += (value != 0) - (instrument in held)
        if self._count > RISK_POSITIONS_MAX:
            self._count -= 1
            raise LimitExceededError(f"more than {RISK_POSITIONS_MAX:,} positions", expected="fewer")
        if value:
            held[instrument] = value
        else:
            held.pop(instrument, None)
        self._moved.add(book)

    def profits(self, book: str = FIRM) -> list[float]:
        """Return what today's positions of a book, or of the firm, would have made on each past day."""
        for moved in self._moved:
            self._profits[moved] = self._profit(self._held[moved])
        if self._moved:
            self._profits[FIRM] = [sum(day) for day in zip(*(p for b, p in self._profits.items() if b), strict=True)]
            self._rows.pop(FIRM, None)
            for moved in self._moved:
                self._rows.pop(moved, None)
            self._moved.clear()
        return self._profits.get(book) or [0.0] * self.days

    def snapshot(self) -> list[RiskRow]:
        """Return the firm's row, then each book's by name."""
        firm = self.profits()
        everything: dict[str, float] = {}
        for held in self._held.values():
            for name, value in held.items():
                everything[name] = everything.get(name, 0.0) + value
        whole = historical(firm, LEVELS[-1]).var
        out = [self._row(FIRM, everything, firm, 0.0)]
        for book in sorted(self._held):
            mine = self._profits[book]
            without = historical([a - b for a, b in zip(firm, mine, strict=True)], LEVELS[-1]).var
            out.append(self._row(book, self._held[book], mine, whole - without))
        return out

    def correlations(self) -> tuple[list[str], list[list[float]]]:
        """Return the books and the correlations of their profits."""
        self.profits()
        books = sorted(self._held)
        return books, correlation([self._profits[b] for b in books])

    def _profit(self, held: Mapping[str, float]) -> list[float]:
        if not held:
            return [0.0] * self.days
        values = list(held.values())
        return [sumprod(values, day) for day in zip(*(self._history[name] for name in held), strict=True)]

    def _row(self, book: str, held: Mapping[str, float], profits: list[float], incremental: float) -> RiskRow:
        known = self._rows.get(book)
        gross = sum(map(abs, held.values()))
        if known is None:
            found = moments_of(profits)
            tails = {
                f"{method} {level:g}": historical(profits, level)
                if method == "historical"
                else (parametric if method == "parametric" else cornish_fisher)(found, level)
                for method in METHODS
                for level in LEVELS
            }
            largest = max(held, key=lambda n: abs(held[n]), default="")
            known = RiskRow(
                book, len(held), gross, sum(held.values()),
                {name: tail.var for name, tail in tails.items()},
                {name: tail.es for name, tail in tails.items()},
                beta(profits, self._market) if self._market is not None else 0.0,
                largest, abs(held[largest]) / gross if largest else 0.0,
                sum(v * v for v in held.values()) / gross**2 if gross else 0.0,
                max((self._days(n, v) for n, v in held.items()), default=0.0), 0.0,
            )  # fmt: skip
            self._rows[book] = known
        return RiskRow(**{**known.as_dict(), "incremental_var": incremental})

    def _days(self, name: str, value: float) -> float:
        volume = self._volumes.get(name, 0.0)
        return abs(value) / (volume * PARTICIPATION) if volume else float("inf")
