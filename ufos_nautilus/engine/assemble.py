"""Builds an engine from a run spec: data sources, instruments, venues, books and the recorder."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import CacheConfig, LoggerConfig, LogLevel
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.model import InstrumentId, TraderId
from nautilus_trader.persistence import DataCatalogConfig, StreamingConfig
from nautilus_trader.risk import RiskEngineConfig
from pydantic import ValidationError

from ufos_nautilus.engine.algorithm import Algorithm
from ufos_nautilus.engine.algorithm_setup import add_algorithms, make_algorithms
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.bypass import refuse_bypasses
from ufos_nautilus.engine.dark import dark_id
from ufos_nautilus.engine.gate import Gate, OpenGate
from ufos_nautilus.engine.house import House
from ufos_nautilus.engine.house_setup import add_house, starting_capital
from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.engine.keeper import LedgerKeeper
from ufos_nautilus.engine.sources import Sources, instrument_names, require_known
from ufos_nautilus.engine.spec import BookSpec, RunSpec
from ufos_nautilus.engine.spec_file import explain
from ufos_nautilus.engine.tape import Tape
from ufos_nautilus.engine.venues import add_venue, venue_seeds
from ufos_nautilus.errors import SpecError
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.market.instruments import InstrumentSpec

if TYPE_CHECKING:  # SQLAlchemy takes a tenth of a second to import, so it is where a run keeps a ledger
    from ufos_nautilus.ledger.store import LedgerStore

TICKS_IN_CACHE = 100
BARS_IN_CACHE = 500
LEDGER_FILE = "ledger.sqlite"


def load_book_class(path: str) -> type[Book]:
    """Import a book class from ``module:Class`` and check that it can be trusted with the gate."""
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"class_path {path!r} can't be imported: {error}",
            expected="module:Class, for example ufos_strategies.market_maker:MarketMaker",
        ) from error
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
    return BacktestEngine(config)


@dataclass(slots=True)
class Assembly:
    """The parts of a run that the runner talks to."""

    books: list[Book]
    tape: Tape
    algorithms: list[Algorithm]
    keeper: LedgerKeeper | None = None
    house: House | None = None
    ledger: Ledger | None = None
    store: "LedgerStore | None" = None
    seed_rows: int = 0
    """Events that were given to the engine before the data."""

    @property
    def actors(self) -> list[Any]:
        """Return the actors in the order in which they must hear of events."""
        return [actor for actor in (self.tape, self.house, self.keeper) if actor is not None]

    def lit_instruments(self) -> dict[str, InstrumentId]:
        """Return the lit instrument of each one on the internal venue."""
        names = self.house.instruments if self.house is not None else {}
        return {dark_id(spec.symbol): InstrumentId.from_str(name) for name, spec in names.items()}

    def close(self) -> None:
        """Close the ledger's store; what was flushed is kept."""
        if self.store is not None:
            self.store.close()


def assemble(
    engine: BacktestEngine, spec: RunSpec, sources: Sources, directory: Path, run_id: str, gate: Gate | None = None
) -> Assembly:
    """Add venues and instruments to an engine, and make books, house and ledger keeper."""
    venues = {v.name for v in spec.venues}
    missing = sorted({i.venue for i in sources.instruments.values()} - venues)
    if missing:
        raise SpecError(
            f"no [[venues]] entry for {', '.join(missing)}",
            expected="one venue for each venue name in the instrument ids",
        )
    seeds = venue_seeds(spec.venues, spec.seed)
    for venue in spec.venues:
        add_venue(engine, venue, seeds[venue.name])
    for instrument in sources.instruments.values():
        engine.add_instrument(to_engine(instrument))
    tape, algorithms = make_algorithms(spec.algorithms, sources.tables, gate or OpenGate())
    names = add_algorithms(engine, algorithms)
    books = [make_book(b, book_seed(spec.seed, b.id), sources.instruments) for b in spec.books]
    for book in books:
        book.gate = gate or OpenGate()
        book.algorithms = names
    out = Assembly(books, tape, algorithms)
    if spec.crossing is not None and spec.crossing.enabled:
        out.house = add_house(engine, spec, spec.crossing, sources, books, directory, run_id)
        out.seed_rows = len(out.house.instruments)
    if spec.ledger.enabled:
        from ufos_nautilus.ledger.store import LedgerStore

        source = os.environ.get("UFOS_LEDGER_URL") or directory / LEDGER_FILE
        out.store = LedgerStore.open(source)
        out.ledger = Ledger(out.store, batch=spec.ledger.batch)
        cash = {v.name for v in spec.venues if v.account == "cash"}
        capital = starting_capital(spec, dark=out.house is not None)
        out.keeper = LedgerKeeper(out.ledger, sources.instruments, cash, capital)
    return out
