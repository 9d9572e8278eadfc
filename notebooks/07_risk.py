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
# # Risk in front of every order, and a switch that always works
#
# Every order of every book passes one check before the engine sees it. What the check cannot know it denies. This page
# shows the limits, what breaking them sets off, what a day could cost, and how long a halt takes. Runs offline in under
# a minute.

# %%
import random
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import polars as pl

SCRATCH = Path(tempfile.mkdtemp())
_ = pl.Config.set_tbl_rows(30)
_ = pl.Config.set_tbl_cols(14)
_ = pl.Config.set_tbl_width_chars(160)
_ = pl.Config.set_fmt_str_lengths(80)

# %% [markdown]
# ## One file of limits
#
# Firm over kind over book over instrument. A lower level can tighten a higher one, never loosen it. Every amount names
# its currency, every key its unit.

# %%
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.rules_file import load_rules

rules = load_rules(Path("strategies/limits.toml"))
limits = Limits(rules)
found = limits.slot("WM-ALICE", "client", "AAAB.XSIM")
print(rules.name, "version", rules.version, "-", rules.digest()[:16])
print("WM-ALICE in AAAB.XSIM:", found.restriction.reason if found.restriction else "no restriction")
assert found.restriction is not None

# %% [markdown]
# ## The check
#
# It is a pure function of an order, the state of the firm and the limits, and returns every limit the order would
# break, in a fixed order. Open orders count as filled in the worst way, so that many small orders can't do what one
# large one may not.

# %%
from ufos_nautilus.risk.entry import Holding, Proposal, firm_of_book, judge

NOW = time.time_ns()


def say(book: str, kind: str, *orders: Proposal, price: str = "100", held: str = "0") -> pl.DataFrame:
    known = [Holding(name, Decimal(held), Decimal(price), "USD") for name in {o.instrument for o in orders}]
    firm = firm_of_book(limits, book, kind, Decimal(1_000_000), known, "USD", NOW)
    rows = [
        {"order": f"{v.proposal.side} {v.proposal.quantity} {v.proposal.instrument}", "code": found.code,
         "allowed": found.limit, "would be": found.value}
        for v in judge(orders, firm, limits, NOW)
        for found in v.violations
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict.fromkeys(("order", "code", "allowed", "would be"), pl.String))


tobacco = Proposal("WM-ALICE", "AAAB.XSIM", "BUY", Decimal(10))
say("WM-ALICE", "client", tobacco, Proposal("WM-ALICE", "AAAB.XSIM", "BUY", Decimal(9_000), Decimal(120)))

# %% [markdown]
# What only reduces passes all limits on holdings: she may sell what she has.

# %%
assert say("WM-ALICE", "client", Proposal("WM-ALICE", "AAAB.XSIM", "SELL", Decimal(10)), held="10").is_empty()
assert not say("WM-ALICE", "client", Proposal("WM-ALICE", "AAAB.XSIM", "SELL", Decimal(11)), held="10").is_empty()

# %% [markdown]
# Each of these three orders would be allowed alone; the third is one too many.

# %%
desk = [Proposal("MM-AAAA", "AAAA.XSIM", "BUY", Decimal(1_200), Decimal(100)) for _ in range(3)]
say("MM-AAAA", "desk", *desk)

# %% [markdown]
# ## What breaking a limit sets off
#
# In a small market that follows a script: the price falls from the fifth second on, and figures go beyond their values
# one after the other. The record below is hash-chained; reading it checks every line.

# %%
from ufos_nautilus.engine.drill_market import START_NS
from ufos_nautilus.engine.drill_scripts import play_script


def story(name: str) -> pl.DataFrame:
    folder = SCRATCH / name.replace(" ", "-")
    folder.mkdir()
    played = play_script(name, folder)
    rows = [
        {"second": (r["ts_ns"] - START_NS) / 1e9, "what": r["what"],
         "more": ", ".join(f"{k} {v}" for k, v in r.items() if k not in ("what", "ts_ns", "order", "action", "rows"))}
        for r in played.records if r["what"] != "passed"
    ]  # fmt: skip
    print(name, "- held at the end:", {k: str(v) for k, v in played.held.items()} or "nothing")
    return pl.DataFrame(rows)


