"""The tables of the benchmark: each function measures one group and returns its figures."""

import gc
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import replay, shell
from benchmarks.environments import Environment
from benchmarks.figures import Figure
from benchmarks.inputs import L2_INSTRUMENT, Inputs, import_l2, repeated
from benchmarks.measure import Process, alternate

DESK_OF_ENGINE = 0.65
DESK_OF_NATIVE = 0.5
TIMES_HFTBACKTEST = 3.0
TIMES_BACKTRADER = 10.0
IMPORT_ROWS_PER_S = 300_000
MEMORY_SHARE = 0.9
"""The longer run may take this much more: one over it."""
GRID_LEVELS = 3
"""Three levels a side, moved by one basis point, give about as many orders as the desk sends and moves."""
ORDERS_PER_S = 10_000
MANAGED, GRID = "engine with managed book", "native GridMarketMaker"
GRID_RECORDED = "native GridMarketMaker, recorded quotes as well"
"""The native one hears quotes only: here those of the recording, above those the engine makes from the book."""


def replays(inputs: Inputs, repetitions: int) -> list[Figure]:
    """Replay the perpetual in every set-up, in turns, with the data in memory."""
    group = "replay of the perpetual, data in memory, CPU time of the replay alone"
    catalog = f'data.0.catalog="{inputs.l2}"'
    no_ledger, quotes = "ledger.enabled=false", 'data.0.tables=["quotes","trades"]'
    on_quotes = [catalog, no_ledger, quotes, 'venues.0.book="L1"', 'books.0.params.source="quotes"']
    with tempfile.TemporaryDirectory() as folder:
        scratch = replay.Scratch(Path(folder))
        full = replay.load(shell.DESK_SPEC, [catalog, no_ledger])
        top = replay.load(shell.DESK_SPEC, on_quotes)
        both = replay.load(shell.DESK_SPEC, [catalog, 'data.0.tables=["order_book_deltas","quotes","trades"]'])
        ledger = replace(full, spec=replay.load_spec(shell.DESK_SPEC, [catalog]))
        notes: dict[str, str] = {}

        def engine(name: str, data: replay.Loaded, *, book: bool = False, grid: bool = False) -> Callable[[], float]:
            def case() -> float:
                strategies = [replay.watcher(L2_INSTRUMENT)] if book else []
                config = replay.grid_config(L2_INSTRUMENT, "0.010", "0.100", GRID_LEVELS, 1) if grid else None
                seconds, orders = replay.engine_alone(data, scratch, strategies, config)
                notes[name] = f"{orders:,} orders" if grid else ""
                return seconds

            return case

        def desk(name: str, data: replay.Loaded) -> Callable[[], float]:
            def case() -> float:
                seconds, result = replay.whole_run(data, scratch)
                notes[name] = replay.activity(result)
                return seconds

            return case

        cases = {
            "engine alone": engine("engine alone", full),
            MANAGED: engine(MANAGED, full, book=True),
            "desk": desk("desk", full),
            "desk and ledger": desk("desk and ledger", ledger),
            GRID: engine(GRID, full, book=True, grid=True),
            GRID_RECORDED: engine(GRID_RECORDED, both, grid=True),
            "quotes and trades: engine alone": engine("quotes and trades: engine alone", top),
            "quotes and trades: desk": desk("quotes and trades: desk", top),
            "quotes and trades: " + GRID: engine("quotes and trades: " + GRID, top, grid=True),
        }
        gc.collect()
        gc.freeze()
        least = alternate(cases, repetitions)
        gc.unfreeze()
    rows = {name: top.rows if name.startswith("quotes") else full.rows for name in cases} | {GRID_RECORDED: both.rows}
    out = [Figure(group, name, rows[name] / s, "rows/s", note=notes.get(name, "")) for name, s in least.items()]
    return [_compared(figure, least, DESK_OF_ENGINE if figure.name == "desk" else None) for figure in out] + [
        Figure(group, "desk against the native one", full.rows / least["desk"], "rows/s", GRID,
               least[GRID] / least["desk"], DESK_OF_NATIVE),
    ]  # fmt: skip


