"""The check in front of every order: pure, in a fixed order, and denying wherever something is not known.

halted -> universe -> strategy capital -> client restrictions -> position, concentration, notional -> firm's net open
position -> fat finger -> rate. An order that can only bring a position nearer to zero passes everything that limits how
much is held, and what is needed to measure that: accounts, capital, prices. It is still denied while halted, where its
instrument or the state of the books is not known, where a client allows nothing at all, by the distance of its price,
by its size and by its rate.
"""

from typing import Final, NamedTuple

from ufos_nautilus.risk.compiled import PPM, LevelRules, Limits, SlotRules
from ufos_nautilus.risk.fixed import SCALE, text
from ufos_nautilus.risk.levels import ACTIVE, HALTED, STATES, Level
from ufos_nautilus.risk.state import Firm, Slot
from ufos_nautilus.risk.windows import RateWindow


class OrderView(NamedTuple):
    """What the check sees of an order; numbers in 10^-16."""

    book: str
    instrument: str
    sign: int
    """1 to buy, -1 to sell."""
    quantity: int
    """Units it could still trade: all of a new order, of a modified one what would be left."""
    price: int | None
    """Limit or trigger price, whichever is worse; None follows the market."""
    ts_ns: int
    flagged: bool = False
    """The venue holds it to reducing a position."""
    replaced: int = 0
    """Units of it that count as open already (a modification)."""
    modifies: bool = False
    internal: bool = False
    """One side of a trade between two books of the house, which leaves the firm's net position as it is."""
    venue: str = ""
    """Where it goes, if not to its instrument's own venue."""
    problem: str = ""
    """Why it can't be judged at all, or empty."""


class Violation(NamedTuple):
    """One limit that an order would break."""

    code: str
    book: str
    instrument: str
    limit: str
    """What is allowed."""
    value: str
    """What the order would make of it."""

    def __str__(self) -> str:
        return f"{self.code}: {self.value} where {self.limit} is allowed"

    def as_dict(self) -> dict[str, str]:
        """Return plain data for records."""
        return self._asdict()


CODES: Final = {
    "HALTED": "the firm or the book takes no orders, or only ones that reduce",
    "STALE_STATE": "what is known of the books can't be trusted",
    "UNSUPPORTED": "the order is of a form whose effect can't be measured before it trades",
    "UNKNOWN_BOOK": "no such book has limits",
    "UNKNOWN_INSTRUMENT": "the instrument is unknown, or its currency has no rate",
    "NOT_IN_UNIVERSE": "a level's approved list does not name the instrument",
    "NO_ACCOUNT": "the venue's account is missing or could not be read",
    "STALE_ACCOUNT": "the venue's account was read too long ago",
    "NO_CAPITAL": "a limit is a share of the book's capital, and nobody said what that is",
    "LEVERAGE": "the book's gross position would exceed its multiple of capital",
    "CASH": "a cash account could not pay for all open buys",
    "MARGIN": "the venue's gross position would use more margin than allowed",
    "DAILY_LOSS": "too much was lost since midnight UTC",
    "DRAWDOWN": "profit fell too far from its highest",
    "RESTRICTED": "the client does not want it",
    "NO_PRICE": "there is no price to measure by",
    "STALE_PRICE": "the last price is too old to measure by",
    "ORDER_QUANTITY": "the order is too large in units",
    "ORDER_NOTIONAL": "the order is too large in money",
    "POSITION": "the book's position would be too large",
    "CONCENTRATION": "one instrument would be too large a share of the book's capital",
    "GROSS_NOTIONAL": "the gross position of a level would be too large",
    "NET_POSITION": "the firm's net position in the instrument would be too large",
    "NET_NOTIONAL": "the net open position of a level would be too large",
    "FAT_FINGER": "the price is too far from the last",
    "ORDER_RATE": "too many orders in a second",
    "MODIFY_RATE": "too many modifications in a second",
    "SLICE": "slices would trade more than the order that was let pass",
}
"""Code -> what it means, in the order of the check."""