story("reduce")

# %%
story("loss window")

# %% [markdown]
# A client restricts a name while an order in it rests: the order is cancelled, the way back is denied, and other names
# go on. Both decisions are on record, with the version of the restrictions they were made by.

# %%
restricted = story("restriction")
assert restricted["what"].to_list() == ["restrictions", "cancel_broken", "denied"]
restricted

# %% [markdown]
# ## What a day could cost
#
# Value at risk three ways, on returns whose tail is known exactly: Student's t with four degrees. The normal law sees
# too little of it, and Kupiec's test says so.

# %%
from ufos_nautilus.risk.measures import tail_risk
from ufos_nautilus.risk.student import student_returns, student_tail
from ufos_nautilus.risk.var_tests import backtest_var

returns = student_returns(3_000, random.Random(1))
rows = []
for (method, level), test in backtest_var(returns, 500, (0.95, 0.99)).items():
    tail, exact = tail_risk(returns, level, method), student_tail(level)
    rows.append({"method": method, "level": level, "VaR": tail.var, "exact": exact.var, "ES": tail.es,
                 "exact ES": exact.es, "breaches": test.breaches, "expected": test.expected,
                 "Kupiec p": test.kupiec_p, "Christoffersen p": test.independence_p})  # fmt: skip
table = pl.DataFrame(rows)
assert table.filter(method="parametric", level=0.99)["Kupiec p"].item() < 0.05
table

# %% [markdown]
# ## The firm at one moment
#
# 500 positions in ten books over 1,000 days: value at risk, shortfall, beta, concentration, days to exit, and what each
# book adds to the firm's risk.

# %%
from ufos_nautilus.risk.snapshot import RiskMonitor
from ufos_nautilus.risk.stress import SHOCKS, replay, stress, worst_windows

rng = random.Random(1)
market = [rng.gauss(0.0003, 0.01) for _ in range(1_000)]
history = {f"S{n:03d}": [rng.uniform(0.9, 1.1) * m + rng.gauss(0, 0.015) for m in market] for n in range(500)}
volumes = dict.fromkeys(history, 2e7)
values = {name: rng.gauss(30_000, 100_000) for name in history}
monitor = RiskMonitor(history, market, volumes)
for number, (name, value) in enumerate(values.items()):
    monitor.hold(f"AM-{number % 10}", name, value)
started = time.perf_counter()
snapshot = monitor.snapshot()
print(f"{(time.perf_counter() - started) * 1e3:.1f} ms")
pl.DataFrame(
    [{"book": r.book or "firm", "gross": r.gross, "net": r.net, "VaR 99": r.var["historical 0.99"],
      "ES 99": r.es["historical 0.99"], "beta": r.beta, "largest share": r.largest_share, "days": r.days_to_exit,
      "adds": r.incremental_var} for r in snapshot]
)  # fmt: skip

# %% [markdown]
# Shocks somebody thought of, and the worst weeks of the past.

# %%
shocked = stress(values, SHOCKS, volumes=volumes, var_99=snapshot[0].var["historical 0.99"])
shocked += replay(values, history, worst_windows(monitor.profits(), 5, 2))
pl.DataFrame([s._asdict() for s in shocked])

# %% [markdown]
# ## The switch
#
# A live node with the sandbox execution client rests 200 orders; its strategy is idle, then never comes back from a
# callback. A signed datagram halts it. The listener is a process of its own, so nothing a strategy does keeps it from
# hearing; the callback that stands in the way is ended.

# %%
from ufos_nautilus.cli.drill_switch import kill_switch

drill = kill_switch(200, 2, ["udp"], ["idle", "stuck"], "", lambda n: None)
pl.DataFrame([r._asdict() for r in drill["rows"]])

# %% [markdown]
# `ufos drill kill-switch` runs all triggers with 1,000 orders. After a halt nothing trades until a person types a
# phrase at a terminal: `ufos resume` asks for it, and no option stands in for it.
