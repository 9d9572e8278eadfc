"""One backtest inside a container, put together from the same parts as a run on the host."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import Venue
from nautilus_trader.persistence import ParquetDataCatalog
from pydantic import ValidationError

from ufos_nautilus.engine.algorithm_setup import cancel_unworked
from ufos_nautilus.engine.assemble import Assembly, assemble, book_seed, make_engine
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.bypass import find_bypasses
from ufos_nautilus.engine.feed import ENGINE_TYPES, TableRef, batch_deltas
from ufos_nautilus.engine.gate import OpenGate
from ufos_nautilus.engine.recorder import Recorder
from ufos_nautilus.engine.sources import Sources
from ufos_nautilus.engine.spec_file import explain
from ufos_nautilus.errors import UfosError
from ufos_nautilus.limits import SANDBOX_RESULT_ROWS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_sandbox.guest.worker import UserError

PROGRESS_EVERY_S = 0.2
SAMPLES = 400
"""How often at most a run is interrupted to tidy up and to tell how far it is."""
FILL_FIELDS = 12
"""Leading columns of a fill that the digest is made of; the market beside them is the host's to add."""


class TooMuchError(Exception):
    """A result has more rows than may leave a container."""


class MemoryTable:
    """Rows of one table of a run, kept in memory up to a limit."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.dropped = 0

    def append(self, row: tuple[Any, ...]) -> None:
        """Keep one row."""
        if len(self.rows) >= SANDBOX_RESULT_ROWS_MAX:
            raise TooMuchError(f"more than {SANDBOX_RESULT_ROWS_MAX:,} rows; send fewer orders or use a shorter slice")
        self.rows.append(row)

    def close(self) -> None:
        """Do nothing: rows leave with the result."""


class GuestRecorder(Recorder):
    """The recorder of every run, without tables on disk and without samples: the host makes those itself."""

    progress: Callable[[int], None]

    def __init__(self, interval_ns: int, venues: list[str], portfolio: Any) -> None:
        super().__init__(Path("/"), interval_ns, venues, portfolio, keep_quotes=False)
        self.tables = _Tables()  # pyright: ignore[reportAttributeAccessIssue]
        self._said = time.monotonic()

    def _top(self, instrument_id: Any) -> tuple[None, None]:
        """Return no market: the host looks it up in its own data."""
        return None, None

    def late_orders(self) -> list[tuple[Any, ...]]:
        """Return orders that ended after the recorder had stopped listening, once the digests are taken."""
        table: Any = self.tables["orders"]
        recorded, known = len(table.rows), {row[1] for row in table.rows}
        for order in sorted(self.cache.orders(), key=lambda o: (o.ts_init, str(o.client_order_id))):
            if str(order.client_order_id) not in known:
                self._record_order(order)
        late = table.rows[recorded:]
        del table.rows[recorded:]
        return late

    def _sample_account(self, *_: Any, **__: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Keep no equity: the host works it out."""

    def _on_sample(self, event: Any) -> None:
        super()._on_sample(event)
        clock = time.monotonic()
        if clock - self._said >= PROGRESS_EVERY_S:
            self._said = clock
            self.progress(self.clock.timestamp_ns())


class _Tables(dict[str, Any]):
    """The tables that leave a container; all others swallow what they get."""

    def __init__(self) -> None:
        super().__init__({name: MemoryTable() for name in ("orders", "fills", "denials")})

    def __missing__(self, name: str) -> "_Nowhere":
        return _Nowhere()


