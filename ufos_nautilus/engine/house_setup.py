"""Sets up the house inside an engine: the internal venue, its instruments, and who owns the starting balances."""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import InstrumentId, QuoteTick

from ufos_nautilus.crossing.terms import CrossingRules
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.dark import DARK_VENUE, AgreedFill, AgreedTerms, dark_instrument
from ufos_nautilus.engine.house import House
from ufos_nautilus.engine.instruments import price, quantity, to_engine
from ufos_nautilus.engine.keeper import HOUSE_BOOK
from ufos_nautilus.engine.sources import Sources, instrument_names, require_known
from ufos_nautilus.engine.spec import CrossingSpec, RunSpec, VenueSpec
from ufos_nautilus.engine.venues import add_venue
from ufos_nautilus.errors import SpecError
from ufos_nautilus.ledger.records import StrategyRecord
from ufos_nautilus.market.instruments import InstrumentSpec

ALLOCATION_STEP = Decimal("0.0001")
DARK_LEVERAGE = Decimal(100)


def add_house(
    engine: BacktestEngine,
    spec: RunSpec,
    crossing: CrossingSpec,
    sources: Sources,
    books: list[Book],
    directory: Path,
    run_id: str,
) -> House:
    """Add the internal venue with an instrument per crossing root, and make the house that books there."""
    for name in crossing.instruments:
        require_known(name, sources.instruments, "crossing: the run")
    crossable = {
        name: s
        for name, s in sources.instruments.items()
        if name in crossing.instruments or (not crossing.instruments and not s.inverse and s.kind != "option")
    }
    terms = AgreedTerms()
    dark = VenueSpec(name=DARK_VENUE, balances=dark_balances(spec), leverage=DARK_LEVERAGE, queue_position=False)
    add_venue(engine, dark, 0, AgreedFill(terms))
    for instrument in crossable.values():
        engine.add_instrument(to_engine(dark_instrument(instrument)))
    rules = CrossingRules(
        age_limit_ns=int(crossing.age_limit_ms * 1_000_000),
        min_improvement=crossing.min_improvement,
        fee_bps=crossing.fee_bps,
        min_cross_quantity=crossing.min_quantity,
    )
    house = House(crossable, rules, int(crossing.window_s * 1_000_000_000), terms, directory, run_id)
    kinds = {b.id: b.kind for b in spec.books}
    for book in books:
        house.books[book.book_id] = book
        book.house = house
        if kinds[book.book_id] == "desk":
            # A desk that names no instruments serves all that no other desk names.
            named = instrument_names(book.params)
            house.desks |= dict.fromkeys(named or [n for n in crossable if n not in house.desks], book)
    return house


def seed_quote(lit: InstrumentSpec, ts_ns: int) -> QuoteTick:
    """Return the one quote an internal instrument needs before the engine accepts market orders on it.

    Its price is never traded at: the fill model alone decides the terms. It comes with the first market data of the
    run, because the engine leaves out what lies before.
    """
    spec = dark_instrument(lit)
    one = price(spec.tick_size, spec.price_precision)
    size = quantity(spec.lot_size, spec.size_precision)
    return QuoteTick(InstrumentId.from_str(spec.instrument_id), one, one, size, size, ts_ns, ts_ns)


def dark_balances(spec: RunSpec) -> list[str]:
    """Return the internal venue's starting balances: as much of each currency as all lit venues together hold."""
    totals: dict[str, Decimal] = {}
    for venue in spec.venues:
        for text in venue.balances:
            amount, _, code = text.partition(" ")
            totals[code] = totals.get(code, Decimal(0)) + Decimal(amount)
    return [f"{amount} {code}" for code, amount in sorted(totals.items())]


def _allocate(
    spec: RunSpec, left: dict[tuple[str, str], Decimal], capital: dict[str, list[tuple[str, str, Decimal]]]
) -> None:
    """Give books their percentage of what is left of each currency at their venue, rounded down to a whole unit."""
    house = dict(left)
    for book in spec.books:
        if book.allocation_pct is None:
            continue
        if book.capital:
            raise SpecError(f"book {book.id} has both capital and allocation_pct", expected="one of the two")
        venue = book.venue or spec.venues[0].name
        for (where, code), amount in house.items():
            if where == venue:
                share = (amount * book.allocation_pct / 100).to_integral_value(ROUND_FLOOR)
                left[where, code] -= share
                capital[book.id].append((where, code, share))
                if left[where, code] < 0:
                    raise SpecError(
                        f"allocations at {venue} add up to more than 100 percent with book {book.id}",
                        expected="percentages of the house's capital that add up to 100 at most",
                    )


def starting_capital(spec: RunSpec, *, dark: bool) -> dict[str, list[tuple[str, str, Decimal]]]:
    """Divide the venues' balances among books: what each declares, a lone book everything, the house the rest."""
    left = {
        (v.name, text.partition(" ")[2]): Decimal(text.partition(" ")[0]) for v in spec.venues for text in v.balances
    }
    alone = len(spec.books) == 1 and not spec.books[0].capital and spec.books[0].allocation_pct is None
    capital: dict[str, list[tuple[str, str, Decimal]]] = {b.id: [] for b in spec.books}
    for book in spec.books:
        venue = book.venue or spec.venues[0].name
        for text in book.capital:
            amount, _, code = text.partition(" ")
            if left.get((venue, code), Decimal(0)) < Decimal(amount):
                raise SpecError(
                    f"book {book.id} wants {text} of capital, {venue} has {left.get((venue, code), 0)} {code} left",
                    expected="capitals that add up to no more than the venue's balance",
                )
            left[venue, code] -= Decimal(amount)
            capital[book.id].append((venue, code, Decimal(amount)))
    _allocate(spec, left, capital)
    owner = spec.books[0].id if alone else HOUSE_BOOK
    rest = capital.setdefault(owner, [])
    rest += [(venue, code, amount) for (venue, code), amount in left.items()]
    if dark:
        house = capital.setdefault(HOUSE_BOOK, [])
        for text in dark_balances(spec):
            amount, _, code = text.partition(" ")
            house.append((DARK_VENUE, code, Decimal(amount)))
    return capital


def strategy_records(spec: RunSpec, capital: Mapping[str, list[tuple[str, str, Decimal]]]) -> list[StrategyRecord]:
    """Return a row for each desk and strategy of a run: its class, and its share of all that its currency has."""
    totals: dict[str, Decimal] = {}
    for amounts in capital.values():
        for venue, code, amount in amounts:
            if venue != DARK_VENUE:
                totals[code] = totals.get(code, Decimal(0)) + amount
    rows: list[StrategyRecord] = []
    for book in spec.books:
        if book.kind in ("desk", "strategy"):
            shares = [amount / totals[code] for _, code, amount in capital.get(book.id, []) if totals[code]]
            rows.append(
                StrategyRecord(
                    id=book.id,
                    name=book.class_path.rpartition(":")[2],
                    logic_path=book.class_path,
                    allocation_pct=(100 * max(shares, default=Decimal(0))).quantize(ALLOCATION_STEP),
                )
            )
    return rows
