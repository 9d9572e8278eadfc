"""Runs a spec from data to stored result."""

import datetime
import gc
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import InstrumentId, Venue

from ufos_nautilus.engine.algorithm_setup import cancel_unworked
from ufos_nautilus.engine.assemble import Assembly, assemble, make_engine
from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.book_statistics import book_statistics
from ufos_nautilus.engine.dark import DARK_VENUE
from ufos_nautilus.engine.feed import borders, chunks, require_rows, to_ns
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.house_setup import seed_quote
from ufos_nautilus.engine.instruments import currency
from ufos_nautilus.engine.keeper import HOUSE_BOOK
from ufos_nautilus.engine.markouts import write_markouts
from ufos_nautilus.engine.marks import mid_price
from ufos_nautilus.engine.nav import NavRecorder
from ufos_nautilus.engine.recorder import Recorder
from ufos_nautilus.engine.result import RunResult, clean_statistics, plain, run_digest
from ufos_nautilus.engine.runs import code_version, new_run_directory, run_id, runs_root, write_json, write_result
from ufos_nautilus.engine.sources import Sources, resolve_sources
from ufos_nautilus.engine.spec import RunSpec
from ufos_nautilus.engine.spec_file import spec_digest
from ufos_nautilus.engine.tickets import TicketRecorder
from ufos_nautilus.engine.treasury import BANK_VENUE
from ufos_nautilus.engine.turns import give_turns
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.run_schemas import SCHEMAS

NS_PER_S = 1_000_000_000
YOUNG_OBJECTS = 50_000
"""Objects made before the collector looks at the young ones during a run."""
Progress = Callable[[int, int], None]
"""Called with the rows done since the last call and the rows in all."""


def run_backtest(spec: RunSpec, *, root: Path | None = None, progress: Progress | None = None) -> RunResult:
    """Run a spec and store the result.

    Parameters
    ----------
    spec : RunSpec
        What to run.
    root : Path, optional
        Directory of runs; `runs_root()` by default.
    progress : callable, optional
        Called as data is consumed.

    Returns
    -------
    RunResult
        Stored under ``root/<run_id>``; running the same spec again replaces it.

    Raises
    ------
    RunFailedError
        Where a book or actor raised; nothing is stored then.

    """
    started = time.monotonic()
    sources = resolve_sources(spec.data)
    digest = spec_digest(spec)
    identifier = run_id(spec.name, digest, sources.digests, spec.seed)
    root = root or runs_root()
    with new_run_directory(root, identifier) as directory, _garbage_of_the_run():
        engine = make_engine(spec, directory)
        parts: Assembly | None = None
        failed = True
        try:
            parts = assemble(engine, spec, sources, directory, identifier)
            summary = _run(engine, spec, sources, directory, parts, progress)
            failed = False
        finally:
            if parts is not None:
                parts.close(failed=failed)
            engine.dispose()
        summary |= {
            "run_id": identifier,
            "name": spec.name,
            "mode": spec.mode,
            "seed": spec.seed,
            "spec_digest": digest,
            "data": sources.digests,
            "code_version": code_version(),
            "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "elapsed_s": round(time.monotonic() - started, 3),
            "status": "completed",
        }
        write_json(directory / "spec.json", spec.model_dump(mode="json"))
        write_result(directory, summary)
    return RunResult(root / identifier, summary)


@contextmanager
def _garbage_of_the_run() -> Iterator[None]:
    """Keep the collector off what was there before, and collect what the run leaves behind.

    An engine holds cycles through its callbacks; many runs in one process must not pile up. Older objects are set
    aside meanwhile, for walking them all costs as much as replaying 10,000 rows, each time.
    """
    aside = gc.get_freeze_count() == 0
    if aside:
        gc.freeze()
    thresholds = gc.get_threshold()
    # What a run makes is gone soon or kept for long, and next to nothing of it is a cycle.
    gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.collect()
        if aside:
            gc.unfreeze()


