"""Builds an engine from a run spec: data sources, instruments, venues, books and the recorder."""

import importlib
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import CacheConfig, LoggerConfig, LogLevel
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.model import InstrumentId, TraderId
from nautilus_trader.persistence import DataCatalogConfig, StreamingConfig
from nautilus_trader.risk import RiskEngineConfig
from pydantic import ValidationError

from ufos_nautilus.engine.actor import Actor
from ufos_nautilus.engine.algorithm import Algorithm
from ufos_nautilus.engine.algorithm_setup import add_algorithms, make_algorithms
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.book_accounts import LedgerIndex
from ufos_nautilus.engine.bypass import refuse_bypasses
from ufos_nautilus.engine.dark import DARK_VENUE, dark_id
from ufos_nautilus.engine.funding import FundingModule, Payment, announcements, check_funding
from ufos_nautilus.engine.gate import Gate, OpenGate
from ufos_nautilus.engine.house import House
from ufos_nautilus.engine.house_setup import add_house, starting_capital, strategy_records
from ufos_nautilus.engine.instruments import is_currency, to_engine
from ufos_nautilus.engine.keeper import HOUSE_BOOK, LedgerKeeper
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.risk_setup import RiskParts, risk_of_run
from ufos_nautilus.engine.sources import Sources, instrument_names, require_known
from ufos_nautilus.engine.spec import ActorSpec, BookSpec, RunSpec, VenueSpec
from ufos_nautilus.engine.spec_file import explain
from ufos_nautilus.engine.tape import Tape
from ufos_nautilus.engine.treasury import BANK_VENUE, AccountModule, Treasury
from ufos_nautilus.engine.treasury_setup import (
    actions_of,
    currencies_of,
    flows_of,
    give_accounts,
    make_treasury,
    securities_of,
)
from ufos_nautilus.engine.venues import add_venue, venue_seeds
from ufos_nautilus.errors import SpecError
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.ledger.sqlite import LEDGER_FILE
from ufos_nautilus.ledger.store_fresh import FreshStore
from ufos_nautilus.market.instruments import InstrumentSpec

if TYPE_CHECKING:  # SQLAlchemy takes a tenth of a second to import: it is where a run names a database
    from ufos_nautilus.ledger.store import LedgerStore

TICKS_IN_CACHE = 100
BARS_IN_CACHE = 500
ZERO = Decimal(0)


def load_class(path: str, example: str) -> Any:
    """Import what ``module:Class`` names."""
    module_name, _, class_name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"class_path {path!r} can't be imported: {error}", expected=f"module:Class, for example {example}"
        ) from error


def load_book_class(path: str) -> type[Book]:
    """Import a book class from ``module:Class`` and check that it can be trusted with the gate."""
    found = load_class(path, "ufos_strategies.market_maker:MarketMaker")
    if not (isinstance(found, type) and issubclass(found, Book)):
        raise SpecError(f"{path!r} is no book", expected="a subclass of ufos_nautilus.engine.Book")
    refuse_bypasses(found)
    return found


def make_book(spec: BookSpec, seed: int, instruments: dict[str, InstrumentSpec]) -> Book:
    """Import, configure and create one book."""
    book_class = load_book_class(spec.class_path)
    try:
        config = book_class.Config(book_id=spec.id, seed=seed, **spec.params)
    except ValidationError as error:
        raise SpecError(
            explain(error, book_class.Config, f"params of book {spec.id}"),
            expected=f"parameters of {spec.class_path}",
        ) from None
    except TypeError as error:
        raise SpecError(
            f"params of book {spec.id}: {error}", expected="parameters other than book_id and seed"
        ) from None
    for name in instrument_names(config):
        require_known(name, instruments, f"book {spec.id}: the run")
    return book_class(config)


def make_actor(spec: ActorSpec, instruments: dict[str, InstrumentSpec]) -> Actor:
    """Import, configure and create one actor."""
    found = load_class(spec.class_path, "ufos_strategies.actors.lead_lag:LeadLag")
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise SpecError(f"{spec.class_path!r} is no actor", expected="a subclass of ufos_nautilus.engine.Actor")
    try:
        config = found.Config(actor_id=spec.id, **spec.params)
    except ValidationError as error:
        raise SpecError(
            explain(error, found.Config, f"params of actor {spec.id}"), expected=f"parameters of {spec.class_path}"
        ) from None
    except TypeError as error:
        raise SpecError(f"params of actor {spec.id}: {error}", expected="parameters other than actor_id") from None
    for name in config.instruments():
        require_known(name, instruments, f"actor {spec.id}: the run")
    return found(config)


def book_seed(seed: int, book_id: str) -> int:
    """Return a book's own seed, so that adding a book does not change the others."""
    return (seed * 1_000_003 + int.from_bytes(book_id.encode(), "big")) % 2**63


