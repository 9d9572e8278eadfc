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
# # Quoting
#
# What the desk asks for its quotes, why, and what it earns: the models, the published results they come from, and runs
# on generated markets with the profit taken apart. Runs offline in under a minute.

# %%
import copy
import os
import tempfile
import tomllib
from pathlib import Path

import polars as pl
from IPython.display import SVG, display

SCRATCH = Path(tempfile.mkdtemp())
os.environ["UFOS_GENERATED"] = str(SCRATCH / "generated")
_ = pl.Config.set_tbl_rows(30)
_ = pl.Config.set_float_precision(3)


def lines(title, x, **series):
    """Draw a few lines; good enough to see a shape."""
    colours = ["#2266aa", "#cc5533", "#448844", "#8855aa"]
    low, high = min(map(min, series.values())), max(map(max, series.values()))
    x0, x1 = min(x), max(x)

    def point(a, b):
        return f"{40 + 520 * (a - x0) / (x1 - x0):.1f},{200 - 170 * (b - low) / ((high - low) or 1):.1f}"

    parts = [f'<text x="40" y="16" font-size="13">{title}: {low:.3g} to {high:.3g}</text>']
    for i, (name, values) in enumerate(series.items()):
        points = " ".join(point(a, b) for a, b in zip(x, values, strict=True))
        parts.append(f'<polyline fill="none" stroke="{colours[i]}" stroke-width="2" points="{points}"/>')
        parts.append(f'<text x="570" y="{40 + 18 * i}" font-size="12" fill="{colours[i]}">{name}</text>')
    display(SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="215">{"".join(parts)}</svg>'))


# %% [markdown]
# ## More risk aversion does not mean wider quotes
#
# The half-spread of Avellaneda and Stoikov falls with gamma as long as the variance over the horizon is small against
# 1/k². Widening in troubled times has to come from volatility or expected impact, not from gamma.

# %%
from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, half_spread
from ufos_nautilus.pricing.glft import Glft, GlftParams

gammas = [0.01 * 1.2**i for i in range(40)]
lines(
    "half-spread against gamma (1.2^i)",
    list(range(40)),
    calm=[half_spread(g, 1.5, 0.05**0.5, 1.0) for g in gammas],
    wild=[half_spread(g, 1.5, 1.0, 1.0) for g in gammas],
)

# %% [markdown]
# ## GLFT against Avellaneda-Stoikov
#
# Far from the horizon the formula of 2008 moves its quotes many times too far with inventory. GLFT solves the same
# problem for a desk that quotes on and on.

# %%
params = GlftParams(gamma=0.1, k=1.5, A=140.0, bound_lots=10)
glft, classic = Glft(params, 2.0), AvellanedaStoikov(0.1, 1.5, 10)
held = list(range(-9, 10))
lines(
    "bid depth against inventory",
    held,
    GLFT=[glft.quote(q, 2.0, 1.0).bid_depth for q in held],
    classic=[classic.quote(q, 2.0, 1.0).bid_depth for q in held],
)

# %% [markdown]
# ## The published tables

# %%
from ufos_nautilus.research.study_avellaneda_stoikov import run_study

pl.DataFrame(
    [
        {
            "gamma": row["gamma"],
            "strategy": row["strategy"],
            "paper": f"{row['paper']['profit']:.1f} / {row['paper']['profit_std']:.1f}",
            "ours": f"{row['ours']['profit']:.2f} / {row['ours']['profit_std']:.2f}",
        }
        for row in run_study(20_000, 1)
    ]
)

# %% [markdown]
# ## Where the profit comes from
#
# Each fill is held against the mid when it happened and later. The parts add up to the profit of the ledger exactly.

# %%
from ufos_nautilus.engine import load_spec, parse_spec, run_backtest
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.sections.attribution import run_attribution
from ufos_nautilus.research.attribution import by_book, require_exact


def parts_of(spec):
    """Run a spec; return the parts of its profit and the run."""
    result = run_backtest(spec, root=SCRATCH / "runs")
    found = run_attribution(RunTables.load(result.directory))
    books = by_book(found, result["ledger"]["books"])
    require_exact(books)
    return books.select("spread", "adverse", "inventory", "fees", "net").row(0, named=True), result


rows = []
for quoter in ("symmetric", "avellaneda_stoikov", "glft", "cartea_jaimungal"):
    spec = load_spec(
        Path("strategies/specs/mm_generated.toml"),
        [f"books.0.params.quoter={quoter}", "books.0.params.horizon_s=30", "data.0.synthetic.params.duration_s=900"],
    )
    parts, result = parts_of(spec)
    rows.append({"quoter": quoter, **{k: float(v) for k, v in parts.items()}, "fills": result["fills"],
                 "most held": float(result["max_inventory"].get("SIM-PERP.SIM", 0))})  # fmt: skip
pl.DataFrame(rows)

# %% [markdown]
# ## What the queue is worth
#
# The same desk on a market with deep levels: with the queue a quote waits behind what was there first. Without it the
# backtest earns money that is not there.

# %%
rows = []
for queue in (True, False):
    spec = load_spec(Path("tests/golden/queue_and_fees.toml"), [f"venues.0.queue_position={str(queue).lower()}"])
    parts, result = parts_of(spec)
    rows.append({"queue": queue, "net": float(parts["net"]), "fills": result["fills"]})
pl.DataFrame(rows)

# %% [markdown]
# ## Getting out of the way
#
# In this market a leader jumps and the follower takes the move 300 ms later. Fading withdraws the exposed quotes when
# the leader has moved: the move of the price against the desk in the second after a fill goes away.

# %%
plain = tomllib.loads(Path("strategies/specs/mm_pair.toml").read_text("utf-8"))
plain["data"][0]["synthetic"]["params"]["duration_s"] = 900.0
rows = []
for fading in (False, True):
    spec = copy.deepcopy(plain)
    if not fading:
        del spec["books"][0]["params"]["fade"]
    result = run_backtest(parse_spec(spec), root=SCRATCH / "runs")
    found = run_attribution(RunTables.load(result.directory))
    quantity = float(found["quantity"].sum())
    rows.append(
        {
            "fading": fading,
            "move in 1 s, ticks per unit": 100 * float(found["move_1000ms"].sum()) / quantity,
            "net": float(result["net_pnl"]["USDT"]),
            "fills": result["fills"],
        }
    )
pl.DataFrame(rows)

# %% [markdown]
# The same tables for recordings: `ufos study quoters --catalog catalogs/btcusdt_perp`. Under honest fees and a queue
# most of them lose; the point of the table is by how much, and to what.
