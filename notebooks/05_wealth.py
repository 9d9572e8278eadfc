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
# # Clients: plans, taxes, restrictions, and what an owner is shown
#
# A portfolio is brought to its target by a plan: whole lots, costs, taxes and limits, made by a pure function, shown to
# a person before anything trades. Then three clients live on a generated market for a year. Runs offline in a minute.

# %%
import os
import tempfile
from decimal import Decimal as D
from pathlib import Path

import polars as pl

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
os.environ.pop("UFOS_LEDGER_URL", None)
_ = pl.Config.set_tbl_rows(30)
_ = pl.Config.set_tbl_cols(14)
_ = pl.Config.set_tbl_width_chars(160)

# %% [markdown]
# ## A plan
#
# Three names, each bought in two lots; the target is a third each. The same request gives the same plan, and its name
# is the hash of everything it says.

# %%
from ufos_nautilus.portfolio import (
    Market,
    PlanRequest,
    PlanRules,
    Price,
    Restrictions,
    Security,
    Target,
    TaxLot,
    TaxRules,
    make_plan,
    simulate,
)

DAY = 86_400 * 10**9
NOW = 20_000 * DAY
PRICES = {"KO": D("60.00"), "XOM": D("110.00"), "MO": D("45.00")}
ABOUT = {"KO": "Soft Drinks", "XOM": "Integrated Oil & Gas", "MO": "Tobacco"}
LOTS = (
    TaxLot("KO", "1", NOW - 900 * DAY, D(400), D("18000.00")),
    TaxLot("KO", "2", NOW - 100 * DAY, D(300), D("19500.00")),
    TaxLot("XOM", "1", NOW - 700 * DAY, D(60), D("3000.00")),
    TaxLot("MO", "1", NOW - 600 * DAY, D(100), D("5200.00")),
)


def request(weights, rules=None, restrictions=None):
    """Return a planning request for the portfolio above."""
    return PlanRequest(
        portfolio="WM-ADA",
        owner="Ada",
        as_of_ns=NOW,
        cash=D("4000.00"),
        lots=LOTS,
        target=Target.of({"weights": weights, "cash": "rest"}),
        market=Market(
            {s: Security(symbol=s, sub_industry=name) for s, name in ABOUT.items()},
            {s: Price(price=p, ts_ns=NOW - DAY) for s, p in PRICES.items()},
        ),
        restrictions=Restrictions.of(restrictions or {}),
        rules=rules or PlanRules(),
    )


thirds = {"KO": "0.33", "XOM": "0.33", "MO": "0.33"}
plan = make_plan(request(thirds), "proportional")
assert plan.plan_id == make_plan(request(thirds), "proportional").plan_id
assert all(abs(w.after - w.target) <= 2 * w.step for w in plan.weights)
print(f"{len(plan.orders)} orders, cost {plan.cost} USD, tax {plan.tax.tax} USD, hash {plan.hash[:16]}")
pl.DataFrame([{"order": f"{o.side} {o.quantity} {o.symbol}", "price": o.price, "value": o.value,
               "commission": o.commission, "half spread": o.half_spread} for o in plan.orders])  # fmt: skip

# %% [markdown]
# Which lots a sale closes decides the tax: first in, first out sells what gained most; the least taxed lots reach the
# same weights for less.

# %%
rows = []
for order in ("fifo", "highest_cost", "least_tax"):
    made = make_plan(request(thirds, PlanRules(tax=TaxRules(order=order))), "proportional")
    rows.append({"lots": order, "deviation": made.deviation, "short-term gain": made.tax.short_gain,
                 "long-term gain": made.tax.long_gain, "tax": made.tax.tax})  # fmt: skip
assert rows[2]["tax"] < rows[0]["tax"]
assert rows[2]["deviation"] == rows[0]["deviation"]
pl.DataFrame(rows)

# %% [markdown]
# A client without tobacco can't be given a target that wants it, by accident: the plan is refused, unless its weight is
# to go to the others. What is held of it is sold.

# %%
from ufos_nautilus.errors import SpecError

try:
    make_plan(request(thirds, restrictions={"sub_industries": ["Tobacco"]}), "proportional")
    raise AssertionError("a restricted target must be refused")
except SpecError as error:
    print(error)
rules = PlanRules(restricted_target="redistribute")
without = make_plan(request(thirds, rules, {"sub_industries": ["Tobacco"]}), "proportional")
assert {w.symbol: w.after for w in without.weights}["MO"] == 0
print(without.notes)

# %% [markdown]
# On paper at other prices, before anybody approves it:

# %%
for move in ("-0.05", "0", "0.05"):
    found = simulate(plan, None, D(move))
    print(f"prices {D(move):+.0%}: value {found.nav:,} USD, active share {found.active_share:.3%}")

# %% [markdown]
# ## A year with three clients
#
# `strategies/specs/wm_clients.toml`: one buys and holds; Ada wants no tobacco, pays in and takes out; Ben minds taxes.
# A strategy trades against them, the desk takes what is left. Bars are generated, quotes are made from the bars.

# %%
from ufos_nautilus.engine import load_spec, run_backtest

run = run_backtest(load_spec(Path("strategies/specs/wm_clients.toml")), root=SCRATCH / "runs")
assert run["ledger"]["balanced"]
assert run["ledger"]["reconciled"]
print(f"{run['fills']:,} fills, {run['crosses']['crosses']} crosses, {run['crosses']['desk']} trades with the desk")
print("dividends and splits:", {k: run["treasury"][k] for k in ("dividends", "splits", "deposits", "withdrawals")})

# %% [markdown]
# Time-weighted returns leave the owner's own payments out, money-weighted ones count when they were made.

# %%
from ufos_nautilus.report.clients import holdings, performances
from ufos_nautilus.report.tables import RunTables

tables = RunTables.load(run.directory)
figures = performances(tables)
pl.DataFrame([{"book": f.book, "owner": f.owner, "value": f.end, "paid in": f.flows, "return": f"{f.total:.2%}",
               "money-weighted": f"{f.money_weighted:.2%}", "drawdown": f"{f.drawdown.depth:.2%}",
               "fees": f.fees, "saved by crosses": f.saved} for f in figures.values()])  # fmt: skip

# %% [markdown]
# No restricted name was ever traded for Ada, checked over every fill, and what each name added is her profit to the
# cent.

# %%
from ufos_nautilus.cli.client import sub_industries

tobacco = {s for s, name in sub_industries(tables).items() if name == "Tobacco"}
traded = tables.fills.filter(pl.col("book") == "WM-ADA")["instrument_id"].str.replace(r"\.[A-Z]+$", "")
assert tobacco
assert not tobacco & set(traded)
added = holdings(tables, "WM-ADA")
assert sum(h.added for h in added) == D(run["ledger"]["books"]["WM-ADA"]["pnl"]["USD"]["total"])
pl.DataFrame([{"name": h.symbol, "added": h.added, "price": h.price_gain, "dividends": h.dividends, "costs": h.costs}
              for h in (*added[:4], *added[-4:])])  # fmt: skip

# %% [markdown]
# The page that goes to the owner (`uv run ufos client report RUN WM-ADA --standalone`):

# %%
from ufos_nautilus.report.client_page import write_client_report

page = write_client_report(run.directory, "WM-ADA", SCRATCH / "ada.html", standalone=True)
print(f"{page.name}: {page.stat().st_size / 1e6:.1f} MB")
