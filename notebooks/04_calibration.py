# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Calibration
#
# From a market, from one's own quotes, and online while quoting: volatility, the fill intensity A exp(-k depth), and
# the micro-price, each with its error and held against the truth of a generated market. Runs offline in under a minute.

# %%
import os
import tempfile
from decimal import Decimal
from pathlib import Path

import polars as pl

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
_ = pl.Config.set_tbl_rows(40)

# %% [markdown]
# ## A market whose parameters are known
#
# Prices in ticks of 0.01: sigma is 2 ticks per square root of a second, A is 2 per second and side, k is 0.2 per tick.

# %%
from ufos_nautilus.engine.generated import generated_catalog
from ufos_nautilus.engine.spec import SyntheticSpec
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.research.calibrate_catalog import calibrate_market

TRUE = {"a_per_s": 2.0, "k_per_tick": 0.2, "sigma_ticks": 2.0}
MARKET = {"duration_s": 600.0, "A": 2.0, "k": 20.0, "sigma": 0.02, "level_lots": 10_000}


def market(seed):
    """Return a generated market as a catalog."""
    return Catalog.open(generated_catalog(SyntheticSpec(kind="single", seed=seed, params=MARKET)))


found = calibrate_market(market(1), "SIM-PERP.SIM")
pl.DataFrame(
    [
        {"parameter": name, "true": TRUE[name], "estimate": found.parameters[name], "error": found.errors[name]}
        for name in TRUE
    ]
)

# %% [markdown]
# ## Do the errors tell the truth?
#
# Over seeds, the estimate should lie within two standard errors of the truth in about 95 of 100 markets.

# %%
inside = dict.fromkeys(TRUE, 0)
SEEDS = range(1, 11)
for seed in SEEDS:
    one = calibrate_market(market(seed), "SIM-PERP.SIM")
    for name in TRUE:
        inside[name] += abs(one.parameters[name] - TRUE[name]) < 2 * one.errors[name]
pl.DataFrame([{"parameter": name, "within two errors": f"{n} of {len(SEEDS)}"} for name, n in inside.items()])

# %% [markdown]
# ## From one's own quotes
#
# Trades of the market say how deep orders reach. One's own quotes say what an order in this queue, with this latency,
# really met. The desk can learn that while it quotes: here it starts from beliefs that are wrong by factors.

# %%
from ufos_nautilus.engine import load_spec, run_backtest
from ufos_nautilus.report import RunTables
from ufos_nautilus.research.calibrate_catalog import calibrate_run

spec = load_spec(
    Path("strategies/specs/mm_generated.toml"),
    [
        "data.0.synthetic.params.A=2.0",
        "data.0.synthetic.params.duration_s=1200",
        "books.0.params.a_per_s=0.7",
        "books.0.params.k_per_tick=0.5",
        "books.0.params.intensity={prior_from_market=false, prior_fills=2.0, half_life_s=1000000.0}",
    ],
)
result = run_backtest(spec, root=SCRATCH / "runs")
estimates = result.table("estimates")
estimates.filter(pl.col("name") == "k").select(
    ((pl.col("ts") - pl.col("ts").first()).dt.total_seconds()).alias("seconds"), "value", "error", "state"
).gather_every(8)

# %%
tables = RunTables.load(result.directory)
own = calibrate_run(
    {"quotes": tables.quotes, "fills": tables.fills},
    tables.instruments["SIM-PERP.SIM"],
    "MM-SIM",
    result.run_id,
    tables.span_ns[1],
)
pl.DataFrame(
    [
        {"parameter": n, "true": TRUE[n], "from own quotes": own.parameters[n], "error": own.errors[n]}
        for n in ("a_per_s", "k_per_tick")
    ]
)

# %% [markdown]
# ## The parameter file
#
# A spec names it with its digest, so that the same spec always means the same numbers.

# %%
from ufos_nautilus.research.parameter_file import write_calibration

digest = write_calibration(SCRATCH / "sim.toml", found)
print((SCRATCH / "sim.toml").read_text("utf-8"))
print(f'calibration = {{ file = "sim.toml", sha256 = "{digest}" }}')

# %% [markdown]
# ## Volatility and the bounce
#
# Compared at every event, the mid of a one-tick market jumps back and forth by half a tick; the estimate is far too
# high. Moves over a second are dominated by what really happened.

# %%
from ufos_nautilus.research.calibrate import realised_sigma, touches

rows = touches(market(1).scan("quotes", "SIM-PERP.SIM").collect(), 0.01)
pl.DataFrame(
    [
        {"sampled every, s": s, "sigma, ticks": realised_sigma(rows, s).value, "true": 2.0}
        for s in (0.1, 0.5, 1.0, 5.0, 15.0)
    ]
)

# %% [markdown]
# ## The micro-price
#
# Fitted on one market, judged on another of the same kind. Here sizes at the touch are made so that the weighted mid is
# the true price, so the fitted table should find just that: from minus to plus half a tick.

# %%
from ufos_nautilus.pricing.fair_value import mid, weighted_mid
from ufos_nautilus.research.calibrate_catalog import calibrate_microprice
from ufos_nautilus.research.fit_microprice import forecast_errors

micro = calibrate_microprice(market(1), "SIM-PERP.SIM")
print("G*, ticks:", " ".join(f"{x / 0.01:+.3f}" for x in micro.adjustments[0]))
judged = market(2).scan("quotes", "SIM-PERP.SIM").collect()
errors = forecast_errors(judged, {"mid": mid, "weighted mid": weighted_mid, "micro-price": micro}, ahead=5)
pl.DataFrame([{"fair value": n, "RMSE, ticks": e["rmse"] / 0.01, "R2": e["r2"]} for n, e in errors.items()])

# %% [markdown]
# ## Risk aversion that means the same everywhere
#
# Gamma has the unit 1/(tick x order), so a number says nothing without the instrument. `ufos calibrate` sets it so that
# a full inventory moves the quotes by a chosen share of their depth.

# %%
from ufos_nautilus.research.calibrate import gamma_for_skew

pl.DataFrame(
    [
        {
            "market": name,
            "k per tick": k,
            "sigma, ticks": sigma,
            "gamma": float(Decimal(repr(gamma_for_skew(k, a, sigma, 10)))),
        }
        for name, k, a, sigma in (
            ("large tick", 3.4, 5.2, 0.09),
            ("generated", 0.2, 2.0, 2.0),
            ("small tick", 0.05, 5.6, 690.0),
        )
    ]
)
