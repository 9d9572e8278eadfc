"""Prompts: the ways of working this server is made for, and completions of their arguments."""

import re
from collections.abc import Callable
from typing import Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from ufos_mcp import catalogue
from ufos_mcp.market import SYMBOL
from ufos_mcp.runs import PARTS, RUN_ID
from ufos_mcp.services import Services

COMPLETIONS_MAX: Final = 100
TEXT: Final = r"^[^\x00-\x08\x0b-\x1f]{1,500}$"
CHECKS: Final[dict[str, str]] = {
    "symbol": SYMBOL,
    "strategy": catalogue.NAME,
    "run_id": RUN_ID,
    "against": rf"(?:{RUN_ID})?",
    "question": TEXT,
    "parameters": TEXT,
}
"""Argument -> what it must look like."""

RESEARCH: Final = """Research session on {symbol}: {question}

1. describe_data for {symbol}; note span, gaps and defects. search_research for what was tried before, also what failed.
2. State one falsifiable hypothesis before you look at results: which effect, why it should exist, what would refute it.
3. Set aside the last third of the span. Work on the first two thirds only (end), and touch the rest once, at the end.
4. create_strategy, or backtest_code where rules do not suffice. run_backtest with the hypothesis and your
   knowledge_cutoff; a result on data from before it proves little.
5. Compare with doing nothing and with a simple baseline (get_backtest with both runs). Look at fills and costs.
6. save_insight: what held, what failed, with run ids. A failure is a result."""
OPTIMISE: Final = """Optimise {strategy} on {symbol}: {parameters}

1. search_research for earlier trials of {strategy}; count them, for the best of many is best by chance.
2. Choose at most two parameters and few values; say beforehand why each value is plausible.
3. run_backtest with sweep on the first two thirds of the span. Prefer a broad plateau to a sharp peak.
4. Run the chosen values once on the last third. Report both, and trials_of_hypothesis with them.
5. If the last third is much worse, say so: the sweep fitted noise. save_insight either way."""
REVIEW: Final = """Review the backtest {run_id}{against}.

1. get_backtest summary, spec and fills. What was assumed: fees, latency, queue position, data span, seed?
2. Where does the profit come from: few fills or many, spread or direction, one hour or all? get_backtest equity,
   show_pnl.
3. What would break it: costs doubled (fee_bps), another seed, another span? Run what is cheap and compare.
4. The label: host and verified count; plausible has gaps; rejected counts for nothing.
5. Conclude in three sentences: what is shown, what is not, what to test next. save_insight."""
STRESS: Final = """Stress test {strategy} on {symbol}.

1. run_backtest as it is: the base.
2. Against it, one at a time: fee_bps 1, 2, 5, 10; seeds 1 to 4; depth true; the most volatile stretch of the span
   (analyze_market indicators volatility(20)); each half of the span.
3. get_backtest with the runs side by side. Which change hurts most, and does the sign of the profit survive?
4. Name the conditions under which it must not run. save_insight with importance 4 if one of them is likely."""


class Prompts:
    """Serves the prompts and completions.

    Parameters
    ----------
    services : Services
        Of the server.

    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def mount(self, server: MCPServer[Any]) -> None:
        """Add prompts and completions to a server."""

        def add(fn: Callable[..., str], title: str, about: str) -> None:
            server.add_prompt(Prompt.from_function(fn, title=title, description=about))

        add(self.research_session, "Research session", "From a question to a tested hypothesis on one instrument.")
        add(self.optimisation, "Optimisation", "Choose parameters without fooling yourself.")
        add(self.review_backtest, "Backtest review", "What a stored run shows, and what it does not.")
        add(self.stress_test, "Stress test", "Under which conditions a strategy breaks.")
        server.completion()(self.complete)

    def research_session(self, symbol: str, question: str = "what moves it in the short run?") -> str:
        """Return the way of a research session."""
        _require(symbol=symbol, question=question)
        return RESEARCH.format(symbol=symbol, question=question)

    def optimisation(self, strategy: str, symbol: str, parameters: str = "the two that matter most") -> str:
        """Return the way of an optimisation."""
        _require(strategy=strategy, symbol=symbol, parameters=parameters)
        return OPTIMISE.format(strategy=strategy, symbol=symbol, parameters=parameters)

    def review_backtest(self, run_id: str, against: str = "") -> str:
        """Return the way of a review."""
        _require(run_id=run_id, against=against)
        return REVIEW.format(run_id=run_id, against=f" against {against}" if against else "")

    def stress_test(self, strategy: str, symbol: str) -> str:
        """Return the way of a stress test."""
        _require(strategy=strategy, symbol=symbol)
        return STRESS.format(strategy=strategy, symbol=symbol)

    async def complete(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        """Return what an argument could be, those that start with what is typed first."""
        values = await anyio.to_thread.run_sync(self._values, argument.name, context)
        typed = argument.value.casefold()
        starting = [v for v in values if v.casefold().startswith(typed)]
        found = starting + [v for v in values if typed in v.casefold() and v not in starting]
        return Completion(values=found[:COMPLETIONS_MAX], total=len(found), has_more=len(found) > COMPLETIONS_MAX)

    def _values(self, name: str, context: CompletionContext | None) -> list[str]:
        services = self._services
        match name:
            case "symbol":
                chosen = (context.arguments or {}).get("catalog", "") if context is not None else ""
                rows = services.market.universe()
                return sorted({r["symbol"] for r in rows if not chosen or r["catalog"] == chosen})
            case "strategy":
                saved = [row["name"] for row in services.store.strategies()]
                return [*catalogue.books(), *catalogue.spec_files(services.settings.root), *saved]
            case "run_id" | "against":
                return services.runs.ids()
            case "part":
                return list(PARTS)
            case "catalog":
                return sorted(services.market.stamps())
            case "depth":
                return ["1", "5", "10", "20", "50"]
            case _:
                return []


def _require(**arguments: str) -> None:
    for name, value in arguments.items():
        if not re.fullmatch(CHECKS[name], value) or ".." in value:
            raise MCPError(INVALID_PARAMS, f"{name} is {value[:60]!r}; it does not look like a {name}")