def _run(
    engine: BacktestEngine,
    spec: RunSpec,
    sources: Sources,
    directory: Path,
    parts: Assembly,
    progress: Progress | None,
) -> dict[str, Any]:
    interval_ns = int(spec.recording.sample_interval_s * NS_PER_S)
    venues = [v.name for v in spec.venues] + ([BANK_VENUE] if parts.treasury is not None else [])
    margined = [v.name for v in spec.venues if v.account == "margin"]
    recorder = Recorder(
        directory, interval_ns, venues, engine.portfolio, keep_quotes=spec.recording.quotes, margined=margined
    )
    recorder.lit = parts.lit_instruments()
    tickets = TicketRecorder(recorder.tables["tickets"].append, recorder.market)
    actors = [*parts.actors, recorder, tickets, *_nav_recorder(spec, sources, parts, recorder)]
    give_turns([*actors, *parts.books])
    for actor in actors:
        engine.add_actor(actor)
    for book in parts.books:
        book.quote_log, book.ticket_log = recorder.quote_log, tickets.record
        book.estimate_log = recorder.tables["estimates"].append
        engine.add_strategy(book)
    began = time.process_time()
    rows = _stream(engine, spec, sources, [*actors, *parts.algorithms, *parts.modules, *parts.books], parts, progress)
    replayed = time.process_time()
    hashes = recorder.finish()
    ticket_sums = tickets.finish(directory)
    if spec.recording.markouts:
        write_markouts(directory, sources)
    else:
        pl.DataFrame(schema=SCHEMAS["markouts"]).write_parquet(directory / "markouts.parquet")
    stored = time.process_time()
    result = engine.get_result()
    balances = _final_balances(engine, spec)
    return {
        **_house_figures(parts),
        "tickets": ticket_sums,
        "algorithms": parts.algorithm_figures(),
        "rows": rows,
        "replay_cpu_s": round(replayed - began, 4),
        "store_cpu_s": round(stored - replayed, 4),
        "events": result.total_events,
        **recorder.counts,
        "dropped_rows": {name: t.dropped for name, t in recorder.tables.items() if t.dropped},
        "net_pnl": _net_pnl(engine, spec, parts),
        "marks": _marks(engine, sources),
        "currencies": {s.settlement: currency(s.settlement).precision for s in sources.instruments.values()},
        "desks": {b.book_id: figures for b in parts.books if (figures := b.figures())},
        "actors": {a.params.actor_id: figures for a in parts.watchers if (figures := a.figures())},
        "max_inventory": {k: plain(v) for k, v in sorted(recorder.max_inventory.items())},
        "final_balances": balances,
        "statistics": clean_statistics(result),
        "performance": book_statistics(directory),
        "digests": hashes,
        "digest": run_digest(hashes, balances),
        "instruments": {name: i.to_dict() for name, i in sorted(sources.instruments.items())},
        "books": [{"id": b.id, "kind": b.kind, "class_path": b.class_path} for b in spec.books],
    }


def _nav_recorder(spec: RunSpec, sources: Sources, parts: Assembly, recorder: Recorder) -> list[NavRecorder]:
    if not spec.recording.nav_interval_s or parts.index is None:
        return []
    books = [*(b.id for b in spec.books), HOUSE_BOOK]
    times = (int(spec.recording.nav_interval_s * NS_PER_S), int(spec.recording.nav_offset_s * NS_PER_S))
    return [NavRecorder(recorder.tables["navs"].append, parts.index, sources.instruments, books, *times)]


def _stream(
    engine: BacktestEngine,
    spec: RunSpec,
    sources: Sources,
    components: list[Any],
    parts: Assembly,
    progress: Progress | None,
) -> int:
    start, end = _time_range(spec)
    spans = borders(sources.tables, spec.chunk_rows, start, end)
    require_rows(spans, spec.name)
    total = sum(table.rows for table in sources.tables)
    for instrument in parts.house.instruments.values() if parts.house is not None else ():
        engine.add_data([seed_quote(instrument, spans[0][0])], sort=True)
    done, fed = 0, parts.seed_rows
    for chunk in chunks(sources.tables, spans):
        while chunk.lists:
            # The engine makes its own copy, so a list goes as soon as it is handed over.
            fed += len(chunk.lists[0])
            engine.add_data(chunk.lists.pop(0), validate=False, sort=False)
        engine.sort_data()
        try:
            with _interrupts():
                engine.run(start=chunk.start_ns if done == 0 else None, streaming=True)
        finally:
            raise_failure(components)
        _require_whole(engine, fed, chunk.end_ns)
        engine.clear_data()
        done += chunk.rows
        if progress:
            progress(chunk.rows, total)
    parts.unworked = cancel_unworked(engine.cache, parts.books)
    engine.end()
    raise_failure(components)
    return done


