"""One recording through the engine in several set-ups; the data are in memory, so that only the replay is timed."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import InstrumentId, Quantity
from nautilus_trader.trading import GridMarketMakerConfig

from benchmarks.books import BookWatcher, BookWatcherConfig
from ufos_nautilus.engine import RunResult, RunSpec, backtest, load_spec, run_backtest
from ufos_nautilus.engine.assemble import make_engine
from ufos_nautilus.engine.feed import Chunk, borders, chunks
from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.engine.sources import Sources, resolve_sources
from ufos_nautilus.engine.venues import add_venue, venue_seeds


@dataclass(frozen=True, slots=True)
class Loaded:
    """A spec and its data, read."""

    spec: RunSpec
    sources: Sources
    chunks: Sequence[Chunk]

    @property
    def rows(self) -> int:
        """Return the rows of all tables."""
        return sum(chunk.rows for chunk in self.chunks)


def load(path: Path, overrides: Sequence[str]) -> Loaded:
    """Read a spec with overrides, and all of its data."""
    spec = load_spec(path, overrides)
    sources = resolve_sources(spec.data)
    return Loaded(spec, sources, list(chunks(sources.tables, borders(sources.tables, spec.chunk_rows, None, None))))


class Scratch:
    """A folder whose subfolders are used once."""

    def __init__(self, root: Path) -> None:
        self.root, self.count = root, 0

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a new folder and remove it afterwards."""
        self.count += 1
        path = self.root / str(self.count)
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path)


def engine_alone(data: Loaded, scratch: Scratch, strategies: Sequence[Any] = (), grid: Any = None) -> tuple[float, int]:
    """Replay through a bare engine with the run's venue; return CPU seconds and orders made.

    Parameters
    ----------
    data : Loaded
        What to replay.
    scratch : Scratch
        For the engine's own files.
    strategies : sequence
        Python strategies.
    grid : GridMarketMakerConfig, optional
        Adds the engine's own grid market maker, which is Rust.

    """
    with scratch.folder() as folder:
        engine: BacktestEngine = make_engine(data.spec, folder)
        try:
            seeds = venue_seeds(data.spec.venues, data.spec.seed)
            for venue in data.spec.venues:
                add_venue(engine, venue, seeds[venue.name])
            for instrument in data.sources.instruments.values():
                engine.add_instrument(to_engine(instrument))
            for strategy in strategies:
                engine.add_strategy(strategy)
            if grid is not None:
                engine.add_builtin_strategy("GridMarketMaker", grid)
            started = time.process_time()
            for chunk in data.chunks:
                for part in chunk.lists:
                    engine.add_data(part, validate=False, sort=False)
                engine.sort_data()
                engine.run(streaming=True)
                engine.clear_data()
            engine.end()
            return time.process_time() - started, len(engine.cache.orders())
        finally:
            engine.dispose()


def watcher(instrument: str) -> BookWatcher:
    """Return the book that only has the engine keep an order book."""
    return BookWatcher(BookWatcherConfig(instrument_id=instrument))


def grid_config(instrument: str, size: str, bound: str, levels: int, step_bps: int) -> GridMarketMakerConfig:
    """Return a grid of `levels` orders a side, moved when the mid has moved by one basis point."""
    return GridMarketMakerConfig(
        instrument_id=InstrumentId.from_str(instrument),
        max_position=Quantity.from_str(bound),
        trade_size=Quantity.from_str(size),
        num_levels=levels,
        grid_step_bps=step_bps,
        requote_threshold_bps=1,
    )


@contextmanager
def in_memory(data: Loaded) -> Iterator[None]:
    """Have `run_backtest` take chunks that were read before instead of reading them."""
    read, lay_out = backtest.chunks, backtest.borders
    backtest.chunks = lambda *_: (Chunk(c.start_ns, c.end_ns, list(c.lists), c.rows) for c in data.chunks)
    backtest.borders = lambda *_: [(c.start_ns, c.end_ns) for c in data.chunks]
    try:
        yield
    finally:
        backtest.chunks, backtest.borders = read, lay_out


def whole_run(data: Loaded, scratch: Scratch) -> tuple[float, RunResult]:
    """Run a spec with its recorder; return CPU seconds of its replay, and the result."""
    with scratch.folder() as folder, in_memory(data):
        result = run_backtest(data.spec, root=folder)
    return result.summary["replay_cpu_s"], result


def activity(result: RunResult) -> str:
    """Return how much a run traded."""
    s = result.summary
    return f"{s['orders']:,} orders, {s['fills']:,} fills"