class Case(NamedTuple):
    """An order with everything the stages look at."""

    order: OrderView
    slot: Slot
    rules: SlotRules
    reduces: bool
    """It can only bring the position nearer to zero."""
    adds: bool
    """It could make a worst case worse; a modification of the price alone does neither."""
    extra: int
    """By how many units it would make the worst case worse."""
    value: int
    """Their value at the valuation price, absolute."""
    gross: int
    """How much they would add to gross positions."""


def check(order: OrderView, firm: Firm, limits: Limits) -> tuple[Violation, ...]:
    """Return every limit that an order would break, in the order of the check; nothing is changed.

    Parameters
    ----------
    order : OrderView
        The order, or what a modification would make of it.
    firm : Firm
        What is held and on its way.
    limits : Limits
        The limits in force.

    """
    slot = firm.slot(order.book, order.instrument)
    if slot is None:
        code = "UNKNOWN_BOOK" if order.book not in firm.books else "UNKNOWN_INSTRUMENT"
        known = "a known book" if code == "UNKNOWN_BOOK" else "a known instrument with a rate"
        name = order.book if code == "UNKNOWN_BOOK" else order.instrument
        return (*_standing(order, firm, None), Violation(code, order.book, order.instrument, known, name))
    return check_slot(order, slot, limits.slot(order.book, slot.book.kind, slot.instrument.id))


def check_slot(order: OrderView, slot: Slot, rules: SlotRules) -> tuple[Violation, ...]:
    """Check an order whose slot and rules are at hand."""
    slot.firm.settle()
    case = make_case(order, slot, rules)
    found: list[Violation] = []
    if slot.firm.state != ACTIVE or slot.book.state != ACTIVE or slot.firm.stale:
        found += _standing(order, slot.firm, case)
    if order.problem or not rules.in_universe:
        _universe(case, found)
    if case.adds:
        _capital(case, found)
    if rules.restriction is not None:
        _restriction(case, found)
    if case.adds:
        _position(case, found)
        _net(case, found)
    _size_and_price(case, found)
    _rate(case, found)
    return tuple(found)


def make_case(order: OrderView, slot: Slot, rules: SlotRules) -> Case:
    """Work out what an order would add."""
    extra = order.quantity - order.replaced
    reduces = slot.only_reduces(order.sign, order.quantity, order.replaced, flagged=order.flagged)
    if reduces or extra <= 0:
        return Case(order, slot, rules, reduces, False, extra, 0, 0)
    if order.flagged:
        # Before it adds anything it may bring a position of the other side to zero, ahead of what is open already.
        held = slot.position if order.sign < 0 else -slot.position
        exits = slot.exit_sells if order.sign < 0 else slot.exit_buys
        extra += max(held, 0) if not exits else 0
    instrument = slot.instrument
    price = instrument.valued
    if order.sign > 0:
        worst = max(abs(instrument.value(slot.high + extra, price)), abs(slot.net_low))
    else:
        worst = max(abs(instrument.value(slot.low - extra, price)), abs(slot.net_high))
    return Case(order, slot, rules, False, True, extra, abs(instrument.value(extra, price)), worst - slot.gross)


def _add(case: Case, found: list[Violation], code: str, limit: str, value: str) -> None:
    found.append(Violation(code, case.order.book, case.order.instrument, limit, value))


def _standing(order: OrderView, firm: Firm, case: Case | None) -> list[Violation]:
    found = []
    book = case.slot.book.state if case else ACTIVE
    worst = max(firm.state, book)
    if worst == HALTED or (worst != ACTIVE and not (case and case.reduces)):
        who = "firm" if firm.state >= book else f"book {order.book}"
        allowed = "no order" if worst == HALTED else "only reducing orders"
        found.append(Violation("HALTED", order.book, order.instrument, allowed, f"the {who} is {STATES[worst]}"))
    if firm.stale:
        found.append(Violation("STALE_STATE", order.book, order.instrument, "a current state", firm.stale))
    return found


def _universe(case: Case, found: list[Violation]) -> None:
    if case.order.problem:
        _add(case, found, "UNSUPPORTED", "an order of fixed quantity", case.order.problem)
    if not case.rules.in_universe and not case.reduces:
        _add(case, found, "NOT_IN_UNIVERSE", "an instrument of the approved list", case.slot.instrument.id)


