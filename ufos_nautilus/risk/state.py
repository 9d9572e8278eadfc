"""What books hold and have on its way, kept current event by event.

Open orders count as filled in the worst way: the high case of a slot is its position with every open buy filled, the
low case with every open sell. An exit, which the venue keeps from doing more than reduce, may first bring a position of
the other side to zero. Sums follow the price at which an instrument was last valued; `mark` revalues once the
price has moved by a thousandth. Quantities, prices and money are whole numbers of 10^-16.
"""

from fractions import Fraction
from typing import Final

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.fixed import SCALE
from ufos_nautilus.risk.levels import ACTIVE, Account, Level

REVALUE_PARTS: Final = 1000
"""A price that moved by one part in so many revalues positions."""
JUMP: Final = 1 << 119
"""How far `Firm.moved` goes where no room that was measured before can be trusted; more than all money."""


class Instrument:
    """An instrument as the gate sees it.

    Attributes
    ----------
    price, price_ns : int or None, int
        Last price and when it was made.
    valued : int
        Price of the last valuation; 0 before the first.
    num, den : int
        ``quantity x price x num / den`` (inverse: ``quantity x num / den``) is money of the limits' currency.
    high, low : int
        Units of all books with every open buy, and with every open sell, filled.
    purse : Level
        Sums over all that settles in the same currency at the same venue.

    """

    __slots__ = (
        "_settle_den", "_settle_num", "currency", "den", "high", "id", "inverse", "low", "num", "price", "price_ns",
        "purse", "slots", "valued", "venue",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        purse: Level,
        *,
        multiplier: int = SCALE,
        rate: int = SCALE,
        settle_rate: int = SCALE,
        inverse: bool = False,
        currency: str = "",
    ) -> None:
        self.id, self.purse, self.inverse, self.currency = id, purse, inverse, currency
        self.venue = id.rpartition(".")[2]
        scale = SCALE**2 if inverse else SCALE**3
        self.num, self.den = Fraction(multiplier * rate, scale).as_integer_ratio()
        self._settle_num, self._settle_den = Fraction(multiplier * settle_rate, SCALE).as_integer_ratio()
        self.price: int | None = None
        self.price_ns = self.valued = self.high = self.low = 0
        self.slots: list[Slot] = []

    def value(self, quantity: int, price: int) -> int:
        """Return the value of a signed quantity at a price."""
        if self.inverse:
            return quantity * self.num // self.den
        return quantity * price * self.num // self.den

    def worth(self, quantity: int, price: int) -> int:
        """Return what a signed quantity counts for in profits; an inverse contract is paid in its base currency."""
        if not self.inverse:
            return quantity * price * self.num // self.den
        return -(quantity * self._settle_num // (self._settle_den * price)) if price else 0


class Book(Level):
    """One book's sums and standing."""

    __slots__ = ("_firm", "_state", "id", "kind", "kind_level")

    def __init__(self, id: str, kind: str, kind_level: Level, firm: "Firm", capital: int | None) -> None:
        super().__init__(f"book {id}", firm, capital)
        self.id, self.kind, self.kind_level, self._firm = id, kind, kind_level, firm
        self._state = ACTIVE

    @property
    def state(self) -> int:
        """Return `ACTIVE`, `REDUCING` or `HALTED`."""
        return self._state

    @state.setter
    def state(self, state: int) -> None:
        self._state = state
        self._firm.moved += JUMP


class Firm(Level):
    """Everything together: books, instruments, accounts, and what each book holds of each instrument.

    Attributes
    ----------
    moved : int
        Grows with every event by at least as much as any limit's room shrinks.
    shaken : int
        Grows by at least as much as any profit falls.

    """

    __slots__ = (
        "_stale", "_state", "accounts", "books", "changed", "instruments", "kinds", "moved", "shaken", "slots",
        "venues",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__("firm", None)
        self._state, self._stale = ACTIVE, ""
        self.moved = self.shaken = 0
        self.changed: list[Slot] = []
        """Slots whose changes are not in the sums yet."""
        self.accounts: dict[str, Account] = {}
        self.books: dict[str, Book] = {}
        self.kinds: dict[str, Level] = {}
        self.venues: dict[str, dict[str, Level]] = {}
        self.instruments: dict[str, Instrument] = {}
        self.slots: dict[tuple[str, str], Slot] = {}

    @property
    def state(self) -> int:
        """Return `ACTIVE`, `REDUCING` or `HALTED`."""
        return self._state

    @state.setter
    def state(self, state: int) -> None:
        self._state = state
        self.moved += JUMP

    @property
    def stale(self) -> str:
        """Return why nothing here can be trusted, or an empty text."""
        return self._stale

    @stale.setter
    def stale(self, why: str) -> None:
        self._stale = why
        self.moved += JUMP

    def settle(self) -> None:
        """Carry what changed in slots into every sum."""
        if self.changed:
            for slot in self.changed:
                slot.recount()
            self.changed.clear()

    def set_account(self, venue: str, account: Account | None) -> None:
        """Take what was read of a venue's account; None where it is missing or could not be read."""
        known = self.accounts.get(venue)
        if account is None:
            if known is not None:
                known.seen_ns = -JUMP
                del self.accounts[venue]
        elif known is None or known.cash != account.cash:
            self.accounts[venue] = account
            self.moved += JUMP
        else:
            # The same object goes on, as whoever measured room by it looks at when it was read.
            self.moved += max(known.money - account.money, 0) // SCALE + 1
            known.funds, known.leverage = account.funds, account.leverage
            known.money, known.seen_ns = account.money, account.seen_ns

    def look(self, *, new_day: bool) -> None:
        """Let every level remember its highest profit, and on a new day where it starts."""
        super().look(new_day=new_day)
        for level in (*self.kinds.values(), *self.books.values()):
            level.look(new_day=new_day)
        if new_day:
            self.moved += JUMP

    def add_book(self, id: str, kind: str, capital: int | None) -> Book:
        """Make a book known; without capital, limits that are shares of it deny."""
        level = self.kinds.setdefault(kind, Level(f"kind {kind}", self))
        book = self.books[id] = Book(id, kind, level, self, capital)
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
        venue, currency = id.rpartition(".")[2], str(terms.get("currency", ""))
        purses = self.venues.setdefault(venue, {})
        purse = purses.setdefault(currency, Level(f"{currency or 'money'} at {venue}", self))
        made = self.instruments[id] = Instrument(id, purse, **terms)  # type: ignore[arg-type]
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

    def held(self) -> "list[Slot]":
        """Return every slot once, in the order they were first used, its sums current."""
        self.settle()
        return list({id(slot): slot for slot in self.slots.values()}.values())


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
    high, low : int
        What the position could become.
    gross, net, net_high, net_low, worth : int
        Values as of the last `Firm.settle`.

    """

    __slots__ = (
        "_levels", "book", "buys", "exit_buys", "exit_sells", "firm", "gross", "high", "instrument", "low", "net",
        "net_high", "net_low", "position", "sells", "waits", "worth",
    )  # fmt: skip

    def __init__(self, firm: Firm, book: Book, instrument: Instrument) -> None:
        self.firm, self.book, self.instrument = firm, book, instrument
        self.position = self.buys = self.sells = self.exit_buys = self.exit_sells = self.high = self.low = 0
        self.gross = self.net = self.net_high = self.net_low = self.worth = 0
        self.waits = False
        """Its changes are not in the sums yet."""
        self._levels: tuple[Level, ...] = (firm, book.kind_level, book, instrument.purse)
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

    def open(self, sign: int, units: int, value: int | None = None, *, exits: bool = False) -> None:
        """Count `units` more (fewer where negative) of open orders on one side.

        Parameters
        ----------
        sign, units : int
            1 to buy or -1 to sell, and how much.
        value : int, optional
            At least their value, where the caller has worked it out.
        exits : bool
            The venue keeps them from doing more than reduce.

        """
        if exits:
            if sign > 0:
                self.exit_buys += units
            else:
                self.exit_sells += units
            self._shift()
            return
        if sign > 0:
            self.buys += units
            self.high += units
            self.instrument.high += units
        else:
            self.sells += units
            self.low -= units
            self.instrument.low -= units
        if units > 0:
            self.firm.moved += self._value(units) if value is None else value
        if not self.waits:
            self.waits = True
            self.firm.changed.append(self)

    def fill(self, sign: int, units: int, price: int, fee: int = 0, *, counted: int = 0) -> None:
        """Move the position by a fill.

        Parameters
        ----------
        sign, units, price : int
            1 to buy or -1 to sell, how much and at which price.
        fee : int
            Paid on top; negative is a rebate.
        counted : int
            How many of the units counted as open orders that could add; they no longer do.

        """
        instrument, firm = self.instrument, self.firm
        if not instrument.valued:
            instrument.price = instrument.valued = price
        self.position += sign * units
        if sign > 0:
            self.buys -= counted
        else:
            self.sells -= counted
        paid = instrument.worth(sign * units, price) + fee
        for level in self._levels:
            level.cash -= paid
        firm.shaken += abs(instrument.worth(sign * units, instrument.valued) - paid) + 1
        self._shift()

    def _shift(self) -> None:
        """Work out anew what the position could become, and count by how much that is worse."""
        position, instrument, firm = self.position, self.instrument, self.firm
        high = (max(position, 0) if self.exit_buys else position) + self.buys
        low = (min(position, 0) if self.exit_sells else position) - self.sells
        up, down = high - self.high, self.low - low
        self.high, self.low = high, low
        instrument.high += up
        instrument.low -= down
        firm.moved += self._value(max(up, 0)) + self._value(max(down, 0))
        if not self.waits:
            self.waits = True
            firm.changed.append(self)

    def recount(self) -> None:
        """Work out the slot's values and carry what changed into every level."""
        instrument, position, price = self.instrument, self.position, self.instrument.valued
        net = instrument.value(position, price)
        high, low = instrument.value(self.high, price), instrument.value(self.low, price)
        worth = instrument.worth(position, price) if instrument.inverse else net
        gross = max(abs(high), abs(low))
        changes = (gross - self.gross, net - self.net, high - self.net_high, low - self.net_low, worth - self.worth)
        self.gross, self.net, self.net_high, self.net_low, self.worth = gross, net, high, low, worth
        self.waits = False
        for level in self._levels:
            level.add(*changes)

    def _value(self, units: int) -> int:
        return abs(self.instrument.value(units, self.instrument.valued)) + 1 if units else 0


def mark(instrument: Instrument, price: int, now_ns: int, *, exact: bool = False) -> None:
    """Take a new price; positions are revalued once it has moved by a thousandth, or at once with `exact`.

    Raises
    ------
    DataError
        If the price is negative.

    """
    if price < 0:
        raise DataError(f"{instrument.id}: price {price / SCALE:g} is negative", expected="a price of zero or more")
    instrument.price, instrument.price_ns = price, now_ns
    moved = abs(price - instrument.valued)
    if not moved or not (exact or moved * REVALUE_PARTS > instrument.valued):
        return
    if instrument.slots:
        instrument.slots[0].firm.settle()
    instrument.valued = price
    for slot in instrument.slots:
        gross, high, low, worth = slot.gross, slot.net_high, slot.net_low, slot.worth
        slot.recount()
        slot.firm.moved += max(slot.gross - gross, slot.net_high - high, low - slot.net_low, 0)
        slot.firm.shaken += max(worth - slot.worth, 0)