def make_engine(spec: RunSpec, directory: Path) -> BacktestEngine:
    """Create an engine with its logging off and its limits set on purpose."""
    level = os.environ.get("UFOS_ENGINE_LOG", "").upper()
    streaming = None
    if spec.recording.events:
        events = directory / "events"
        events.mkdir()
        streaming = StreamingConfig(writer_path=str(events / "stream"), catalog=DataCatalogConfig(path=str(events)))
    config = BacktestEngineConfig(
        trader_id=TraderId("UFOS-001"),
        # Both are needed: either one alone still prints.
        bypass_logging=not level,
        logging=LoggerConfig(stdout_level=getattr(LogLevel, level)) if level else LoggerConfig(bypass_logging=True),
        shutdown_on_error=True,
        cache=CacheConfig(tick_capacity=TICKS_IN_CACHE, bar_capacity=BARS_IN_CACHE),
        # Market orders need a quote; where only books are recorded it is taken from them.
        data_engine=DataEngineConfig(emit_quotes_from_book=True),
        risk_engine=RiskEngineConfig(
            max_order_submit_rate=f"{spec.risk.order_submits_per_s}/00:00:01",
            max_order_modify_rate=f"{spec.risk.order_modifies_per_s}/00:00:01",
        ),
        streaming=streaming,
    )
    with _not_imported("numpy", "pandas", "pytz"):
        return BacktestEngine(config)


@contextmanager
def _not_imported(*names: str) -> Iterator[None]:
    """Make packages look absent unless they are imported already.

    Where they are installed the engine imports them as it is made, which takes a second, and a run uses none.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@dataclass(slots=True)
class Assembly:
    """The parts of a run that the runner talks to."""

    books: list[Book]
    tape: Tape
    algorithms: list[Algorithm]
    watchers: list[Actor]
    """Actors that the spec names."""
    modules: list[Any]
    """What changes the venues' accounts without a trade: fundings, corporate actions, owners' money."""
    keeper: LedgerKeeper | None = None
    treasury: Treasury | None = None
    index: LedgerIndex | None = None
    """Holdings by book, where there is a ledger."""
    house: House | None = None
    ledger: Ledger | None = None
    store: "FreshStore | LedgerStore | None" = None
    risk: RiskParts | None = None
    seed_rows: int = 0
    """Events that were given to the engine before the data."""
    unworked: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    """Algorithm -> instrument id -> quantity that it still held back when the run ended."""

    @property
    def actors(self) -> list[Any]:
        """Return the actors in the order in which they must hear of events."""
        watchdog = self.risk.watchdog if self.risk is not None else None
        known = (watchdog, self.tape, self.house, self.keeper, self.treasury, *self.watchers)
        return [actor for actor in known if actor is not None]

    def lit_instruments(self) -> dict[str, InstrumentId]:
        """Return the lit instrument of each one on the internal venue."""
        names = self.house.instruments if self.house is not None else {}
        return {dark_id(spec.symbol): InstrumentId.from_str(name) for name, spec in names.items()}

    def algorithm_figures(self) -> dict[str, Any]:
        """Return what each algorithm did, for the run's summary; the engine's own only says what it never sent."""
        native = {
            name: {"unworked": {instrument: plain(q) for instrument, q in amounts.items()}}
            for name, amounts in self.unworked.items()
        }
        return native | {a.name: a.figures() for a in self.algorithms if a.counts["orders"]}

    def close(self, *, failed: bool) -> None:
        """Close the ledger's store and the record of risk; a run that failed leaves nothing in the store."""
        if self.risk is not None:
            self.risk.audit.close()
        if self.store is not None:
            if failed:
                self.store.discard()
            self.store.close()


def _add_venues(
    engine: BacktestEngine, spec: RunSpec, sources: Sources, accounts: Sequence[AccountModule]
) -> tuple[list[Any], deque[Payment]]:
    """Add venues and instruments; return the venues' modules and where fundings leave their payments."""
    venues = {v.name for v in spec.venues}
    missing = sorted({i.venue for i in sources.instruments.values()} - venues)
    if missing:
        raise SpecError(
            f"no [[venues]] entry for {', '.join(missing)}",
            expected="one venue for each venue name in the instrument ids",
        )
    _check_currencies(spec.venues, sources)
    seeds = venue_seeds(spec.venues, spec.seed)
    payments: deque[Payment] = deque()
    modules: list[Any] = [*accounts]
    for venue in spec.venues:
        check_funding(venue.funding, sources.instruments, venue.name)
        fundings = [FundingModule(venue.funding, sources.instruments, payments)] if venue.funding else []
        modules += fundings
        own = [module for module in accounts if module.venue == venue.name]
        add_venue(engine, venue, seeds[venue.name], modules=[*fundings, *own])
    bank = [module for module in accounts if module.venue == BANK_VENUE]
    if bank:
        nothing = [f"0 {code}" for code in currencies_of(spec)]
        add_venue(engine, VenueSpec(name=BANK_VENUE, balances=nothing), 0, modules=bank)
    for instrument in sources.instruments.values():
        engine.add_instrument(to_engine(instrument))
    return modules, payments


