"""Which action a limits file asks for, given the figures of the firm and its books."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from ufos_nautilus.risk.fixed import SCALE, from_fixed
from ufos_nautilus.risk.levels import Level
from ufos_nautilus.risk.rules import ActionRule, Metric
from ufos_nautilus.risk.state import Book, Firm, Slot

NS_PER_S = 1_000_000_000


class Action(NamedTuple):
    """What is to be done now."""

    rule: ActionRule
    number: int
    """Place of the rule in the file."""
    book: str
    """Whom it concerns; empty for the firm."""
    value: Decimal
    """The figure that went beyond `rule.above`."""


def loss_pct(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the loss since midnight UTC, percent of capital."""
    return percent(level.day_start - level.profit, level.capital)


def drawdown_pct(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the fall from the highest profit, percent of capital."""
    return percent(level.peak - level.profit, level.capital)


def concentration_pct(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the largest position in one instrument at market, percent of capital."""
    held: dict[str, int] = {}
    for slot in slots:
        held[slot.instrument.id] = held.get(slot.instrument.id, 0) + slot.net
    return percent(max(map(abs, held.values()), default=0), level.capital)


def leverage(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the gross position at market over capital."""
    return percent(gross(slots), level.capital) / 100


def gross_notional(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the gross position at market."""
    return from_fixed(gross(slots))


def net_notional(level: Level, slots: Iterable[Slot]) -> Decimal:
    """Return the net position at market, absolute."""
    return from_fixed(abs(level.net))


def gross(slots: Iterable[Slot]) -> int:
    """Return the sum of absolute positions at market; open orders do not count."""
    return sum(abs(slot.net) for slot in slots)


def percent(value: int, capital: int | None) -> Decimal:
    """Return a share in percent; a share of nothing is beyond every limit as soon as there is something."""
    if not capital:
        return Decimal("Infinity") if value > 0 else Decimal(0)
    return Decimal(value * 100 * 10**8 // capital).scaleb(-8)


FIGURES: dict[Metric, Callable[[Level, Iterable[Slot]], Decimal]] = {
    "daily_loss_pct": loss_pct,
    "drawdown_pct": drawdown_pct,
    "concentration_pct": concentration_pct,
    "leverage": leverage,
    "gross_notional": gross_notional,
    "net_notional": net_notional,
}
"""Figures of a level; those of accounts and events come from whoever sees them."""


def margin_use_pct(firm: Firm) -> Decimal:
    """Return the largest share of a venue's balance that gross positions there use at its leverage, percent."""
    worst = Decimal(0)
    for venue, purses in firm.venues.items():
        account = firm.accounts.get(venue)
        used = sum(purse.gross for purse in purses.values())
        if account is not None and used and not account.cash:
            room = sum(account.funds.values()) * account.leverage // SCALE
            worst = max(worst, percent(used, max(room, 0)))
    return worst


class ActionTable:
    """Decides what is due, each rule at most once per book and cooldown.

    Parameters
    ----------
    rules : sequence of ActionRule
        In the order they act.

    """

    def __init__(self, rules: Iterable[ActionRule]) -> None:
        self.rules = tuple(rules)
        self._last_ns: dict[tuple[int, str], int] = {}

    def due(self, firm: Firm, now_ns: int, seen: dict[tuple[Metric, str], Decimal]) -> list[Action]:
        """Return the actions that are due.

        Parameters
        ----------
        firm : Firm
            Everything that is held.
        now_ns : int
            UNIX nanoseconds.
        seen : dict
            (metric, book) -> value of the figures that no level holds; the book is empty for the firm.

        """
        out: list[Action] = []
        for number, rule in enumerate(self.rules):
            for book, value in self._values(rule, firm, seen):
                last = self._last_ns.get((number, book))
                rested = last is None or now_ns - last >= rule.cooldown_s * NS_PER_S
                if value > rule.above and rested:
                    self._last_ns[number, book] = now_ns
                    out.append(Action(rule, number, book, value))
        return out

    def _values(
        self, rule: ActionRule, firm: Firm, seen: dict[tuple[Metric, str], Decimal]
    ) -> list[tuple[str, Decimal]]:
        owners: list[Book] = []
        if rule.scope == "book":
            owners = [b for b in firm.books.values() if not rule.book or b.id == rule.book]
        figure = FIGURES.get(rule.metric)
        if rule.metric == "margin_use_pct":
            value = margin_use_pct(firm)
            return [(b.id, value) for b in owners] if owners else [("", value)]
        if figure is None:
            names = [b.id for b in owners] or [""]
            return [(name, seen[rule.metric, name]) for name in names if (rule.metric, name) in seen]
        everything = firm.held()
        if rule.scope == "firm":
            return [("", figure(firm, everything))]
        return [(b.id, figure(b, [s for s in everything if s.book is b])) for b in owners]


def reductions(slots: Iterable[Slot], keep_pct: Decimal) -> list[tuple[Slot, int]]:
    """Return how many units to take off each position so that `keep_pct` percent of it is left."""
    keep = int(keep_pct * 10**8)
    out = []
    for slot in slots:
        units = abs(slot.position) - abs(slot.position) * keep // (100 * 10**8)
        if units:
            out.append((slot, -units if slot.position > 0 else units))
    return out


def hedge_units(net: int, ratio: Decimal, value_of_one: int) -> int:
    """Return signed units of the hedge that offset `ratio` of a net value.

    Parameters
    ----------
    net : int
        Net value held, in 10^-16.
    ratio : Decimal
        Share of it to offset.
    value_of_one : int
        Value of one unit of the hedge, in 10^-16.

    """
    if value_of_one <= 0:
        return 0
    units = int(abs(net) * ratio) * SCALE // value_of_one
    return -units if net > 0 else units
