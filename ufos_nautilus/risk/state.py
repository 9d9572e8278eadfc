"""What books hold and have on its way, kept current event by event, with every sum that a limit is measured over.

Open orders count as filled in the worst way: the high case of a slot is its position with every open buy filled, the
low case with every open sell. Sums follow the price at which an instrument was last valued; `mark` revalues once the
price has moved by a thousandth. Quantities, prices and money are whole numbers of 10^-16.
"""

from fractions import Fraction
from typing import Final

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.fixed import SCALE

REVALUE_PARTS: Final = 1000
"""A price that moved by one part in so many revalues positions."""
ACTIVE: Final = 0
REDUCING: Final = 1
HALTED: Final = 2
STATES: Final = ("active", "reducing", "halted")


class Level:
    """Sums over the firm, a kind of book, a book or a venue.

    Attributes
    ----------
    gross : int
        Sum over slots of the larger of both worst cases, absolute.
    net_high, net_low, net : int
        Net value with all open buys filled, with all open sells filled, and as it is.
    cash, worth : int
        Money taken less money paid in trades and fees, and what positions are worth; profit is their sum.
    capital : int or None
        What limits in percent are measured by; None where nobody said.
    day_start, peak : int
        Profit at midnight UTC, and the highest so far.

    """

    __slots__ = ("capital", "cash", "day_start", "gross", "name", "net", "net_high", "net_low", "peak", "worth")

    def __init__(self, name: str, capital: int | None = None) -> None:
        self.name, self.capital = name, capital
        self.gross = self.net = self.net_high = self.net_low = 0
        self.cash = self.worth = self.day_start = self.peak = 0

    @property
    def profit(self) -> int:
        """Return profit since the start, at the last valuation."""
        return self.cash + self.worth

    def add_capital(self, amount: int | None) -> None:
        """Add a book's capital to a level above it."""
        if amount is not None:
            self.capital = (self.capital or 0) + amount

    def look(self, *, new_day: bool) -> None:
        """Remember the highest profit, and on a new day where it starts."""
        profit = self.cash + self.worth
        self.peak = max(self.peak, profit)
        if new_day:
            self.day_start = profit


class Account:
    """What is known of a venue's account: kind, funds per currency in the limits' currency, leverage, when it was read."""

    __slots__ = ("cash", "funds", "leverage", "seen_ns")

    def __init__(self, *, cash: bool, funds: dict[str, int], leverage: int, seen_ns: int) -> None:
        self.cash, self.funds, self.leverage, self.seen_ns = cash, funds, leverage, seen_ns