def _compared(figure: Figure, least: dict[str, float], target: float | None) -> Figure:
    baseline = "quotes and trades: engine alone" if figure.name.startswith("quotes") else MANAGED
    if figure.name == baseline:
        return figure
    return replace(figure, against=baseline, ratio=least[baseline] / least[figure.name], target=target)


def bars(inputs: Inputs, peers: dict[str, Environment], repetitions: int) -> list[Figure]:
    """Run the SMA cross with the data in memory, here and in the peers."""
    group = "SMA 10/50 on 45,031 minute bars, data in memory, CPU time of the run alone"
    overrides = [f'data.0.catalog="{inputs.bars}"', "ledger.enabled=false"]
    with tempfile.TemporaryDirectory() as folder:
        scratch, data = replay.Scratch(Path(folder)), replay.load(shell.SMA_SPEC, overrides)
        gc.collect()
        gc.freeze()
        least = alternate({"ufos": lambda: replay.whole_run(data, scratch)[0]}, repetitions)["ufos"]
        gc.unfreeze()
        orders = replay.activity(replay.whole_run(data, scratch)[1])
    out = [Figure(group, "ufos", data.rows / least, "bars/s", note=orders)]
    for name, script, args in (
        ("backtesting", "backtesting_sma.py", []),
        ("backtrader", "backtrader_sma.py", ["memory"]),
    ):
        if peers[name].python is None:
            continue
        printed = [shell.last_json(shell.bars_peer(peers[name], script, inputs, *args)) for _ in range(repetitions)]
        seconds = min(p["run_cpu_s"] for p in printed)
        out.append(Figure(group, name, data.rows / seconds, "bars/s", note=f"{printed[0]['orders']:,} orders"))
        target = {"backtesting": 1.0, "backtrader": TIMES_BACKTRADER}[name]
        out.append(Figure(group, f"ufos against {name}", data.rows / least, "bars/s", name, seconds / least, target))
    return out


