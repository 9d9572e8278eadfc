"""Limits as the gate looks at them: one flat set of whole numbers per book and instrument, worked out once."""

from decimal import Decimal
from typing import NamedTuple

from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.restrictions import Facts, Restriction, Restrictions
from ufos_nautilus.risk.rules import (
    BookLimits,
    FirmInstrumentLimits,
    InstrumentLimits,
    LevelLimits,
    OrderLimits,
    RiskRules,
)

NS_PER_S = 1_000_000_000
PPM = 1_000_000
"""Shares are whole millionths."""


class LevelRules(NamedTuple):
    """What holds over all of a level; None does not limit."""

    name: str
    gross: int | None
    net: int | None
    daily_loss: int | None
    drawdown_ppm: int | None
    orders_per_s: int | None
    modifies_per_s: int | None


class SlotRules(NamedTuple):
    """What holds for one book in one instrument; None does not limit, money and units in 10^-16."""

    in_universe: bool
    restriction: Restriction | None
    order_quantity: int | None
    order_notional: int | None
    position: int | None
    net_position: int | None
    concentration_ppm: int | None
    leverage_ppm: int | None
    margin_use_ppm: int | None
    fat_finger_ppm: int | None
    price_age_ns: int | None
    account_age_ns: int
    firm: LevelRules
    kind: LevelRules
    book: LevelRules
    version: int


def compile_level(name: str, limits: LevelLimits | None) -> LevelRules:
    """Return the whole-number form of one level."""
    if limits is None:
        return LevelRules(name, None, None, None, None, None, None)
    return LevelRules(
        name,
        money(limits.max_gross_notional),
        money(limits.max_net_notional),
        money(limits.max_daily_loss),
        ppm(limits.max_drawdown_pct),
        limits.max_orders_per_s,
        limits.max_modifies_per_s,
    )


class Limits:
    """A limits file with its restrictions, ready to be looked at.

    Parameters
    ----------
    rules : RiskRules
        The file.
    restrictions : Restrictions, optional
        Those in force, where they change apart from the file.

    """

    def __init__(self, rules: RiskRules, restrictions: Restrictions | None = None) -> None:
        self.rules = rules
        self.restrictions = restrictions or Restrictions(rules.restrictions, rules.version)
        self._firm = compile_level("firm", rules.firm)
        self._kinds = {kind: compile_level(f"kind {kind}", limits) for kind, limits in rules.kinds.items()}
        self._books = {book: compile_level(f"book {book}", limits) for book, limits in rules.books.items()}
        self._slots: dict[tuple[str, str], SlotRules] = {}
        self._same: dict[SlotRules, SlotRules] = {}
        """Equal rules are one object: the fewer there are, the more of them stay in the processor's cache."""

    def restricted(self, restrictions: Restrictions) -> "Limits":
        """Return the same limits with other restrictions."""
        return Limits(self.rules, restrictions)

    def facts(self, instrument: str) -> Facts:
        """Return what restrictions look at in an instrument."""
        named = self.rules.instruments.get(instrument)
        root = instrument.rpartition(".")[0]
        return Facts(root, named.sub_industry, frozenset(named.tags)) if named else Facts(root)

    def capital(self, book: str) -> int | None:
        """Return the capital the file allocates to a book, or None."""
        named = self.rules.books.get(book)
        return money(named.capital) if named else None

    def rate(self, currency: str) -> int | None:
        """Return units of the file's currency for one of another, or None where it names none."""
        if currency == self.rules.currency:
            return SCALE
        rate = self.rules.rates.get(currency)
        return None if rate is None else to_fixed(rate)

    def slot(self, book: str, kind: str, instrument: str) -> SlotRules:
        """Return what holds for one book in one instrument."""
        found = self._slots.get((book, instrument))
        if found is None:
            made = self._compile(book, kind, instrument)
            found = self._slots[book, instrument] = self._same.setdefault(made, made)
        return found

    def _compile(self, book: str, kind: str, instrument: str) -> SlotRules:
        rules = self.rules
        named = [rules.firm, rules.kinds.get(kind), rules.books.get(book)]  # type: ignore[call-overload]
        levels = [level for level in named if level is not None]
        places: list[InstrumentLimits] = [p for level in levels if (p := level.instruments.get(instrument))]
        everywhere: FirmInstrumentLimits | None = rules.instruments.get(instrument)
        if everywhere is not None:
            places.append(everywhere)
        orders: list[OrderLimits] = [*levels, *places]
        return SlotRules(
            in_universe=all(in_universe(level.universe, instrument) for level in levels),
            restriction=self.restrictions.of(book, self.facts(instrument)),
            order_quantity=tightest(units(p.max_order_quantity) for p in places),
            order_notional=tightest(money(o.max_order_notional) for o in orders),
            position=tightest(units(p.max_position) for p in places),
            net_position=units(everywhere.max_net_position) if everywhere else None,
            concentration_ppm=tightest(ppm(level.max_concentration_pct) for level in levels),
            leverage_ppm=tightest(
                None if level.max_leverage is None else int(level.max_leverage * PPM) for level in levels
            ),
            margin_use_ppm=ppm(rules.firm.max_margin_use_pct),
            fat_finger_ppm=tightest(ppm(o.fat_finger_pct) for o in orders),
            price_age_ns=tightest(seconds(o.max_price_age_s) for o in orders),
            account_age_ns=int(rules.firm.max_account_age_s * NS_PER_S),
            firm=self._firm,
            kind=self._kinds.get(kind) or compile_level(f"kind {kind}", None),  # type: ignore[call-overload]
            book=self._books.get(book) or compile_level(f"book {book}", BookLimits()),
            version=self.restrictions.version,
        )


def in_universe(universe: list[str] | None, instrument: str) -> bool:
    """Tell whether a list of ids and ``*.VENUE`` names an instrument; no list names all."""
    return universe is None or instrument in universe or f"*.{instrument.rpartition('.')[2]}" in universe


def money(amount: str | None) -> int | None:
    """Return an amount like ``"250000 USD"`` in 10^-16."""
    return None if amount is None else to_fixed(Decimal(amount.partition(" ")[0]))


def units(value: Decimal | None) -> int | None:
    """Return units in 10^-16."""
    return None if value is None else to_fixed(value)


def ppm(percent: Decimal | None) -> int | None:
    """Return percent as whole millionths."""
    return None if percent is None else int(percent * (PPM // 100))


def seconds(value: float | None) -> int | None:
    """Return seconds as nanoseconds."""
    return None if value is None else int(value * NS_PER_S)


def tightest(values: "map[int | None] | object") -> int | None:
    """Return the smallest value that is set, or None."""
    return min((v for v in values if v is not None), default=None)  # type: ignore[attr-defined]