class Instrument:
    """An instrument as the gate sees it.

    Attributes
    ----------
    price, price_ns : int or None, int
        Last price and when it was made.
    valued : int
        Price of the last valuation; 0 before the first.
    high, low : int
        Units of all books with every open buy, and with every open sell, filled.

    """

    __slots__ = (
        "_den", "_num", "_settle_den", "_settle_num", "currency", "high", "id", "inverse", "low", "price", "price_ns",
        "slots", "valued", "venue",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        venue: Level,
        *,
        multiplier: int = SCALE,
        rate: int = SCALE,
        settle_rate: int = SCALE,
        inverse: bool = False,
        currency: str = "",
    ) -> None:
        self.id, self.venue, self.inverse, self.currency = id, venue, inverse, currency
        scale = SCALE**2 if inverse else SCALE**3
        self._num, self._den = Fraction(multiplier * rate, scale).as_integer_ratio()
        self._settle_num, self._settle_den = Fraction(multiplier * settle_rate, SCALE).as_integer_ratio()
        self.price: int | None = None
        self.price_ns = self.valued = self.high = self.low = 0
        self.slots: list[Slot] = []

    def value(self, quantity: int, price: int) -> int:
        """Return the value of a signed quantity at a price."""
        if self.inverse:
            return quantity * self._num // self._den
        return quantity * price * self._num // self._den

    def worth(self, quantity: int, price: int) -> int:
        """Return what a signed quantity counts for in profits; an inverse contract is paid in its base currency."""
        if not self.inverse:
            return quantity * price * self._num // self._den
        return -(quantity * self._settle_num // (self._settle_den * price)) if price else 0


class Book(Level):
    """One book's sums and standing."""

    __slots__ = ("id", "kind", "state")

    def __init__(self, id: str, kind: Level, capital: int | None) -> None:
        super().__init__(f"book {id}", capital)
        self.id, self.kind = id, kind
        self.state = ACTIVE


class Firm(Level):
    """Everything together: books, instruments, accounts, and what each book holds of each instrument.

    Attributes
    ----------
    state : int
        `ACTIVE`, `REDUCING` or `HALTED`.
    stale : str
        Why nothing here can be trusted, or empty.

    """

    __slots__ = ("accounts", "books", "instruments", "kinds", "slots", "stale", "state", "venues")

    def __init__(self) -> None:
        super().__init__("firm")
        self.state, self.stale = ACTIVE, ""
        self.accounts: dict[str, Account] = {}
        self.books: dict[str, Book] = {}
        self.kinds: dict[str, Level] = {}
        self.venues: dict[str, Level] = {}
        self.instruments: dict[str, Instrument] = {}
        self.slots: dict[tuple[str, str], Slot] = {}

    def add_book(self, id: str, kind: str, capital: int | None) -> Book:
        """Make a book known; without capital, limits that are shares of it deny."""
        level = self.kinds.setdefault(kind, Level(f"kind {kind}"))
        book = self.books[id] = Book(id, level, capital)
        level.add_capital(capital)
        self.add_capital(capital)
        return book

    def add_instrument(self, id: str, **terms: object) -> Instrument:
        """Make an instrument known.

        Parameters
        ----------
        id : str
            Symbol and venue.
        **terms
            As `Instrument` takes them: ``multiplier``, ``rate`` (limits' currency for one of the quote currency),
            ``settle_rate`` (the same for the settlement currency), ``inverse``, ``currency`` (of settlement).

        """
        venue = id.rpartition(".")[2]
        level = self.venues.setdefault(venue, Level(f"venue {venue}"))
        made = self.instruments[id] = Instrument(id, level, **terms)  # type: ignore[arg-type]
        return made

    def alias(self, id: str, instrument: Instrument) -> None:
        """Let another id mean the same instrument, as the internal venue's means the lit one's."""
        self.instruments[id] = instrument

    def slot(self, book: str, instrument: str) -> "Slot | None":
        """Return what a book holds of an instrument, or None where either is unknown."""
        found = self.slots.get((book, instrument))
        if found is None:
            owner, what = self.books.get(book), self.instruments.get(instrument)
            if owner is None or what is None:
                return None
            found = self.slots.get((book, what.id)) or Slot(self, owner, what)
            self.slots[book, instrument] = self.slots[book, what.id] = found
        return found

    def levels(self) -> list[Level]:
        """Return every level: firm, kinds, books, venues."""
        return [self, *self.kinds.values(), *self.books.values(), *self.venues.values()]


class Slot:
    """What one book holds of one instrument.

    Attributes
    ----------
    position : int
        Signed.
    buys, sells : int
        Open orders that could add to it.
    exit_buys, exit_sells : int
        Open orders that the venue itself keeps from doing more than reduce.

    """

    __slots__ = (
        "book", "buys", "exit_buys", "exit_sells", "firm", "gross", "instrument", "levels", "net", "net_high", "net_low",
        "position", "sells", "worth",
    )  # fmt: skip

    def __init__(self, firm: Firm, book: Book, instrument: Instrument) -> None:
        self.firm, self.book, self.instrument = firm, book, instrument
        self.position = self.buys = self.sells = self.exit_buys = self.exit_sells = 0
        self.gross = self.net = self.net_high = self.net_low = self.worth = 0
        self.levels: tuple[Level, ...] = (firm, book.kind, book, instrument.venue)
        instrument.slots.append(self)

    def only_reduces(self, sign: int, quantity: int, replaced: int, *, flagged: bool) -> bool:
        """Tell whether an order could do nothing but bring the position nearer to zero.

        Parameters
        ----------
        sign : int
            1 to buy, -1 to sell.
        quantity : int
            Units it could still trade.
        replaced : int
            Units of it that are counted as open already.
        flagged : bool
            The venue holds it to reducing; it may then close what open orders of the other side will make.

        """
        held = -self.position if sign > 0 else self.position
        if flagged:
            same, other = (self.buys, self.sells) if sign > 0 else (self.sells, self.buys)
            return quantity + same <= max(held, 0) + other
        same = self.buys + self.exit_buys if sign > 0 else self.sells + self.exit_sells
        return quantity + same - replaced <= held

    def open(self, sign: int, units: int, *, exits: bool = False) -> None:
        """Count `units` more (fewer where negative) of open orders on one side."""
        if exits:
            if sign > 0:
                self.exit_buys += units
            else:
                self.exit_sells += units
            return
        instrument = self.instrument
        if sign > 0:
            self.buys += units
            instrument.high += units
        else:
            self.sells += units
            instrument.low -= units
        self.recount()

    def fill(self, sign: int, units: int, price: int, fee: int = 0) -> None:
        """Move the position by a fill; what was open of its order is counted off with `open`."""
        instrument = self.instrument
        if not instrument.valued:
            instrument.price = instrument.valued = price
        self.position += sign * units
        instrument.high += sign * units
        instrument.low += sign * units
        paid = instrument.worth(sign * units, price) + fee
        for level in self.levels:
            level.cash -= paid
        self.recount()

    def recount(self) -> None:
        """Work out the slot's values and carry what changed into every level."""
        instrument, position, price = self.instrument, self.position, self.instrument.valued
        net = instrument.value(position, price)
        high = instrument.value(position + self.buys, price) if self.buys else net
        low = instrument.value(position - self.sells, price) if self.sells else net
        worth = instrument.worth(position, price) if instrument.inverse else net
        gross = max(abs(high), abs(low))
        d_gross, d_net, d_worth = gross - self.gross, net - self.net, worth - self.worth
        d_high, d_low = high - self.net_high, low - self.net_low
        self.gross, self.net, self.net_high, self.net_low, self.worth = gross, net, high, low, worth
        for level in self.levels:
            level.gross += d_gross
            level.net += d_net
            level.net_high += d_high
            level.net_low += d_low
            level.worth += d_worth


def mark(instrument: Instrument, price: int, now_ns: int, *, exact: bool = False) -> None:
    """Take a new price; positions are revalued once it has moved by a thousandth, or at once with `exact`.

    Raises
    ------
    DataError
        If the price is negative.

    """
    if price < 0:
        raise DataError(f"{instrument.id}: price {price} is negative", expected="a price of zero or more")
    instrument.price, instrument.price_ns = price, now_ns
    moved = abs(price - instrument.valued)
    if moved and (exact or moved * REVALUE_PARTS > instrument.valued):
        instrument.valued = price
        for slot in instrument.slots:
            slot.recount()
