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
# # Strategies: momentum, reversal, pairs, and rules without code
#
# Five strategies on generated daily bars whose drifts last for a while and whose pairs come back to each other. Each is
# a spec in `strategies/specs/`; each gets a share of the house's capital. Runs offline in a minute.

# %%
import os
import tempfile
from pathlib import Path

import polars as pl

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
os.environ.pop("UFOS_LEDGER_URL", None)
_ = pl.Config.set_tbl_rows(30)
_ = pl.Config.set_tbl_cols(14)
_ = pl.Config.set_tbl_width_chars(160)

# %%
from ufos_nautilus.engine import load_spec, run_backtest
from ufos_nautilus.report.clients import performances
from ufos_nautilus.report.tables import RunTables

NAMES = ("am_momentum_time_series", "am_momentum_cross_section", "am_mean_reversion", "am_pairs", "am_rules")
runs = {n: run_backtest(load_spec(Path(f"strategies/specs/{n}.toml")), root=SCRATCH / "runs") for n in NAMES}
rows = []
for name, run in runs.items():
    assert run["ledger"]["balanced"]
    assert run["ledger"]["reconciled"]
    (own,) = performances(RunTables.load(run.directory)).values()
    sharpe = own.statistics["sharpe"]
    rows.append({"spec": name, "capital": own.start, "fills": run["fills"], "return": f"{own.total:.2%}",
                 "volatility": f"{own.statistics['volatility']:.2%}", "Sharpe": round(sharpe, 2) if sharpe else None,
                 "drawdown": f"{own.drawdown.depth:.2%}", "turnover": f"{own.turnover:.0%}"})  # fmt: skip
pl.DataFrame(rows)

# %% [markdown]
# The generator gives momentum and pairs something to find and the reversal little: a week's move against the sector
# does not come back here, and it pays the spread. What a strategy earns is what comes out.
#
# ## A strategy as data
#
# Conditions are text, checked when the strategy is read, and every problem is named at once.

# %%
from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio import StrategySpec
from ufos_nautilus.portfolio.strategy_spec import EXAMPLES

try:
    StrategySpec.of({"name": "Bad Name", "long": {"enter": ["rsj(14) < 30"]}})
    raise AssertionError("it must be refused")
except SpecError as error:
    print(error)
print(EXAMPLES["breakout"].model_dump_json(indent=1, exclude_defaults=True))

# %% [markdown]
# The engine's own indicators stand behind the words. The same book runs any of the examples:

# %%
from ufos_nautilus.engine import parse_spec

base = load_spec(Path("strategies/specs/am_rules.toml")).model_dump(mode="json")
rows = []
for name in ("dip", "trend", "breakout"):
    book = {**base["books"][0], "params": {"act": "session", "strategy": EXAMPLES[name].model_dump(mode="json")}}
    run = run_backtest(parse_spec({**base, "name": f"rules-{name}", "books": [book]}), root=SCRATCH / "runs")
    counts = run["desks"]["AM-RULES"]
    (own,) = performances(RunTables.load(run.directory)).values()
    rows.append({"strategy": name, "opened": counts["opened"], "closed": counts["closed"],
                 "stopped": counts["stopped"], "return": f"{own.total:.2%}"})  # fmt: skip
pl.DataFrame(rows)

# %% [markdown]
# ## What factors explain
#
# With the recordings beside the checkout, `strategies/specs/house_sp500.toml` runs twenty clients and five strategies
# on five years of 500 stocks and explains their returns by the published factors. Here the regression itself, on the
# factors' own momentum.

# %%
from ufos_nautilus.research.factors import fit_factors, read_factors

folder = Path("../shared/data/factors")
if folder.is_dir():
    factors = {d: f for d, f in read_factors(folder).items() if d.year in range(2013, 2018)}
    tilted = {d: f["riskless"] + 0.5 * f["market"] + 0.5 * f["momentum"] for d, f in factors.items() if len(f) == 5}
    fit = fit_factors(tilted, factors)
    assert abs(fit.slope("momentum").value - 0.5) < 1e-9
    print(f"{fit.observations} days:", {s.name: round(s.value, 3) for s in fit.slopes})
else:
    print("no factor files beside this checkout; this step is left out")
