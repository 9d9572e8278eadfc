"""The desk against markets that turn on it: a leader, a spread that opens, a gate that refuses, files that changed."""

import copy
import datetime
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.catalog_factory import SPEC
from tests.specs import market_spec
from ufos_nautilus.engine import RunResult, parse_spec, run_backtest
from ufos_nautilus.engine import backtest as backtest_module
from ufos_nautilus.engine.generated import generated_catalog
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.spec import SyntheticSpec
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import Recording
from ufos_nautilus.market.synthetic import START_NS
from ufos_nautilus.market.synthetic_tables import QuoteColumns
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.sections.attribution import run_attribution
from ufos_nautilus.research.attribution import by_book, require_exact
from ufos_nautilus.research.calibrate_catalog import calibrate_market, calibrate_microprice, calibrate_run
from ufos_nautilus.research.parameter_file import write_calibration

TIME_ZERO = datetime.datetime.fromtimestamp(START_NS / 1e9, datetime.UTC)


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield


@pytest.fixture(scope="module")
def pair_spec(request: pytest.FixtureRequest) -> dict[str, Any]:
    checkout = Path(__file__).resolve().parents[2]
    return tomllib.loads((checkout / "strategies/specs/mm_pair.toml").read_text("utf-8"))


def attributed(result: RunResult) -> pl.DataFrame:
    found = run_attribution(RunTables.load(result.directory))
    require_exact(by_book(found, result["ledger"]["books"]))
    return found


def per_unit(found: pl.DataFrame) -> float:
    """Move of the mid within a second of a fill, in ticks of 0.01 per unit, in the desk's favour."""
    return 100.0 * float(found["move_1000ms"].sum()) / float(found["quantity"].sum())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fading_takes_the_adverse_selection_of_a_planted_leader_away(tmp_path, pair_spec):
    """Stated: 1.2 ticks per unit within a second of the fill and more at seeds 1 and 2 (measured: 1.4 and 1.6)."""
    for seed in (1, 2):
        results = {}
        for fading in (False, True):
            spec = copy.deepcopy(pair_spec)
            spec["data"][0]["synthetic"]["seed"] = seed
            if not fading:
                del spec["books"][0]["params"]["fade"]
            results[fading] = run_backtest(parse_spec(spec), root=tmp_path)
        without, with_fading = (per_unit(attributed(results[f])) for f in (False, True))
        assert without < -1.0
        assert with_fading - without > 1.2
        assert Decimal(results[True]["net_pnl"]["USDT"]) > Decimal(results[False]["net_pnl"]["USDT"])


def test_quotes_are_withdrawn_before_new_ones_are_sent_when_the_leader_moves(tmp_path, pair_spec):
    spec = copy.deepcopy(pair_spec)
    spec["data"][0]["synthetic"]["params"]["duration_s"] = 120.0
    spec["recording"] = {"events": True}
    result = run_backtest(parse_spec(spec), root=tmp_path)
    assert result["actors"]["LEAD-LAG"]["signals"] == result["desks"]["MM-FOLLOW"]["fades"] > 3
    stored = {}
    for kind in ("order_pending_cancel", "order_submitted", "order_canceled"):
        files = sorted((result.directory / "events").rglob(f"{kind}/**/*.parquet"))
        stored[kind] = pl.concat(pl.read_parquet(f) for f in files) if files else None
    submitted, cancelled = stored["order_submitted"], stored["order_canceled"]
    assert submitted is not None and cancelled is not None
    faded = result.quotes.filter(pl.col("reason") == "fade")
    assert faded.height > 3
    # While a side is away nothing new stands there: each new order follows the end of the one before it.
    orders = result.orders.filter(pl.col("order_type") == "LIMIT").sort("ts_init")
    for side in ("BUY", "SELL"):
        own = orders.filter(pl.col("side") == side)
        assert (own["ts_init"].slice(1) >= own["ts_last"].slice(0, own.height - 1)).all()


def test_a_spread_that_opens_is_an_alert(tmp_path):
    """One tick for a minute with two now and then, eight ticks for five seconds, one tick again."""
    quotes = QuoteColumns()
    for i in range(1_000):
        spread = 8 if 600 <= i < 650 else 2 if i % 10 == 0 else 1
        quotes.add(START_NS + i * 100_000_000, 1_000 - i % 3, 1_000 - i % 3 + spread, 5, 5)
    path = tmp_path / "catalog"
    import_recording(
        path,
        lambda: Recording([SPEC], iter([quotes.batch(SPEC)])),
        sources=(),
        fmt="test",
        instrument_writer=write_instruments,
    )
    watcher = {
        "id": "SPREADS-1",
        "class_path": "ufos_strategies.actors.spread_anomaly:SpreadAnomaly",
        "params": {"instrument_ids": ["ABC.TEST"], "half_life_s": 60.0, "warmup_s": 10.0},
    }
    venue = {"name": "TEST", "balances": ["1000 USD"], "book": "L1"}
    spec = market_spec(books=[], actors=[watcher], data=[{"catalog": str(path)}], venues=[venue])
    result = run_backtest(parse_spec(spec), root=tmp_path / "runs")
    alert = result.table("alerts").row(0, named=True)
    assert result["actors"] == {"SPREADS-1": {"alerts": 1}}
    assert (alert["kind"], alert["source"]) == ("spread", "SPREADS-1")
    assert alert["value"] == pytest.approx(8.0)
    assert alert["mean"] == pytest.approx(1.1, abs=0.1)
    assert (alert["ts"] - TIME_ZERO).total_seconds() == pytest.approx(60.0)


