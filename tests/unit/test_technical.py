"""Indicators agree with the engine's own, patterns with their definitions, and bars hold nothing of the future."""

import math
import random

import polars as pl
import pytest
from nautilus_trader import indicators as nt

from tests.mcp_world import BAR_SPEC, BARS, MINUTE_NS, START_NS, minute_bars
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market import tables
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.research.bars import interval_seconds, load_bars
from ufos_nautilus.research.patterns import PATTERNS, find, occurrences
from ufos_nautilus.research.technical import INDICATORS, condition, indicators, term


def walk(count: int = 400, seed: int = 7) -> pl.DataFrame:
    rng = random.Random(seed)
    rows, price = [], 100.0
    for i in range(count):
        opened = price
        path = [opened, *(opened + rng.gauss(0, 1) for _ in range(3))]
        price = path[-1]
        rows.append((i * MINUTE_NS, opened, max(path), min(path), price, float(rng.randrange(1, 90))))
    frame = pl.DataFrame(rows, schema=["ts", "open", "high", "low", "close", "volume"], orient="row")
    return frame.with_columns(pl.col("ts").cast(pl.Datetime("ns", "UTC")))


def ours(text: str, bars: pl.DataFrame) -> list[float | None]:
    return bars.select(term(text).alias("v"))["v"].to_list()


def engine(indicator, update, bars: pl.DataFrame, read=lambda i: i.value) -> list[float | None]:
    out = []
    for row in bars.iter_rows(named=True):
        update(indicator, row)
        out.append(read(indicator) if indicator.initialized else None)
    return out


CLOSE = lambda i, row: i.update_raw(row["close"])
RANGE = lambda i, row: i.update_raw(row["high"], row["low"], row["close"])
BAND = lambda i, row: i.update_raw(row["close"])
WILDER = nt.MovingAverageType.Wilder
CASES = {
    "sma(20)": lambda b: engine(nt.SimpleMovingAverage(20), CLOSE, b),
    "ema(12)": lambda b: engine(nt.ExponentialMovingAverage(12), CLOSE, b),
    "rsi(14)": lambda b: engine(nt.RelativeStrengthIndex(14, WILDER), CLOSE, b),
    "atr(14)": lambda b: engine(nt.AverageTrueRange(14, WILDER), RANGE, b),
    "bollinger(20, 2).upper": lambda b: engine(nt.BollingerBands(20, 2.0), BAND, b, lambda i: i.upper),
}


@pytest.mark.parametrize("name", CASES)
def test_indicators_agree_with_the_engines(name):
    bars = walk()
    found, expected = ours(name, bars), CASES[name](bars)
    pairs = [(f, e) for f, e in zip(found, expected, strict=True) if f is not None and e is not None]
    assert len(pairs) > 300
    assert found.index(next(v for v in found if v is not None)) <= 20
    for f, e in pairs:
        assert math.isclose(f, e, rel_tol=1e-9), name


def test_known_values_of_the_others():
    bars = walk()
    closes = bars["close"].to_list()
    last = closes[-20:]
    mean = sum(last) / 20
    deviation = math.sqrt(sum((c - mean) ** 2 for c in last) / 20)
    assert ours("zscore(20)", bars)[-1] == pytest.approx((closes[-1] - mean) / deviation)
    assert ours("roc(10)", bars)[-1] == pytest.approx(100 * (closes[-1] / closes[-11] - 1))
    assert ours("donchian(20).upper", bars)[-1] == max(bars["high"].to_list()[-21:-1])
    low, high = min(bars["low"].to_list()[-14:]), max(bars["high"].to_list()[-14:])
    assert ours("stochastic(14, 3)", bars)[-1] == pytest.approx(100 * (closes[-1] - low) / (high - low))
    line, signal = ours("macd(12, 26, 9)", bars)[-1], ours("macd(12, 26, 9).signal", bars)[-1]
    assert line is not None
    assert signal is not None
    assert ours("macd.hist", bars)[-1] == pytest.approx(line - signal)


@pytest.mark.parametrize("name", INDICATORS)
def test_no_indicator_knows_the_future(name):
    """Cutting the end off changes nothing before the cut."""
    bars = walk()
    whole, cut = ours(name, bars), ours(name, bars.head(250))
    for a, b in zip(whole[:250], cut, strict=True):
        assert a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12))


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_knows_the_future(name):
    bars = walk()
    whole = bars.select(find(name).alias("p"))["p"].to_list()[:250]
    assert whole == bars.head(250).select(find(name).alias("p"))["p"].to_list()


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([(10, 12, 8, 10.1)], "doji"),
        ([(10, 10.62, 8, 10.6)], "hammer"),
        ([(10.6, 12.6, 9.98, 10)], "shooting_star"),
        ([(10, 10.1, 9, 9.2), (9.1, 10.5, 9, 10.3)], "bullish_engulfing"),
        ([(9.2, 10.1, 9, 10), (10.2, 10.4, 8.5, 9)], "bearish_engulfing"),
        ([(9, 12, 8, 10), (9.5, 11, 9, 10)], "inside_bar"),
        ([(9, 10, 8, 9.5), (11, 12, 10.5, 11)], "gap_up"),
    ],
)
def test_a_textbook_example_of_each_shape_is_found(rows, name):
    frame = pl.DataFrame(rows, schema=["open", "high", "low", "close"], orient="row").with_columns(volume=1.0)
    assert frame.select(find(name).alias("p"))["p"][-1] is True