def _check_currencies(venues: Sequence[VenueSpec], sources: Sources) -> None:
    """Refuse money that neither the engine nor an instrument of the run knows."""
    known = {code for i in sources.instruments.values() for code in (i.base, i.quote, i.settlement)}
    for venue in venues:
        for text in venue.balances:
            code = text.partition(" ")[2]
            if code not in known and not is_currency(code):
                raise SpecError(
                    f"venue {venue.name}: {code!r} is no currency of the engine or of an instrument here",
                    expected=f"for example {', '.join(sorted(known)[:5])}",
                )


def _make_books(spec: RunSpec, sources: Sources, algorithms: Any, gate: Gate) -> list[Book[Any]]:
    books = [make_book(b, book_seed(spec.seed, b.id), sources.instruments) for b in spec.books]
    securities = securities_of(sources)
    for rank, book in enumerate(books):
        book.rank = rank
        book.gate = gate
        book.algorithms = algorithms
        book.securities = securities
        book.deep_venues = frozenset(v.name for v in spec.venues if v.book != "L1")
    return books


def assemble(
    engine: BacktestEngine, spec: RunSpec, sources: Sources, directory: Path, run_id: str, gate: Gate | None = None
) -> Assembly:
    """Add venues and instruments to an engine, and make books, house and ledger keeper."""
    moving = bool(spec.ledger.enabled and (actions_of(spec, sources) or flows_of(spec)))
    tills = [*(v.name for v in spec.venues if v.account == "cash"), BANK_VENUE] if moving else []
    accounts = [AccountModule(name) for name in tills]
    modules, payments = _add_venues(engine, spec, sources, accounts)
    tape, algorithms = make_algorithms(spec.algorithms, sources.tables, gate or OpenGate())
    names = add_algorithms(engine, algorithms)
    books = _make_books(spec, sources, names, gate or OpenGate())
    for algorithm in algorithms:
        algorithm.books = {book.book_id: book for book in books}
    watchers = [make_actor(a, sources.instruments) for a in spec.actors]
    for watcher in watchers:
        watcher.facts = sources.facts
    out = Assembly(books, tape, algorithms, watchers, modules)
    if spec.crossing is not None and spec.crossing.enabled:
        out.house = add_house(engine, spec, spec.crossing, sources, books, directory, run_id)
        out.seed_rows = len(out.house.instruments)
    said = announcements([f for v in spec.venues for f in v.funding], min(t.first_ns for t in sources.tables))
    if said:
        engine.add_data(said, sort=True)
        out.seed_rows += len(said)
    capital = starting_capital(spec, dark=out.house is not None) if spec.ledger.enabled else {}
    if moving:
        capital[HOUSE_BOOK] = [
            *capital.get(HOUSE_BOOK, []),
            *((BANK_VENUE, code, ZERO) for code in currencies_of(spec)),
        ]
    if spec.limits is not None and gate is None:
        crossed = out.house.instruments if out.house is not None else ()
        out.risk = risk_of_run(spec, spec.limits, books, sources, names, crossed, (directory, run_id))
        for algorithm in algorithms:
            algorithm.gate = out.risk.gate
    if spec.ledger.enabled:  # last of all, so that nothing fails between opening the store and the run
        out.store = _empty_store(directory)
        out.store.put_strategies(*strategy_records(spec, capital))
        out.ledger = Ledger(out.store, batch=spec.ledger.batch)
        cash = {v.name for v in spec.venues if v.account == "cash"}
        out.keeper = LedgerKeeper(out.ledger, sources.instruments, cash, capital, payments)
        venues = [v.name for v in spec.venues]
        venues += [name for name, there in ((DARK_VENUE, out.house), (BANK_VENUE, moving)) if there]
        out.index = give_accounts(books, out.ledger, venues)
        if moving:
            terms = out.house.terms if out.house is not None else None
            out.treasury = make_treasury(spec, sources, out.keeper, out.index, accounts, books, terms)
    return out


def _empty_store(directory: Path) -> "FreshStore | LedgerStore":
    """Open the store that keeps the run's ledger; one that holds something already would mix two runs."""
    named = os.environ.get("UFOS_LEDGER_URL")
    if not named:
        return FreshStore.create(directory / LEDGER_FILE)
    if "://" not in named:
        raise SpecError(f"UFOS_LEDGER_URL is {named!r}", expected="a database URL such as postgresql+psycopg://...")
    from ufos_nautilus.ledger.store import LedgerStore

    store = LedgerStore.open(named)
    if held := store.head.seq:
        store.close()
        raise SpecError(
            f"the ledger that UFOS_LEDGER_URL names holds {held:,} entries already",
            expected="an empty ledger for each run",
            next_step="name another database or schema, or unset UFOS_LEDGER_URL for a file in the run's folder",
        )
    return store
