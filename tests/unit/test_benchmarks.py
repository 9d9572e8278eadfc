"""The benchmark's parts on tiny generated markets; nothing here asserts a time."""

import json
import math
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.append(str(CHECKOUT))

from benchmarks import environments, figures, inputs, measure, replay, shell, tables  # noqa: E402
from ufos_nautilus.engine.instruments import write_instruments  # noqa: E402
from ufos_nautilus.market.catalog import Catalog  # noqa: E402
from ufos_nautilus.market.importing import import_recording  # noqa: E402
from ufos_nautilus.market.instruments import InstrumentSpec  # noqa: E402
from ufos_nautilus.market.recording import Batch, Recording  # noqa: E402

BAR_TYPE = "BTC-PERP.FTX-1-MINUTE-LAST-EXTERNAL"
SHORT_MARKET = "data.0.synthetic.params.duration_s=30.0"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield replay.load(CHECKOUT / "tests/golden/glft_single.toml", [SHORT_MARKET])


@pytest.fixture
def scratch(tmp_path: Path) -> replay.Scratch:
    return replay.Scratch(tmp_path / "scratch")


def bars_catalog(path: Path, closes: list[float]) -> Path:
    """Make a catalog of minute bars with these closes."""
    spec = InstrumentSpec(
        instrument_id="BTC-PERP.FTX", kind="crypto_perpetual", base="BTC", quote="USD", settlement="USD",
        tick_size=Decimal(1), lot_size=Decimal("0.001"), price_precision=0, size_precision=3,
    )  # fmt: skip
    start = datetime(2022, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=i + 1) for i in range(len(closes))]
    money = pl.Series(closes, dtype=pl.Float64).cast(pl.Decimal(38, 16))
    frame = pl.DataFrame({name: money for name in ("open", "high", "low", "close")}).with_columns(
        pl.lit("100").cast(pl.Decimal(38, 16)).alias("volume"),
        *(pl.Series(name, times).cast(pl.Datetime("ns", "UTC")) for name in ("ts_event", "ts_init")),
    )
    batches = iter([Batch("bars", BAR_TYPE, spec.instrument_id, frame)])
    import_recording(
        path,
        lambda: Recording([spec], batches),
        sources=(),
        fmt="test",
        options={},
        instrument_writer=write_instruments,
    )
    return path


def crossings(closes: list[float], fast: int, slow: int) -> int:
    """Count how often the sign of the difference of the two averages changes, the first one included."""
    sides = [
        1 if math.fsum(closes[i + 1 - fast : i + 1]) * slow > math.fsum(closes[i + 1 - slow : i + 1]) * fast else -1
        for i in range(slow - 1, len(closes))
    ]
    return sum(side != before for before, side in zip([0, *sides], sides, strict=False))


def test_an_engine_alone_replays_everything_and_trades_nothing(market: Any, scratch: replay.Scratch) -> None:
    seconds, orders = replay.engine_alone(market, scratch, [replay.watcher("SIM-PERP.SIM")])
    assert seconds > 0
    assert orders == 0
    assert market.rows > 0


def test_the_native_grid_makes_orders_where_the_engine_keeps_a_book(market: Any, scratch: replay.Scratch) -> None:
    config = replay.grid_config("SIM-PERP.SIM", "1", "10", levels=1, step_bps=1)
    _, orders = replay.engine_alone(market, scratch, [replay.watcher("SIM-PERP.SIM")], grid=config)
    assert orders > 0


def test_a_run_from_memory_is_the_run_from_disk(market: Any, scratch: replay.Scratch, tmp_path: Path) -> None:
    seconds, result = replay.whole_run(market, scratch)
    assert seconds >= 0
    assert "orders" in replay.activity(result)
    from_disk = replay.run_backtest(market.spec, root=tmp_path / "runs")
    assert from_disk.digest == result.summary["digest"]
    assert from_disk.summary["rows"] == market.rows


def test_a_repeated_recording_has_every_row_again_later(market: Any, tmp_path: Path) -> None:
    catalog = market.sources.tables[0].catalog
    longer = Catalog.open(inputs.repeated(catalog, 3, tmp_path / "longer"))
    for once, more in zip(Catalog.open(catalog).tables(), longer.tables(), strict=True):
        assert more.rows == 3 * once.rows
        assert more.first_ns == once.first_ns
        assert more.last_ns > 2 * once.last_ns - once.first_ns


def test_the_sma_book_trades_at_every_crossing(tmp_path: Path, scratch: replay.Scratch) -> None:
    closes = [float(round(50_000 + 800 * math.sin(i / 17) + 300 * math.sin(i / 5))) for i in range(400)]
    catalog = bars_catalog(tmp_path / "bars", closes)
    data = replay.load(shell.SMA_SPEC, [f'data.0.catalog="{catalog}"'])
    _, result = replay.whole_run(data, scratch)
    assert result.summary["orders"] == crossings(closes, 10, 50) > 5


def test_the_book_that_counts_orders_sends_one_at_every_bar(tmp_path: Path, scratch: replay.Scratch) -> None:
    catalog = bars_catalog(tmp_path / "catalog", [100.0 + (i % 7) for i in range(60)])
    each = ['books.0.class_path="benchmarks.books:OrderEachBar"', f'data.0.catalog="{catalog}"']
    _, result = replay.whole_run(replay.load(shell.SMA_SPEC, each), scratch)
    assert result["orders"] == result["fills"] == 60


def test_cases_take_turns_and_the_least_time_counts() -> None:
    order: list[str] = []

    def case(name: str, times: list[float]) -> Any:
        def run() -> float:
            order.append(name)
            return times.pop(0)

        return run

    least = measure.alternate({"a": case("a", [3.0, 1.0]), "b": case("b", [2.0, 5.0])}, 2)
    assert least == {"a": 1.0, "b": 2.0}
    assert order == ["a", "b", "a", "b"]


def test_a_process_is_measured_and_a_failing_one_is_reported() -> None:
    done = measure.run_process([sys.executable, "-c", "print('hello')"])
    assert done.output.strip() == "hello"
    assert 1 < done.peak_mb < 100, "the parent's memory is not the child's"
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure.run_process([sys.executable, "-c", "raise SystemExit(3)"])


def test_figures_are_shown_and_stored_with_their_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reached = figures.Figure("group", "desk", 1_234_567.0, "rows/s", "engine", 0.7, 0.65)
    missed = figures.Figure("group", "import", 100.0, "rows/s", target=300_000)
    figures.show([reached, missed])
    figures.write([reached, missed], "a machine", tmp_path / "figures.json")
    stored = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert "1,234,567" in capsys.readouterr().out
    assert [f["reached"] for f in stored["figures"]] == [True, False]
    assert reached.reached
    assert figures.Figure("g", "n", 1.0, "s").reached is None


def test_what_cannot_be_made_is_named_and_not_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    peer = environments.peer_environment(tmp_path, "backtrader")
    assert peer.python is None
    assert "uv" in peer.why
    assert shell.interpreter(environments.own_environment(tmp_path)) == Path(sys.executable)
    with pytest.raises(RuntimeError, match="uv is not installed"):
        shell.bars_peer(peer, "backtrader_sma.py", inputs.Inputs(*([tmp_path] * 6)))


def test_peers_quote_with_the_parameters_of_the_spec() -> None:
    params = shell.desk_parameters()
    assert params["order_size"] == 0.01
    assert params["maker_rate"] < 0 < params["latency_ms"]
    assert tables.DESK_OF_ENGINE < 1
