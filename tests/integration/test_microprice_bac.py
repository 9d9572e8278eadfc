"""The micro-price on a real large-tick stock: fitted on one day, judged on the next."""

from datetime import time
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files.lean_ticks import read
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.pricing.fair_value import mid, weighted_mid
from ufos_nautilus.research.fit_microprice import fit_microprice, forecast_errors


def regular_hours(folder: Path, day: str) -> pl.DataFrame:
    recording = read([folder / f"{day}_quote.zip"], ReadOptions())
    quotes = pl.concat([batch.frame for batch in recording.batches if batch.kind == "quotes"])
    return quotes.filter(
        pl.col("ts_init").dt.convert_time_zone("America/New_York").dt.time().is_between(time(9, 30), time(16))
    )


@pytest.mark.parametrize(("fitted", "judged"), [("20131007", "20131008"), ("20131008", "20131009")])
def test_micro_price_forecasts_bac_best_on_the_day_after(shared_data, fitted, judged):
    folder = shared_data / "us_equity_ticks" / "bac"
    micro = fit_microprice(regular_hours(folder, fitted), 0.01)
    row = micro.adjustments[0]
    assert row == pytest.approx([-x for x in reversed(row)], abs=1e-12)
    found = forecast_errors(
        regular_hours(folder, judged), {"mid": mid, "weighted": weighted_mid, "micro": micro}, ahead=1_000
    )
    assert found["micro"]["rmse"] <= found["weighted"]["rmse"] < found["mid"]["rmse"]