def _capital(case: Case, found: list[Violation]) -> None:
    order, slot, rules = case.order, case.slot, case.rules
    venue = order.venue or slot.instrument.venue
    account = slot.firm.accounts.get(venue)
    if account is None:
        _add(case, found, "NO_ACCOUNT", "a readable account", f"none at {venue}")
    else:
        age = order.ts_ns - account.seen_ns
        if age > rules.account_age_ns:
            _add(case, found, "STALE_ACCOUNT", f"{rules.account_age_ns // 10**6} ms", f"{age // 10**6} ms")
        if not order.internal and account.cash:
            _cash(case, found, account.funds.get(slot.instrument.currency))
        elif not order.internal and rules.margin_use_ppm is not None:
            _margin(case, found, account.money * rules.margin_use_ppm)
    if rules.leverage_ppm is not None:
        _share(case, found, "LEVERAGE", slot.book.gross + case.gross, rules.leverage_ppm)
    for level, limits in ((slot.firm, rules.firm), (slot.book.kind_level, rules.kind), (slot.book, rules.book)):
        if limits.daily_loss is not None or limits.drawdown_ppm is not None:
            _losses(case, found, level, limits)


def _cash(case: Case, found: list[Violation], funds: int | None) -> None:
    instrument = case.slot.instrument
    if funds is None:
        _add(case, found, "CASH", f"a balance in {instrument.currency}", "none")
    elif case.order.sign > 0:
        purse = instrument.purse
        open_buys = purse.net_high - purse.net + case.value
        if open_buys > funds:
            _add(case, found, "CASH", text(funds), text(open_buys))