class Sometimes:
    """A gate that refuses every third order."""

    def __init__(self) -> None:
        self.seen = 0

    def review(self, request: Any) -> str | None:
        self.seen += 1
        return "refused on purpose" if self.seen % 3 == 0 else None


def test_a_refused_quote_is_forgotten_and_sent_again(tmp_path, monkeypatch):
    assemble = backtest_module.assemble
    monkeypatch.setattr(backtest_module, "assemble", lambda *args: assemble(*args, gate=Sometimes()))
    result = run_backtest(parse_spec(market_spec()), root=tmp_path)
    assert result["denied"] > 10
    late = result.quotes.tail(20)
    assert late["bid"].is_not_null().any() and late["ask"].is_not_null().any()
    attributed(result)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    params = {"duration_s": 300.0, "A": 2.0, "level_lots": 10_000}
    return Catalog.open(generated_catalog(SyntheticSpec(kind="single", seed=3, params=params)))


def bound(path: Path, digest: str) -> dict[str, str]:
    return {"file": str(path), "sha256": digest}


def test_a_calibration_gives_the_desk_its_parameters_and_what_stands_beside_it_wins(tmp_path, catalog):
    path = tmp_path / "cal.toml"
    found = calibrate_market(catalog, "SIM-PERP.SIM")
    digest = write_calibration(path, found)
    assert abs(found.parameters["k_per_tick"] - 0.2) < 3 * found.errors["k_per_tick"]  # type: ignore[operator]
    assert abs(found.parameters["a_per_s"] - 2.0) < 3 * found.errors["a_per_s"]  # type: ignore[operator]
    assert abs(found.parameters["sigma_ticks"] - 2.0) < 4 * found.errors["sigma_ticks"]  # type: ignore[operator]
    params = {"instrument_id": "SIM-PERP.SIM", "calibration": bound(path, digest), "gamma": 0.5}
    spec = market_spec(books=[market_spec()["books"][0] | {"params": params}])
    result = run_backtest(parse_spec(spec), root=tmp_path)
    assert result.orders["quantity"][0] == Decimal(str(found.parameters["order_size"]))
    assert result["fills"] > 0


def test_another_file_than_the_one_named_or_for_another_instrument_is_refused(tmp_path, catalog):
    path = tmp_path / "cal.toml"
    digest = write_calibration(path, calibrate_market(catalog, "SIM-PERP.SIM"))
    params = {"instrument_id": "SIM-PERP.SIM", "calibration": bound(path, digest)}
    path.write_text(path.read_text("utf-8").replace("a_per_s", "b_per_s"), "utf-8")
    spec = market_spec(books=[market_spec()["books"][0] | {"params": params}])
    with pytest.raises(DataError, match="the spec names"):
        run_backtest(parse_spec(spec), root=tmp_path)
    digest = write_calibration(path, calibrate_market(catalog, "SIM-PERP.SIM"))
    params = {"instrument_id": "OTHER.SIM", "calibration": bound(path, digest)}
    spec = market_spec(books=[market_spec()["books"][0] | {"params": params}])
    with pytest.raises(SpecError, match=r"is for SIM-PERP\.SIM"):
        run_backtest(parse_spec(spec), root=tmp_path)


def test_the_desk_quotes_around_a_fitted_micro_price(tmp_path, catalog):
    import hashlib

    micro = calibrate_microprice(catalog, "SIM-PERP.SIM")
    assert micro.provenance["data"] == catalog.digest(["SIM-PERP.SIM"])
    path = tmp_path / "micro.json"
    path.write_text(json.dumps(micro.to_dict()), "utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    spec = market_spec()
    spec["books"][0]["params"] |= {"fair_value": "microprice", "microprice": bound(path, digest)}
    result = run_backtest(parse_spec(spec), root=tmp_path)
    quotes = result.quotes.with_columns(
        ((pl.col("market_bid") + pl.col("market_ask")).cast(pl.Float64) / 2 - pl.col("fair_value")).abs().alias("off")
    )
    assert 0.0 < quotes["off"].max() < 0.011  # type: ignore[operator]
    del spec["books"][0]["params"]["microprice"]
    with pytest.raises(SpecError, match="belong together"):
        run_backtest(parse_spec(spec), root=tmp_path)


def test_a_run_of_its_own_calibrates_the_desk(tmp_path):
    spec = market_spec()
    spec["data"][0]["synthetic"] |= {"params": {"duration_s": 600.0, "A": 2.0}}
    spec["books"][0]["params"] |= {"max_inventory": "10"}
    result = run_backtest(parse_spec(spec), root=tmp_path)
    tables = RunTables.load(result.directory)
    span = tables.span_ns
    assert span is not None
    frames = {"quotes": tables.quotes, "fills": tables.fills}
    found = calibrate_run(frames, tables.instruments["SIM-PERP.SIM"], "MM-SIM", result.run_id, span[1])
    assert abs(found.parameters["k_per_tick"] - 0.2) < 3 * found.errors["k_per_tick"]  # type: ignore[operator]
    assert abs(found.parameters["a_per_s"] - 2.0) < 3 * found.errors["a_per_s"]  # type: ignore[operator]
    assert found.data == (result.run_id,)
    with pytest.raises(DataError, match="holds no quotes of NOBODY-1"):
        calibrate_run(frames, tables.instruments["SIM-PERP.SIM"], "NOBODY-1", result.run_id, span[1])
