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
# # A first backtest
#
# A market maker on a generated market: run it, look at what it did, change a parameter, run it again. Needs no data and
# no network.

# %%
import os
import tempfile
from pathlib import Path

import polars as pl
from IPython.display import HTML, display

from ufos_nautilus.engine import load_spec, run_backtest
from ufos_nautilus.report import write_report
from ufos_nautilus.report.plotly_asset import asset

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
_ = pl.Config.set_tbl_rows(12)
_ = pl.Config.set_tbl_cols(12)
_ = pl.Config.set_tbl_width_chars(160)

# %% [markdown]
# ## Run a spec
#
# A run spec is a TOML file: which data, which venues, which books, one seed. This one generates ten minutes of an L2
# order book around a Brownian mid and lets one desk quote it. `uv run ufos spec schema` prints every key with its unit.

# %%
SPEC = Path("strategies/specs/mm_generated.toml")
print(SPEC.read_text())

# %%
spec = load_spec(SPEC)
result = run_backtest(spec, root=SCRATCH / "runs")
print(f"{result.run_id}: {result['rows']:,} rows of market data in {result['elapsed_s']} s")
print(f"{result['orders']:,} orders, {result['fills']:,} fills, profit {result['net_pnl']}")
print(f"largest inventory {result['max_inventory']}, digest {result.digest[:16]}")

# %% [markdown]
# Everything the run left is in `runs/<id>/`: the spec, the result, a ledger and Parquet tables. The same files open in
# any tool; here they come as polars tables.

# %%
sorted(path.name for path in result.directory.iterdir())

# %%
result.fills.select("ts", "side", "price", "quantity", "liquidity", "commission", "bid", "ask")

# %% [markdown]
# Each fill knows the market when it happened, so what the desk captured is a sum over rows.

# %%
fills = result.fills.with_columns(
    mid=(pl.col("bid") + pl.col("ask")) / 2,
    sign=pl.when(pl.col("side") == "BUY").then(1).otherwise(-1),
).with_columns(captured=pl.col("sign") * (pl.col("mid") - pl.col("price")) * pl.col("quantity"))
fills.group_by("side", "liquidity").agg(
    pl.len().alias("fills"), pl.col("quantity").sum(), pl.col("captured").sum()
).sort("side", "liquidity")

# %% [markdown]
# ## See it
#
# `write_report` makes one HTML page of a run, with charts (`uv run ufos backtest` writes it by itself). In a notebook
# with the extra `research` the same tables go straight into plotly.

# %%
report = write_report(result.directory)
print(f"{report.name}: {report.stat().st_size:,} bytes; open {report} in a browser")

# %%
inventory = result.inventory.select(
    "ts", pl.col("quantity").cast(pl.Float64), ((pl.col("bid") + pl.col("ask")) / 2).cast(pl.Float64).alias("mid")
)
try:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots
except ImportError:
    print("plotly is in the extra `research`: uv sync --extra research")
    display(inventory.gather_every(max(1, inventory.height // 10)))
else:
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.05)
    figure.add_trace(go.Scatter(x=inventory["ts"], y=inventory["mid"], name="mid"), row=1, col=1)
    for side, symbol in (("BUY", "triangle-up"), ("SELL", "triangle-down")):
        own = result.fills.filter(pl.col("side") == side)
        marks = go.Scatter(
            x=own["ts"], y=own["price"].cast(pl.Float64), mode="markers", marker_symbol=symbol, name=side.lower()
        )
        figure.add_trace(marks, row=1, col=1)
    steps = go.Scatter(x=inventory["ts"], y=inventory["quantity"], name="inventory", line_shape="hv")
    figure.add_trace(steps, row=2, col=1)
    figure.update_layout(height=520, margin={"l": 40, "r": 20, "t": 20, "b": 30})
    library = asset("plotly-basic.min.js").decode()  # the copy that reports use, so that nothing is fetched
    display(HTML(f"<script>{library}</script>" + figure.to_html(include_plotlyjs=False, full_html=False)))

# %% [markdown]
# ## Change a parameter
#
# Any value of a spec can be overridden by its path, here and at the command line (`--set books.0.params.gamma=0.2`). A
# desk ten times as averse to risk leans harder against its inventory; one that does not care quotes symmetrically.


# %%
def row(label, **overrides):
    """Run the spec with overrides and return its key figures."""
    changed = load_spec(SPEC, [f"books.0.params.{name}={value}" for name, value in overrides.items()])
    run = run_backtest(changed, root=SCRATCH / "runs")
    held = run.inventory["quantity"].cast(pl.Float64)
    return {
        "desk": label,
        "fills": run["fills"],
        "profit": float(run["net_pnl"]["USDT"]),
        "std of inventory": held.std(),
        "largest inventory": run["max_inventory"]["SIM-PERP.SIM"],
    }


pl.DataFrame(
    [
        row("as it is"),
        row("gamma x 10", gamma=0.2),
        row("symmetric", quoter='"symmetric"'),
        row("Avellaneda-Stoikov", quoter='"avellaneda_stoikov"'),
    ]
)

# %% [markdown]
# ## The same again
#
# The same spec, seed and data give the same run, byte for byte; `uv run ufos runs replay last` does this for any stored
# run.

# %%
again = run_backtest(spec, root=SCRATCH / "again")
assert again.digest == result.digest
assert again.fills.equals(result.fills)
print("same digest:", again.digest[:16])
