"""The commands that calibrate and compare, on a generated market and on recordings."""

import json
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ufos_adapters.files import reader
from ufos_nautilus.engine import parse_spec, run_backtest
from ufos_nautilus.engine.generated import generated_catalog
from ufos_nautilus.engine.instruments import write_instruments
from ufos_nautilus.engine.spec import SyntheticSpec
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.sections.attribution import run_attribution
from ufos_nautilus.research.attribution import by_book, require_exact

FIGURES = ("net", "per_volume_bps", "inventory_std", "drawdown", "markout_1s_bps", "fills")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated market of ten minutes, as a catalog."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        params = {"duration_s": 600.0, "A": 2.0, "level_lots": 300, "impact": 0.005}
        return generated_catalog(SyntheticSpec(kind="single", seed=3, params=params)).resolve()


def test_calibrate_writes_parameters_and_a_micro_price_that_a_spec_can_name(cli, catalog, tmp_path):
    files = tmp_path / "p.toml", tmp_path / "m.json"
    done = cli("calibrate", catalog, "--out", files[0], "--microprice", files[1], "--json")
    assert done.returncode == 0, done.stderr
    found = done.json
    assert abs(found["parameters"]["k_per_tick"] - 0.2) < 4 * found["errors"]["k_per_tick"]
    assert tomllib.loads(files[0].read_text("utf-8"))["calibration"]["data"] == found["data"]
    assert json.loads(files[1].read_text("utf-8"))["provenance"]["data"] == found["data"][0]
    said = cli("calibrate", catalog, "--out", files[0])
    assert f'sha256 = "{found["sha256"]}"' in said.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "either a catalog or a run"),
        (["CATALOG", "OTHER.SIM"], "has no instrument"),
        (["CATALOG", "--start", "yesterday"], "is no instant"),
        (["CATALOG", "--start", "2026-01-05T14:39:59Z"], "expected"),
        (["--from-run", "nothing"], "no run"),
        (["CATALOG", "--bound", "0"], "bound of 0 orders"),
    ],
    ids=range(6),
)
def test_calibrate_refuses_what_makes_no_sense(cli, catalog, args, message):
    done = cli("calibrate", *(catalog if a == "CATALOG" else a for a in args))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_comparison_prints_every_quoter_with_the_same_figures(cli, catalog, tmp_path):
    env = {"UFOS_RUNS": str(tmp_path / "runs")}
    done = cli("study", "quoters", "--catalog", catalog, "--json", env=env)
    assert done.returncode == 0, done.stderr
    one = done.json["recordings"][0]
    assert [row["variant"] for row in one["rows"]] == [
        "symmetric", "avellaneda_stoikov", "glft", "glft_microprice", "glft_all",
    ]  # fmt: skip
    for row in one["rows"]:
        assert set(FIGURES) <= set(row)
        spec = json.loads((tmp_path / "runs" / row["run_id"] / "spec.json").read_text("utf-8"))
        assert spec["venues"][0]["queue_position"] and spec["venues"][0]["latency"]["base_ms"] == 5.0
        tables = RunTables.load(tmp_path / "runs" / row["run_id"])
        judged = spec["books"][0]["params"]["quote_from"].replace("Z", "+00:00")
        assert tables.orders["ts_init"].min().isoformat() >= judged  # type: ignore[union-attr]
    assert len({row["net"] for row in one["rows"]}) > 2
    again = cli("study", "quoters", "--catalog", catalog, "--json", env={"UFOS_RUNS": str(tmp_path / "again")})
    strip = [{k: v for k, v in row.items() if k != "run_id"} for row in one["rows"]]
    assert strip == [{k: v for k, v in row.items() if k != "run_id"} for row in again.json["recordings"][0]["rows"]]


def test_the_ablation_of_fair_values_is_out_of_sample(cli, catalog):
    done = cli("study", "microprice", "--catalog", catalog, "--ahead", "20", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["fair_value"]: row for row in done.json["rows"]}
    assert set(rows) == {"mid", "weighted mid", "micro-price", "micro-price + order flow"}
    assert rows["micro-price"]["rmse_ticks"] < rows["mid"]["rmse_ticks"]
    assert all(fit["asymmetry_ticks"] < 1e-9 for fit in done.json["fits"])


def imported(shared_data: Path, root: Path, *names: str) -> Catalog:
    """Import files of the recordings into a new catalog."""
    paths = [shared_data / name for name in names]
    read = reader("binance-raw")
    import_recording(
        root,
        lambda: read(paths, ReadOptions()),
        sources=paths,
        fmt="binance-raw",
        instrument_writer=write_instruments,
    )
    return Catalog.open(root)


def desk_run(catalog: Catalog, name: str, venue: dict[str, Any], params: dict[str, Any], root: Path) -> Any:
    spec = {
        "name": "recorded",
        "data": [{"catalog": str(catalog.root), "instruments": [name], "tables": ["order_book_deltas", "trades"]}],
        "venues": [{"name": "BINANCE", "leverage": 10, "book": "L2", "latency": {"base_ms": 5.0}, **venue}],
        "books": [
            {
                "id": "MM-1",
                "kind": "desk",
                "class_path": "ufos_strategies.market_maker:MarketMaker",
                "params": {"instrument_id": name, **params},
            }
        ],
    }
    return run_backtest(parse_spec(spec), root=root)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("files", "name", "venue", "params"),
    [
        (
            ["crypto_l2/usdm_btcusdt_20240808.gz"],
            "BTCUSDT-PERP.BINANCE",
            {"balances": ["1000000 USDT"], "fees": {"maker_rate": "-0.00005", "taker_rate": "0.0003"},
             "funding": [{"instrument_id": "BTCUSDT-PERP.BINANCE", "rate": "0.0001"}]},
            {"order_size": "0.023", "max_inventory": "0.23", "gamma": 0.0001, "k_per_tick": 0.2,
             "hedge": {"at": "0.2", "to": "0.1"}},
        ),
        (
            ["crypto_l2/cm_btcusd_perp_20240808.gz", "crypto_l2/cm_btcusd_perp_20240809.gz"],
            "BTCUSD-PERP.BINANCE",
            {"balances": ["1000 BTC"], "fees": {"maker_rate": "0.0002", "taker_rate": "0.0005"},
             "funding": [{"instrument_id": "BTCUSD-PERP.BINANCE", "rate": "-0.0003", "interval_s": 60.0}]},
            {"order_size": "16", "max_inventory": "160", "gamma": 0.00002, "k_per_tick": 0.12},
        ),
    ],
    ids=["linear", "inverse"],
)  # fmt: skip
def test_the_parts_of_the_profit_are_exact_on_a_recording(shared_data, tmp_path, files, name, venue, params):
    catalog = imported(shared_data, tmp_path / "catalog", *files)
    result = desk_run(catalog, name, venue, params, tmp_path / "runs")
    found = run_attribution(RunTables.load(result.directory))
    books = by_book(found, result["ledger"]["books"])
    require_exact(books)
    row = books.row(0, named=True)
    assert result["fills"] > 100
    assert all(row[part] for part in ("spread", "adverse", "inventory", "fees", "funding"))
    assert (row["averaging"] != 0) == name.startswith("BTCUSD-")
    assert found["without_mid"].sum() == 0
    assert result.inventory["quantity"].abs().max() <= pl.Series([params["max_inventory"]]).cast(pl.Decimal(38, 3))[0]
