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
# # An assistant at work
#
# What a language model sees of UFOS, and what it can do there: it looks at data, writes an idea down as rules and as
# code, backtests both, compares them, keeps what it learned, and finds it again the next day. Here a script stands for
# the model, so that every run of this notebook is the same; the server is the real one, in a process of its own.
#
# It needs the extra `mcp`, and a container engine for the one step that runs code; without one that step says so.

# %%
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from IPython.display import Image, Markdown, display
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.stdio import stdio_client as pipes

ROOT = Path(tempfile.mkdtemp())
SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "ufos_mcp", "--root", str(ROOT)],
    env={**os.environ, "UFOS_RUNS": str(ROOT / "runs")},
)
market = ["data", "generate", "single", "--catalog", str(ROOT / "catalogs" / "sim"), "--set", "duration_s=14400"]
generated = subprocess.run(
    [sys.executable, "-m", "ufos_nautilus.cli", *market, "--json"], check=True, capture_output=True, text=True
)
print(generated.stdout.splitlines()[-1])

# %% [markdown]
# ## The loop
#
# A client starts `ufos-mcp` and asks what there is. Then the model names a tool and arguments, gets the result, and so
# on: here a generator yields calls and is sent results. Results are small: a run's id, a few figures, links to the
# rest.


# %%
async def session(model):
    """Start the server, let a model work with it to its end, and return what was said."""
    said = []
    with open(os.devnull, "w") as quiet:
        async with Client(pipes(SERVER, errlog=quiet)) as client:
            try:
                tool, arguments = next(model)
                while True:
                    result = await client.call_tool(tool, arguments, read_timeout_seconds=300)
                    said.append((tool, arguments, result))
                    tool, arguments = model.send(result.structured_content or {"error": result.content[0].text})
            except StopIteration:
                return said


def show(said, *keys):
    """Print each call, and of its result the named parts."""
    for tool, arguments, result in said:
        found = result.structured_content or {}
        short = {k: v if len(str(v)) < 60 else f"{str(v)[:50]} ..." for k, v in arguments.items()}
        print(f"{tool} {json.dumps(short)}")
        picked = {k: found[k] for k in keys if k in found}
        print("   ", picked if picked and not result.is_error else result.content[0].text[:300])


# %%
async def surface():
    """List what a client is shown."""
    with open(os.devnull, "w") as quiet:
        async with Client(pipes(SERVER, errlog=quiet)) as client:
            tools = (await client.list_tools()).tools
            prompt = await client.get_prompt("research_session", {"symbol": "SIM-PERP.SIM"})
            book = await client.read_resource("financial://market/book/SIM-PERP.SIM?depth=3")
            return client.protocol_version, tools, prompt.messages[0].content.text, json.loads(book.contents[0].text)


version, tools, prompt, book = await surface()  # noqa: F704
print(f"protocol {version}")
for tool in tools:
    print(f"{tool.name:<16} {tool.description[:96]} ...")

# %% [markdown]
# Prompts are ways of working that a person can choose; this one keeps a model honest.

# %%
print(prompt)

# %%
book

# %% [markdown]
# ## Buy when RSI < 30
#
# The idea twice. As rules it is data: validated, no code runs that is not the product's own.

# %%
SYMBOL, BARS = "SIM-PERP.SIM", "15-SECOND-MID-INTERNAL"
IDEA = "dips of fifteen-second bars under RSI 30 rebound within minutes"
RULES = {
    "description": "Buys a dip and leaves on the rebound.",
    "bars": BARS,
    "long": {"enter": ["rsi(14) < 30"], "exit": ["rsi(14) > 55"]},
    "sizing": {"kind": "units", "units": 1},
}

# %% [markdown]
# As code it is whatever the model wrote, so it runs in a container that lives once, without network, over a slice of
# the data; its result has a label that says what it is worth.

# %%
CODE = f'''
from nautilus_trader.indicators import MovingAverageType, RelativeStrengthIndex
from nautilus_trader.model import BarType, InstrumentId, OrderSide
from ufos_nautilus.engine import Book, BookConfig


class DipConfig(BookConfig):
    instrument_id: str


class Dip(Book):
    """Buys when RSI(14) falls under 30 and sells when it is above 55."""

    Config = DipConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.rsi, self.held = RelativeStrengthIndex(14, MovingAverageType.Wilder), False
        self.subscribe_bars(BarType.from_str(f"{{self.name}}-{BARS}"))

    def on_bar(self, bar):
        self.rsi.update_raw(float(bar.close))
        if not self.rsi.initialized:
            return
        if not self.held and self.rsi.value < 30:
            self.trade(OrderSide.BUY)
        elif self.held and self.rsi.value > 55:
            self.trade(OrderSide.SELL)

    def trade(self, side):
        self.held = side == OrderSide.BUY
        quantity = self.cache.instrument(self.name).make_qty(1)
        self.submit_order(self.order_factory.market(self.name, side, quantity))
'''

