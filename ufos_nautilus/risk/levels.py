"""Sums that limits are measured over: the firm's, a kind's, a book's, and those of one currency at a venue."""

from typing import Final, Protocol

from ufos_nautilus.risk.windows import RateWindow

ACTIVE: Final = 0
REDUCING: Final = 1
HALTED: Final = 2
STATES: Final = ("active", "reducing", "halted")


class Settles(Protocol):
    """Whoever carries changes of slots into sums."""

    def settle(self) -> None:
        """Carry them in."""
        ...


class Level:
    """Sums over many slots; reading one first carries in what changed since it was read last.

    Attributes
    ----------
    cash : int
        Money taken less money paid in trades and fees.
    capital : int or None
        What limits in percent are measured by; None where nobody said.
    day_start, peak : int
        Profit at midnight UTC, and the highest so far.
    orders, modifies : RateWindow or None
        When the last ones were let pass; None until one was.

    """

    __slots__ = (
        "_gross", "_net", "_net_high", "_net_low", "_worth", "capital", "cash", "day_start", "modifies", "name",
        "orders", "owner", "peak",
    )  # fmt: skip

    def __init__(self, name: str, owner: Settles | None, capital: int | None = None) -> None:
        self.name, self.owner, self.capital = name, owner, capital
        self.orders: RateWindow | None = None
        self.modifies: RateWindow | None = None
        self._gross = self._net = self._net_high = self._net_low = self._worth = 0
        self.cash = self.day_start = self.peak = 0

    @property
    def gross(self) -> int:
        """Return the sum over slots of the larger of both worst cases, absolute."""
        self.settle()
        return self._gross

    @property
    def net(self) -> int:
        """Return the net value held."""
        self.settle()
        return self._net

    @property
    def net_high(self) -> int:
        """Return the net value with all open buys filled."""
        self.settle()
        return self._net_high

    @property
    def net_low(self) -> int:
        """Return the net value with all open sells filled."""
        self.settle()
        return self._net_low

    @property
    def profit(self) -> int:
        """Return profit since the start, at the last valuation."""
        self.settle()
        return self.cash + self._worth

    def settle(self) -> None:
        """Carry in what changed."""
        if self.owner is not None:
            self.owner.settle()

    def add(self, gross: int, net: int, net_high: int, net_low: int, worth: int) -> None:
        """Add changes of one slot."""
        self._gross += gross
        self._net += net
        self._net_high += net_high
        self._net_low += net_low
        self._worth += worth

    def add_capital(self, amount: int | None) -> None:
        """Add a book's capital to a level above it."""
        if amount is not None:
            self.capital = (self.capital or 0) + amount

    def look(self, *, new_day: bool) -> None:
        """Remember the highest profit, and on a new day where it starts."""
        profit = self.profit
        self.peak = max(self.peak, profit)
        if new_day:
            self.day_start = profit


class Account:
    """What is known of a venue's account.

    Attributes
    ----------
    cash : bool
        A cash account pays in full; a margin account finances.
    funds : dict
        Currency -> balance, in the limits' currency.
    leverage : int
        Multiple of the balance that may be held.
    seen_ns : int
        When it was read.
    money : int
        All funds times leverage, in 10^-32.

    """

    __slots__ = ("cash", "funds", "leverage", "money", "seen_ns")

    def __init__(self, *, cash: bool, funds: dict[str, int], leverage: int, seen_ns: int) -> None:
        self.cash, self.funds, self.leverage, self.seen_ns = cash, funds, leverage, seen_ns
        self.money = sum(funds.values()) * leverage
