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
# # Orders that meet inside the house
#
# A client who sells and a strategy that buys need no exchange between them: both gain if they meet at the midpoint.
# What is left goes to the desk if its price is no worse than the market's, else to the market. Every cross proves its
# price, and one ledger holds every share and cent. Runs offline in under a minute.

# %%
import os
import tempfile
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path

import polars as pl

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
os.environ.pop("UFOS_LEDGER_URL", None)
_ = pl.Config.set_tbl_rows(20)
_ = pl.Config.set_tbl_cols(14)
_ = pl.Config.set_tbl_width_chars(160)

# %% [markdown]
# ## The worked example
#
# AAPL stands at 190.13 / 190.15. A client sells 1000, a strategy buys 500.

# %%
from ufos_nautilus.crossing.example import worked_example

example = worked_example(desk_price=Decimal("190.13"))
cross = example.cross
assert (cross.quantity, cross.price) == (500, Decimal("190.14"))
print(f"{cross.quantity} cross at {cross.price}, the midpoint")

# %% [markdown]
# Each side is half a spread better off than at the touch: one cent a share, for the seller against the bid and for the
# buyer against the offer.

# %%
found = example.to_dict()
for party, touch in (("sell", "bid"), ("buy", "offer")):
    side = found["cross"][party]
    print(f"{side['beneficiary']} gains {Decimal(side['saved']):.2f} USD, {side['saved_bps']} bps on the {touch}")
    assert Decimal(side["saved"]) == Decimal("5.00")

# %% [markdown]
# The client's other 500 are offered to the desk. It pays the bid, which is no worse than the market: it gets them. If
# its price were a cent lower, or if it said nothing, they would be worked on the market.

# %%
rows = []
for price in (Decimal("190.13"), Decimal("190.12"), None):
    rest = worked_example(desk_price=price).to_dict()["residual"]
    rows.append({"desk pays": str(price), "to the desk": rest["desk"], "to the market": rest["market"],
                 "by": rest["algorithm"] or "", "because": rest["reason"]})  # fmt: skip
assert [(r["to the desk"], r["to the market"]) for r in rows] == [("500", "0"), ("0", "500"), ("0", "500")]
pl.DataFrame(rows)

# %% [markdown]
# In the ledger a cross is one entry with both legs: shares and cash move between the books and nothing comes from
# outside, so every asset adds up to zero. The desk's trade is a second entry of the same sort.

# %%
from ufos_nautilus.ledger import Asset, Contract, Ledger, Leg, deposit, inventory, trial_balance
from ufos_nautilus.ledger import cross as cross_entry
from ufos_nautilus.ledger.views import nav

ledger = Ledger()
ledger.define(Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2)))
for book in ("WM-ALICE", "AM-CORE", "IB-DESK"):
    ledger.post(
        deposit(ledger.state, ts_ns=0, ref=book, book=book, currency="USD", amount=Decimal(1_000_000), venue="DARK")
    )
for buyer, price, ref in (("AM-CORE", cross.price, cross.cross_id), ("IB-DESK", Decimal("190.13"), "D-AAPL-1")):
    ledger.post(
        cross_entry(
            ledger.state, Leg(book=buyer), Leg(book="WM-ALICE"), ts_ns=1, ref=ref, instrument_id="AAPL.DARK",
            quantity=Decimal(500), price=price,
        )
    )  # fmt: skip
assert set(trial_balance(ledger.state).values()) == {0}
prices = {"AAPL": Decimal("190.14")}
assert sum(nav(ledger.state, b, prices)["USD"] for b in ("WM-ALICE", "AM-CORE", "IB-DESK")) == 3_000_000
pl.DataFrame(
    [
        {"book": row.book, "AAPL": row.net_position, "average price": row.vwap_cost, "unrealised": row.unrealized_pnl}
        for row in inventory(ledger.state, prices)
    ]
)

# %% [markdown]
# ## A house
#
# The demo: two clients, two strategies, a desk per name, half an hour on a generated market; `uv run ufos demo` runs
# it.

# %%
from ufos_nautilus.engine import load_spec, run_backtest

with as_file(files("ufos_strategies") / "demo.toml") as path:
    spec = load_spec(path)
house = run_backtest(spec, root=SCRATCH / "runs")
print(f"{house['crosses']['crosses']} crosses, {house['crosses']['desk']} trades with desks, "
      f"{house['crosses']['market']} residuals on the market")  # fmt: skip
print(f"ledger: {house['ledger']['entries']:,} entries, balanced {house['ledger']['balanced']}, "
      f"reconciled {house['ledger']['reconciled']}")  # fmt: skip

# %% [markdown]
# Who saved what, against the touch of the moment and against the midpoint when the ticket came:

# %%
from ufos_nautilus.crossing.best_execution import CROSSES_FILE, crosses_frame, read_crosses
from ufos_nautilus.crossing.savings import savings

record = read_crosses(house.directory / CROSSES_FILE)
savings(crosses_frame(record)).select(
    "beneficiary", "crosses", "quantity", "saved", "fee", "net", "net_bps", "saved_on_arrival"
)

# %% [markdown]
# Every line of the record holds the market it leaned on, chained by hash. `uv run ufos crosses verify RUN` finds any
# edit; with `--catalog` it also rebuilds the best bid and offer from the recorded quotes and checks every price, with
# nothing taken from the code that made the cross.

# %%
from ufos_nautilus.crossing.market_check import catalog_quotes, verify_against_market
from ufos_nautilus.engine.sources import resolve_sources

catalog = resolve_sources(spec.data).tables[0].catalog
report = verify_against_market(record, catalog_quotes(catalog, {r["root"] for r in record}))
assert report.crosses == house["crosses"]["crosses"]
print(f"{report.crosses} crosses agree with {report.quotes:,} recorded quotes of {report.symbols} symbols")

# %% [markdown]
# ## Was it worth it?
#
# The control is the same spec with internalization off: the same tickets at the same moments, all of them worked on the
# market. `uv run ufos backtest SPEC --control` does this in one command.

# %%
from ufos_nautilus.cli.control import control_of
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.control import compare_control

control = run_backtest(control_of(spec), root=SCRATCH / "runs")
compared = compare_control(RunTables.load(house.directory), RunTables.load(control.directory))
assert compared["same_tickets"]
pl.DataFrame(compared["owners"]).select(
    "owner", "tickets", pl.col("cost", "control_cost", "saved").cast(pl.Float64).round(2),
    pl.col("cost_bps", "control_cost_bps").round(3),
)  # fmt: skip

# %% [markdown]
# Costs are what owners paid against the midpoint on arrival. The other side of the coin is what desks earned, or lost,
# by taking residuals: their edge when they traded, and what was left of it when the price had moved on.

# %%
from ufos_nautilus.research.house_costs import desk_markouts

tables = RunTables.load(house.directory)
desk_markouts(tables.fills, tables.orders, tables.markouts, tables.instruments).select(
    "book", "trades", pl.col("edge", "net_1000ms", "net_10000ms", "net_60000ms").cast(pl.Float64).round(2)
)

# %% [markdown]
# All books together, from the ledger:

# %%
books = pl.DataFrame(compared["books"]).with_columns(pl.col("profit", "control_profit", "gained").cast(pl.Float64))
total = compared["totals"]["USD"]
print(f"owners saved {total['saved']:.2f} USD; all books together gained {total['gained']:.2f} USD")
books.select("book", "kind", "profit", "control_profit", "gained")