@contextmanager
def _interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` after the engine has swallowed one: it takes any exception for one of a component."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if seen:
            raise KeyboardInterrupt


def _require_whole(engine: BacktestEngine, fed: int, end_ns: int) -> None:
    """Raise where the engine stopped before the end of what it was given: it does so silently on its own errors."""
    if engine.iteration != fed:
        end = datetime.datetime.fromtimestamp(end_ns / NS_PER_S, datetime.UTC).isoformat()
        raise RunFailedError(
            f"the engine stopped after {engine.iteration:,} of {fed:,} events, before {end}",
            expected="every event processed",
            next_step="run with UFOS_ENGINE_LOG=ERROR to see what the engine says",
        )


def _time_range(spec: RunSpec) -> tuple[int | None, int | None]:
    ranges = {(d.start, d.end) for d in spec.data}
    if len(ranges) > 1:
        raise SpecError("data sources have different start or end", expected="the same range in all [[data]] entries")
    start, end = ranges.pop()
    return to_ns(start) if start else None, to_ns(end) if end else None


def raise_failure(components: list[Guarded]) -> None:
    """Raise `RunFailedError` where a component kept an exception that the engine swallowed."""
    for component in components:
        error = component.failure
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        if error is not None:
            name = component.book_id if isinstance(component, Book) else type(component).__name__
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "ufos_nautilus/engine" not in f.filename]
            where = f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
            raise RunFailedError(
                f"{name} raised {type(error).__name__}: {error}{where}",
                next_step="mend the book; nothing of this run was stored",
            ) from error


def _final_balances(engine: BacktestEngine, spec: RunSpec) -> dict[str, dict[str, str]]:
    out = {}
    dark = [DARK_VENUE] if spec.crossing is not None and spec.crossing.enabled else []
    if engine.cache.account_for_venue(Venue(BANK_VENUE)) is not None:
        dark.append(BANK_VENUE)
    for name in [*(v.name for v in spec.venues), *dark]:
        account = engine.cache.account_for_venue(Venue(name))
        totals = account.balances_total() if account is not None else {}
        out[name] = {str(k): plain(v.as_decimal()) for k, v in sorted(totals.items(), key=lambda i: str(i[0]))}
    return out


def _marks(engine: BacktestEngine, sources: Sources) -> dict[str, str]:
    """Return the price by which each instrument's position is valued at the end."""
    marks = {name: mid_price(engine.cache, InstrumentId.from_str(name)) for name in sorted(sources.instruments)}
    return {name: plain(mark) for name, mark in marks.items() if mark is not None}


def _house_figures(parts: Assembly) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if parts.keeper is not None:
        out["ledger"] = parts.keeper.finish()
    if parts.house is not None:
        out["crosses"] = parts.house.figures()
    if parts.treasury is not None:
        out["treasury"] = parts.treasury.figures()
    if parts.risk is not None:
        out["risk"] = parts.risk.finish()
    return out


def _net_pnl(engine: BacktestEngine, spec: RunSpec, parts: Assembly) -> dict[str, str]:
    """Return profit by currency: the books' net asset values at mid less their capital, else the engine's equity."""
    pnl: dict[str, Decimal] = {}
    if parts.keeper is not None:
        for code, value in parts.keeper.net_pnl().items():
            pnl[code] = value
        return {code: plain(value) for code, value in sorted(pnl.items())}
    for venue in spec.venues:
        for text in venue.balances:
            amount, _, code = text.partition(" ")
            pnl[code] = pnl.get(code, Decimal(0)) - Decimal(amount)
        for key, value in engine.portfolio.equity(Venue(venue.name)).items():
            pnl[str(key)] = pnl.get(str(key), Decimal(0)) + value.as_decimal()
    return {code: plain(value) for code, value in sorted(pnl.items())}