# %%
try:
    from ufos_sandbox.image.build import build

    build()
except Exception as error:  # no engine here: the step that needs it says so itself
    print(f"no container engine: {error}")


# %% [markdown]
# The scripted model. It asks what failed before, tests the idea both ways and at higher costs, compares, looks at the
# curve, varies one parameter, and writes down what it saw.


# %%
def researcher():
    """Study one idea."""
    yield "describe_data", {"symbol": SYMBOL}
    yield "search_research", {"query": "rsi dip rebound", "failed": True}
    made = yield "create_strategy", {"name": "rsi-dip", "spec": RULES}
    common = {"symbols": [SYMBOL], "hypothesis": IDEA, "knowledge_cutoff": "2025-01", "fee_bps": 0.5}
    rules = yield "run_backtest", {"strategy": made["strategy"], **common}
    code = yield "backtest_code", {"code": CODE, "params": {"instrument_id": SYMBOL}, **common}
    dear = yield "run_backtest", {"strategy": made["strategy"], **common, "fee_bps": 5.0}
    runs = [r["run_id"] for r in (rules, code, dear) if r.get("run_id")]
    yield "get_backtest", {"runs": runs}
    yield "show_pnl", {"run": rules["run_id"]}
    sweep = yield "run_backtest", {"strategy": made["strategy"], **common, "sweep": {"exits.max_bars": [4, 16, 64]}}
    best = sweep["runs"][0]
    text = (
        f"{IDEA}: {rules['net_pnl']} over {rules['orders']} orders; the best of {len(sweep['runs'])} holding times"
        f" makes {best['net_pnl']}. The market is a random walk, so what is left is cost."
    )
    failed = rules["verdict"] != "winning"
    saved = {"kind": "failure" if failed else "hypothesis", "text": text, "tags": ["rsi", "dip"], "importance": 3}
    yield "save_insight", {**saved, "runs": runs}


said = await session(researcher())  # noqa: F704
show(said, "strategy", "status", "label", "verdict", "net_pnl", "orders", "trials_of_hypothesis", "assumed", "insight")

# %% [markdown]
# All were counted as trials of the same hypothesis. The comparison puts their figures side by side; where code from
# elsewhere took part, the result is marked untrusted.

# %%
compared = next(r.structured_content for tool, _, r in said if tool == "get_backtest")
rows = [
    (name, *row["values"]) for name, row in compared["figures"].items() if name.split(".")[0] not in ("digest", "seed")
]
table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
header = "| figure | " + " | ".join(compared["runs"]) + " |\n|" + " --- |" * (len(compared["runs"]) + 1)
display(Markdown(f"{header}\n{table}"))

# %%
chart = next(r for tool, _, r in said if tool == "show_pnl")
print(chart.content[0].text)
Image(base64.b64decode(chart.content[1].data))

# %% [markdown]
# ## The next day
#
# Another session, another process: the store remembers. What somebody wrote comes back in an envelope that says it is
# data.


# %%
def newcomer():
    """Look before trying again, and make a few mistakes."""
    yield "search_research", {"query": "rsi rebound"}
    yield "run_backtest", {"strategy": "rsi-dip", "symbols": ["FAKETOKEN.SIM"], "hypothesis": IDEA}
    yield "run_backtest", {"strategy": "rsi-dip", "symbols": [SYMBOL], "hypothesis": IDEA, "fee_bps": "1"}
    yield "run_backtest", {"strategy": "rsi-dip", "symbols": [SYMBOL], "hypothesis": IDEA, "confirmed": True}
    yield "create_strategy", {"name": "rsi-dip", "spec": {**RULES, "long": {"enter": ["rsy(14) < 30"]}}}


later = await session(newcomer())  # noqa: F704
insight = next(row for row in later[0][2].structured_content["found"] if row["found"] == "insight")
print(json.dumps(insight, indent=1))
assert insight["untrusted"]

# %% [markdown]
# What could not be done was refused, with the reason, and nothing ran.

# %%
show(later[1:])
assert all(result.is_error for _, _, result in later[1:])

# %% [markdown]
# ## What is left behind
#
# Every call is in a chain of hashes: `ufos mcp audit` finds any record that was edited, cut or reordered.

# %%
STORES = ROOT / "runs" / "_research"
for command in (
    ["mcp", "audit", STORES / "audit"],
    ["experiments", "list", "--store", STORES / "experiments.sqlite"],
):
    words = [sys.executable, "-m", "ufos_nautilus.cli", *map(str, command)]
    print(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