def _margin(case: Case, found: list[Violation], room: int) -> None:
    # Gross over leverage against a share of the balance, multiplied out so that nothing is rounded.
    gross = sum(purse.gross for purse in case.slot.firm.venues[case.slot.instrument.venue].values()) + case.gross
    if case.gross > 0 and gross * SCALE * PPM > room:
        _add(case, found, "MARGIN", text(room // (SCALE * PPM)), text(gross))


def _share(case: Case, found: list[Violation], code: str, value: int, share_ppm: int) -> None:
    capital = case.slot.book.capital
    if not capital:
        if not any(v.code == "NO_CAPITAL" for v in found):
            _add(case, found, "NO_CAPITAL", f"capital of book {case.order.book}", "none")
    elif value * PPM > capital * share_ppm and case.gross > 0:
        _add(case, found, code, text(capital * share_ppm // PPM), text(value))


def _losses(case: Case, found: list[Violation], level: Level, limits: LevelRules) -> None:
    profit = level.profit
    if limits.daily_loss is not None and level.day_start - profit > limits.daily_loss:
        _add(case, found, "DAILY_LOSS", f"{text(limits.daily_loss)} ({limits.name})", text(level.day_start - profit))
    if limits.drawdown_ppm is not None:
        if not level.capital:
            _add(case, found, "NO_CAPITAL", f"capital of {limits.name}", "none")
        elif (level.peak - profit) * PPM > level.capital * limits.drawdown_ppm:
            allowed = level.capital * limits.drawdown_ppm // PPM
            _add(case, found, "DRAWDOWN", f"{text(allowed)} ({limits.name})", text(level.peak - profit))


def _restriction(case: Case, found: list[Violation]) -> None:
    rule = case.rules.restriction
    if rule is not None and not (case.reduces and rule.allows == "reducing"):
        allowed = "only reducing orders" if rule.allows == "reducing" else "no order"
        because = f" ({rule.reason})" if rule.reason else ""
        _add(case, found, "RESTRICTED", allowed, f"restriction {rule.id} of version {case.rules.version}{because}")


def _position(case: Case, found: list[Violation]) -> None:
    order, slot, rules = case.order, case.slot, case.rules
    instrument = slot.instrument
    if not instrument.price:
        _add(case, found, "NO_PRICE", "a price of the instrument", "none yet")
    elif rules.price_age_ns is not None and order.ts_ns - instrument.price_ns > rules.price_age_ns:
        age = (order.ts_ns - instrument.price_ns) // 10**6
        _add(case, found, "STALE_PRICE", f"{rules.price_age_ns // 10**6} ms", f"{age} ms")
    if rules.position is not None:
        worst = slot.high if order.sign > 0 else -slot.low
        if worst + case.extra > rules.position:
            _add(case, found, "POSITION", text(rules.position), text(worst + case.extra))
    if case.gross <= 0:
        return
    if rules.concentration_ppm is not None:
        _share(case, found, "CONCENTRATION", slot.gross + case.gross, rules.concentration_ppm)
    for level, limits in ((slot.book, rules.book), (slot.book.kind_level, rules.kind), (slot.firm, rules.firm)):
        if limits.gross is not None and level.gross + case.gross > limits.gross:
            _add(case, found, "GROSS_NOTIONAL", f"{text(limits.gross)} ({limits.name})", text(level.gross + case.gross))


def _net(case: Case, found: list[Violation]) -> None:
    order, slot, rules = case.order, case.slot, case.rules
    buys = order.sign > 0
    for level, limits in ((slot.book, rules.book), (slot.book.kind_level, rules.kind), (slot.firm, rules.firm)):
        if limits.net is None or (order.internal and level is slot.firm):
            continue
        worst = (level.net_high if buys else -level.net_low) + case.value
        if worst > limits.net:
            _add(case, found, "NET_NOTIONAL", f"{text(limits.net)} ({limits.name})", text(worst))
    if rules.net_position is not None and not order.internal:
        worst = (slot.instrument.high if buys else -slot.instrument.low) + case.extra
        if worst > rules.net_position:
            _add(case, found, "NET_POSITION", text(rules.net_position), text(worst))


def _size_and_price(case: Case, found: list[Violation]) -> None:
    order, rules, instrument = case.order, case.rules, case.slot.instrument
    if rules.order_quantity is not None and order.quantity > rules.order_quantity:
        _add(case, found, "ORDER_QUANTITY", text(rules.order_quantity), text(order.quantity))
    last, price = instrument.price, order.price
    if rules.order_notional is not None and not case.reduces:
        worst = abs(instrument.value(order.quantity, max(price or 0, last or 0)))
        if worst > rules.order_notional:
            _add(case, found, "ORDER_NOTIONAL", text(rules.order_notional), text(worst))
    if price is not None and rules.fat_finger_ppm is not None:
        if not last:
            if not case.adds:
                _add(case, found, "NO_PRICE", "a price of the instrument", "none yet")
        elif abs(price - last) * PPM > last * rules.fat_finger_ppm:
            away = abs(price - last) * 100 / last
            _add(case, found, "FAT_FINGER", f"{rules.fat_finger_ppm / 10_000:g} % of {text(last)}", f"{away:.4f} %")


def _rate(case: Case, found: list[Violation]) -> None:
    slot, rules, now = case.slot, case.rules, case.order.ts_ns
    for level, limits in ((slot.firm, rules.firm), (slot.book.kind_level, rules.kind), (slot.book, rules.book)):
        if case.order.modifies:
            window, size, code = level.modifies, limits.modifies_per_s, "MODIFY_RATE"
        else:
            window, size, code = level.orders, limits.orders_per_s, "ORDER_RATE"
        if size is not None and window is not None and window.full(now):
            _add(case, found, code, f"{size} a second ({limits.name})", "one more")


def count(order: OrderView, slot: Slot, rules: SlotRules) -> None:
    """Count an order that is let pass towards the rates of every level."""
    for level, limits in ((slot.firm, rules.firm), (slot.book.kind_level, rules.kind), (slot.book, rules.book)):
        if order.modifies:
            if limits.modifies_per_s is not None:
                level.modifies = RateWindow.of(level.modifies, limits.modifies_per_s)
                level.modifies.add(order.ts_ns)
        elif limits.orders_per_s is not None:
            level.orders = RateWindow.of(level.orders, limits.orders_per_s)
            level.orders.add(order.ts_ns)