def orders(inputs: Inputs, repetitions: int) -> list[Figure]:
    """Send an order at every bar, with and without the ledger; each goes to the venue, fills and is recorded."""
    group = "a market order at each of 45,031 bars, data in memory, CPU time of the run alone"
    each = ['books.0.class_path="benchmarks.books:OrderEachBar"', f'data.0.catalog="{inputs.bars}"']
    out: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = replay.Scratch(Path(folder))
        for name, more in (("no ledger", ["ledger.enabled=false"]), ("ledger", [])):
            data = replay.load(shell.SMA_SPEC, [*each, *more])
            least = alternate({name: lambda data=data: replay.whole_run(data, scratch)[0]}, max(1, repetitions // 2))
            out.append(Figure(group, name, data.rows / least[name], "orders/s", target=ORDERS_PER_S))
    return out


def processes(inputs: Inputs, own: Environment, peers: dict[str, Environment], repetitions: int) -> list[Figure]:
    """Run everything as the shell does, from start-up to result."""
    group = "whole process from the shell, start-up to result, wall time"
    python = shell.interpreter(own)
    desk = shell.repeat(lambda: shell.ufos_backtest(python, shell.DESK_SPEC, inputs.l2), repetitions)
    sma = shell.repeat(lambda: shell.ufos_backtest(python, shell.SMA_SPEC, inputs.bars), repetitions)
    bare = shell.repeat(
        lambda: shell.ufos_backtest(python, shell.SMA_SPEC, inputs.bars, ["ledger.enabled=false"]), repetitions
    )
    out = [_process(group, "desk: ufos backtest", desk)]
    if peers["hftbacktest"].python is not None:
        other = shell.repeat(lambda: shell.hftbacktest(peers["hftbacktest"], inputs), repetitions)
        compiled = shell.last_json(shell.hftbacktest(peers["hftbacktest"], inputs, again=True))
        note = f"{compiled['submits']} orders, {compiled['fills']} fills; once compiled {compiled['run_cpu_s']:.3f} s"
        out += [_process(group, "desk: hftbacktest", other, note)]
        out += [_against(group, "desk: ufos against hftbacktest", desk, other, "hftbacktest", TIMES_HFTBACKTEST)]
    out += [_process(group, "SMA: ufos backtest", sma), _process(group, "SMA: ufos backtest, no ledger", bare)]
    for name, target in (("backtesting", 1.0), ("backtrader", TIMES_BACKTRADER)):
        if peers[name].python is not None:
            other = shell.repeat(lambda n=name: shell.bars_peer(peers[n], f"{n}_sma.py", inputs), repetitions)
            out += [_process(group, f"SMA: {name}", other)]
            out += [_against(group, f"SMA: ufos against {name}, no ledger", bare, other, name, target)]
    return out


def _process(group: str, name: str, took: Process, note: str = "") -> Figure:
    more = f"{took.cpu_s:.2f} s of CPU, {took.peak_mb:.0f} MB"
    return Figure(group, name, took.wall_s, "s", note=f"{more}; {note}" if note else more)


def _against(group: str, name: str, own: Process, other: Process, peer: str, target: float) -> Figure:
    note = f"CPU time {other.cpu_s / own.cpu_s:.1f} x"
    return Figure(group, name, own.wall_s, "s", peer, other.wall_s / own.wall_s, target, note)


def memory(inputs: Inputs, own: Environment, times: int) -> list[Figure]:
    """Run engine and desk on the recording, and the desk on the recording many times over."""
    group = "peak memory of `ufos backtest`, streaming"
    longer = repeated(inputs.l2, times, inputs.root / f"btcusdt_perp_x{times}")
    watching = [
        'books.0.class_path="benchmarks.books:BookWatcher"',
        f'books.0.params={{instrument_id="{L2_INSTRUMENT}"}}',
    ]
    python = shell.interpreter(own)

    def run(catalog: Path, sets: Sequence[str]) -> tuple[Process, str]:
        took = shell.ufos_backtest(python, shell.DESK_SPEC, catalog, sets)
        rows = shell.last_json(took)["rows"]
        return took, f"{rows:,} rows, {rows / took.cpu_s:,.0f} a second of CPU with start-up"

    engine, book, once, more = (
        run(catalog, sets)
        for catalog, sets in ((inputs.l2, ["books=[]"]), (inputs.l2, watching), (inputs.l2, []), (longer, []))
    )
    name = f"desk, {times} times the recording"
    return [
        Figure(group, "engine alone", engine[0].peak_mb, "MB", note=engine[1]),
        Figure(group, MANAGED, book[0].peak_mb, "MB", note=book[1]),
        Figure(group, "desk", once[0].peak_mb, "MB", note=once[1]),
        Figure(group, name, more[0].peak_mb, "MB", "desk", once[0].peak_mb / more[0].peak_mb, MEMORY_SHARE, more[1]),
    ]


def starting(inputs: Inputs, own: Environment, repetitions: int) -> list[Figure]:
    """Import the recording afresh, and start a run."""
    group = "import and start"
    with tempfile.TemporaryDirectory() as folder:
        reports = [import_l2(inputs.raw_l2, Path(folder) / str(n)) for n in range(max(2, repetitions // 2))]
    best = max(reports, key=lambda r: r.rows_per_s)
    note = f"{best.rows:,} rows in {best.elapsed_s:.2f} s, hashing and writing included"
    python = shell.interpreter(own)
    first = min(shell.seconds_to_first_event(python, inputs) for _ in range(repetitions))
    return [
        Figure(group, "binance-raw import", best.rows_per_s, "rows/s", target=IMPORT_ROWS_PER_S, note=note),
        Figure(
            group, "spec to first event", first, "s", note="wall time from the shell's start to the event in a book"
        ),
    ]