class _Nowhere:
    dropped = 0

    def append(self, row: tuple[Any, ...]) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Prepared:
    """A run that lacks only its book."""

    engine: BacktestEngine
    parts: Assembly
    spec: Any
    params: dict[str, Any]
    rows: int
    items: int
    start_ns: int
    end_ns: int

    def run(self, book_class: type[Book], progress: Callable[[int], None]) -> dict[str, Any]:
        """Make the book, run it over the data and return what it did as plain data.

        Raises
        ------
        UserError
            Phase ``build``, ``callback`` or ``run``.

        """
        engine, spec = self.engine, self.spec
        book = self._make_book(book_class)
        # Nobody reads the samples here; they only keep the engine's memory of accounts and orders short.
        interval_ns = max(int(spec.recording.sample_interval_s * 1e9), (self.end_ns - self.start_ns) // SAMPLES)
        recorder = GuestRecorder(interval_ns, [v.name for v in spec.venues], engine.portfolio)
        recorder.progress = progress
        for actor in [*self.parts.actors, recorder]:
            engine.add_actor(actor)
        engine.add_strategy(book)
        failed: BaseException | None = None
        try:
            engine.run(start=self.start_ns, end=self.end_ns, streaming=True)
            self._raise_first(book, recorder, None)
            cancel_unworked(engine.cache, [book])
            engine.end()
        except (UserError, TooMuchError):
            raise
        except BaseException as error:
            failed = error
        self._raise_first(book, recorder, failed)
        hashes = recorder.finish()
        self._raise_first(book, recorder, None)
        outcome = engine.get_result()
        return {
            "iterations": outcome.iterations,
            "events": outcome.total_events,
            "counts": {name: recorder.counts[name] for name in ("orders", "fills", "denied", "rejected")},
            "hashes": hashes,
            "balances": self._balances(),
            "late": [list(row) for row in recorder.late_orders()],
            "orders": [list(row) for row in recorder.tables["orders"].rows],  # pyright: ignore
            "fills": [list(row[:FILL_FIELDS]) for row in recorder.tables["fills"].rows],  # pyright: ignore
        }

    def _make_book(self, book_class: type[Book]) -> Book:
        entry = self.spec.books[0]
        try:
            seed = book_seed(self.spec.seed, entry.id)
            config = book_class.Config(book_id=entry.id, seed=seed, **self.params)
            book = book_class(config)
        except ValidationError as error:
            problem = explain(error, book_class.Config, "params")
            raise UserError("build", ValueError(problem), 0) from None
        except BaseException as error:
            raise UserError("build", error) from None
        book.gate = OpenGate()
        book.algorithms = frozenset(a.name for a in self.parts.algorithms) | {"TWAP"}
        book.deep_venues = frozenset(v.name for v in self.spec.venues if v.book != "L1")
        for algorithm in self.parts.algorithms:
            algorithm.books = {book.book_id: book}
        return book

    def _raise_first(self, book: Book, recorder: GuestRecorder, failed: BaseException | None) -> None:
        if isinstance(recorder.failure, TooMuchError):
            raise recorder.failure
        if book.failure is not None:
            raise UserError("callback", book.failure)
        for component in (recorder, *self.parts.algorithms, *self.parts.actors):
            if component.failure is not None:
                raise UserError("run", component.failure)
        if failed is not None:
            raise UserError("run", failed)

    def _balances(self) -> dict[str, dict[str, str]]:
        out = {}
        for venue in self.spec.venues:
            account = self.engine.cache.account_for_venue(Venue(venue.name))
            totals = account.balances_total() if account is not None else {}
            out[venue.name] = {str(k): _plain(v.as_decimal()) for k, v in totals.items()}
        return out


def _plain(value: Any) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def prepare(
    spec_data: dict[str, Any],
    tables: list[dict[str, Any]],
    instruments: list[dict[str, Any]],
    root: Path,
    end_ns: int = 0,
) -> Prepared:
    """Build the engine with all market data in it; nothing is read from disk afterwards.

    Parameters
    ----------
    spec_data : dict
        A run spec that the host has validated, decimals marked as such.
    tables : list of dict
        ``kind``, ``identifier``, ``rows`` and ``first_ns`` of each, in the order in which a run on the host reads them.
    instruments : list of dict
        `InstrumentSpec.to_dict` of each instrument.
    root : Path
        Where the slice lies.
    end_ns : int
        Instant until which timers run on after the last row.

    Raises
    ------
    ValueError
        The spec does not fit the slice, or the slice is empty.

    """
    spec: Any = as_objects(spec_data)
    specs = {i["instrument_id"]: InstrumentSpec.from_dict(i) for i in instruments}
    refs = [TableRef(root, t["kind"], t["identifier"], t["rows"], t["first_ns"], ()) for t in tables]
    engine = make_engine(spec, root)
    try:
        bare: Any = SimpleNamespace(**vars(spec) | {"books": []})
        parts = assemble(engine, bare, Sources(specs, refs), root, "sandbox")
    except UfosError as error:
        raise ValueError(str(error)) from None
    rows, items, first, last = _add_tables(engine, tables, root)
    if not rows:
        raise ValueError("the slice holds no rows")
    return Prepared(engine, parts, spec, spec_data["books"][0]["params"], rows, items, first, max(last, end_ns))


def as_objects(value: Any) -> Any:
    """Turn plain data into objects with attributes; ``{"decimal": "0.1"}`` into a decimal."""
    if isinstance(value, list):
        return [as_objects(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"decimal"}:
            return Decimal(value["decimal"])
        return SimpleNamespace(**{key: as_objects(item) for key, item in value.items()})
    return value


def _add_tables(engine: BacktestEngine, tables: list[dict[str, Any]], root: Path) -> tuple[int, int, int, int]:
    catalog = ParquetDataCatalog(str(root.resolve()))
    groups: dict[tuple[str, str], list[str]] = {}
    for table in tables:
        # Books are read one by one: events of two books at the same instant must not mix.
        own = table["identifier"] if table["kind"] == "order_book_deltas" else ""
        groups.setdefault((table["kind"], own), []).append(table["identifier"])
    rows, items, firsts, lasts = 0, 0, [], []
    for (kind, _), identifiers in groups.items():
        objects = catalog.query(ENGINE_TYPES[kind], identifiers)
        if not objects:
            continue
        rows += len(objects)
        firsts.append(objects[0].ts_init)
        lasts.append(objects[-1].ts_init)
        batched = batch_deltas(objects) if kind == "order_book_deltas" else objects
        items += len(batched)
        engine.add_data(batched, validate=False, sort=False)
    engine.sort_data()
    return rows, items, min(firsts, default=0), max(lasts, default=0)


def find_book(module: ModuleType) -> type[Book]:
    """Return the one book class that a module defines.

    Raises
    ------
    UserError
        Phase ``exec``: there is none, there are several, or the source goes around the gate.

    """
    import linecache

    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Book) and value.__module__ == module.__name__
    ]
    found = list(dict.fromkeys(found))
    leaves = [c for c in found if not any(c is not other and issubclass(other, c) for other in found)]
    if len(leaves) != 1:
        names = ", ".join(sorted(c.__name__ for c in leaves)) or "none"
        problem = f"the code defines {len(leaves)} books ({names}); define one subclass of ufos_nautilus.engine.Book"
        raise UserError("exec", TypeError(problem), 0)
    bypasses = find_bypasses("".join(linecache.getlines(module.__file__ or "")))
    if bypasses:
        raise UserError("exec", PermissionError(bypasses[0].what), bypasses[0].line)
    return leaves[0]