def test_a_crossing_is_true_on_one_bar_only():
    bars = walk()
    crossed = bars.select(condition("ema(5) crosses above ema(20)").alias("c"))["c"]
    above = bars.select(condition("ema(5) > ema(20)").alias("a"))["a"].fill_null(value=False)
    changes = (above & ~above.shift(1).fill_null(value=False)).to_list()
    assert [bool(c) for c in crossed.to_list()][20:] == changes[20:]


def test_returns_after_a_pattern_are_those_of_the_closes():
    bars = walk()
    (row,) = occurrences(bars, ["rsi(14) < 40"], 3)
    hit = bars.select(condition("rsi(14) < 40").alias("h"))["h"].fill_null(value=False).to_list()
    closes = bars["close"].to_list()
    after = [100 * (closes[i + 5] / closes[i] - 1) for i, h in enumerate(hit) if h and i + 5 < len(closes)]
    assert row["count"] == sum(hit)
    assert row["after"][1]["mean_pct"] == pytest.approx(sum(after) / len(after), abs=1e-6)
    assert row["after"][1]["rose"] == pytest.approx(sum(a > 0 for a in after) / len(after), abs=1e-6)
    assert len(row["last"]) == 3


@pytest.mark.parametrize(
    "text",
    [
        "", "rsi(", "rsi(0)", "rsi(-3)", "rsi(1e3)", "rsi(14, 2)", "rsi(1.5)", "macd.foo", "foo(3)", "sma(99999)",
        "__import__('os')", "close; drop", "close close", "rsi(14)." ,
    ],
)  # fmt: skip
def test_what_is_no_indicator_is_refused(text):
    with pytest.raises(SpecError):
        term(text)


@pytest.mark.parametrize("text", ["rsi(14)", "rsi < ", "< 3", "close == 3", "a > b", "close >> 3", "1 < 2 < 3"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(SpecError):
        find(text)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    root = tmp_path_factory.mktemp("bars") / "catalog"
    batch = Batch("bars", f"{BARS}-1-MINUTE-LAST-EXTERNAL", BARS, minute_bars())
    import_recording(root, lambda: Recording([BAR_SPEC], iter([batch]), [], {}), sources=(), fmt="test", options={})
    return Catalog.open(root)


def test_longer_bars_are_made_of_the_bars_they_hold(catalog):
    minutes, hours = load_bars(catalog, BARS, "1m"), load_bars(catalog, BARS, "1h")
    assert minutes.height == 3_000
    for hour in hours.rows(named=True)[1:-1:10]:
        within = minutes.filter(pl.col("ts") <= hour["ts"], pl.col("ts") > hour["ts"] - pl.duration(hours=1))
        assert within.height == 60
        assert (hour["open"], hour["close"]) == (within["open"][0], within["close"][-1])
        assert (hour["high"], hour["low"]) == (within["high"].max(), within["low"].min())
        assert hour["volume"] == within["volume"].sum()


def test_a_bar_made_of_trades_is_stamped_with_its_end(tmp_path):
    times = [START_NS + n * 1_000_000_000 for n in range(120)]
    frame = pl.DataFrame(
        {
            "price": tables.decimal_column([f"{100 + n}" for n in range(120)]),
            "size": tables.decimal_column(["2"] * 120),
            "aggressor_side": ["BUY"] * 120,
            "trade_id": [str(n) for n in range(120)],
            "ts_event": tables.utc_ns(times),
            "ts_init": tables.utc_ns(times),
        }
    )
    batch = Batch("trades", BARS, BARS, frame)
    import_recording(
        tmp_path / "c", lambda: Recording([BAR_SPEC], iter([batch]), [], {}), sources=(), fmt="test", options={}
    )
    bars = load_bars(Catalog.open(tmp_path / "c"), BARS, "10s")
    ends = bars["ts"].dt.epoch("ns").to_list()
    assert all(end % 10_000_000_000 == 0 for end in ends)
    for end, row in zip(ends, bars.rows(named=True), strict=True):
        inside = [100 + n for n, at in enumerate(times) if end - 10_000_000_000 <= at < end]
        assert (row["open"], row["close"], row["volume"]) == (inside[0], inside[-1], 2 * len(inside))


def test_a_span_cuts_bars_by_their_end(catalog):
    minutes = load_bars(catalog, BARS, "1m")
    ends = minutes["ts"].dt.epoch("ns").to_list()
    cut = load_bars(catalog, BARS, "1m", start_ns=ends[10], end_ns=ends[20])
    assert cut["ts"].dt.epoch("ns").to_list() == ends[10:21]


def test_what_makes_no_bars_is_refused(catalog):
    with pytest.raises(DataError, match="nothing that makes bars of 30s"):
        load_bars(catalog, BARS, "30s")
    with pytest.raises(LimitExceededError):
        load_bars(catalog, BARS, "1m", rows_max=10)
    with pytest.raises(DataError, match="span"):
        load_bars(catalog, BARS, "1m", start_ns=2**62)
    for text in ("", "1", "m", "0m", "1w", "10000m", "1m1", "-1m"):
        with pytest.raises(SpecError):
            interval_seconds(text)


def test_indicator_columns_are_named_as_asked():
    frame = indicators(walk(), ["rsi(14)", "close", "macd.signal"])
    assert frame.columns == ["ts", "close", "rsi(14)", "macd.signal"]
