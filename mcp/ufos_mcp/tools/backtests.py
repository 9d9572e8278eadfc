"""Tools that run strategies, and look at what came out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
from mcp.server.mcpserver.context import Context
from mcp.types import CallToolResult
from pydantic import Field, WithJsonSchema

from ufos_mcp import catalogue, rules
from ufos_mcp.compare import side_by_side
from ufos_mcp.envelope import NOTICE, foreign
from ufos_mcp.guard import client_of
from ufos_mcp.jobs import Job
from ufos_mcp.market import Found, iso
from ufos_mcp.plain import answer
from ufos_mcp.runs import SHOWN_MAX, trimmed
from ufos_mcp.services import Services, user_of_request
from ufos_mcp.specs import Ask, combinations, daily, data_part, run_spec, short_digest, venues
from ufos_mcp.strict import READS, WRITES, StrictTool, strict_tool
from ufos_mcp.tasks import patient, progress_of
from ufos_mcp.texts import TEXTS
from ufos_mcp.tools.data import Catalog, Symbol, Time
from ufos_mcp.trials import Trial, counted, hindsight, open_experiment
from ufos_nautilus.engine.spec_file import parse_spec
from ufos_nautilus.errors import BadInputError, SpecError
from ufos_nautilus.limits import (
    MCP_INSTRUMENTS_MAX,
    MCP_JOB_WALL_S,
    MCP_ROWS_MAX,
    MCP_RUNS_COMPARED_MAX,
    MCP_WAIT_S_MAX,
    SANDBOX_CODE_BYTES_MAX,
)

Symbols = Annotated[list[Symbol], Field(max_length=MCP_INSTRUMENTS_MAX)]
Hypothesis = Annotated[str, Field(min_length=10, max_length=500)]
Cutoff = Annotated[str, Field(max_length=10)]
Wait = Annotated[int, Field(ge=0, le=MCP_WAIT_S_MAX)]
Bps = Annotated[float, Field(ge=-10, le=1_000)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Values = Annotated[
    list[str | int | float | bool], Field(min_length=1, max_length=16), WithJsonSchema({"type": "array"})
]
RunName = Annotated[str, Field(max_length=128)]
JOB = re.compile(r"job-[0-9a-f]{16}")


class BacktestTools:
    """Tools that start jobs and read their results.

    Parameters
    ----------
    services : Services
        Of the server.

    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def tools(self) -> list[StrictTool]:
        """Return the tools of this group."""
        started = {"status": {"type": "string"}, "run_id": {"type": "string"}, "job": {"type": "string"}}
        return [
            strict_tool(self.run_backtest, description=TEXTS["run_backtest"], annotations=WRITES, output=started),
            strict_tool(self.backtest_code, description=TEXTS["backtest_code"], annotations=WRITES, output=started),
            strict_tool(self.get_backtest, description=TEXTS["get_backtest"], annotations=READS, output={}),
        ]

    async def run_backtest(
        self,
        ctx: Context[Any, Any],
        strategy: Annotated[str, Field(pattern=catalogue.NAME)],
        hypothesis: Hypothesis,
        symbols: Symbols = [],  # noqa: B006
        catalog: Catalog = "",
        params: dict[str, Any] = {},  # noqa: B006
        sweep: Annotated[dict[str, Values], Field(max_length=4)] = {},  # noqa: B006
        start: Time = "",
        end: Time = "",
        depth: bool = False,
        fee_bps: Bps = 1.0,
        seed: Seed = 1,
        knowledge_cutoff: Cutoff = "",
        wait_s: Wait = 45,
    ) -> CallToolResult:
        """Run a strategy, or one for each combination of a sweep."""
        ask = Ask(symbols=tuple(symbols), start=start, end=end, depth=depth, fee_bps=fee_bps, seed=seed, params=params)
        refuse_paths(params)
        refuse_paths(sweep)
        asked = [replace(ask, params={**params, **chosen}) for chosen in combinations(sweep)]
        found, payloads = await self._payloads(strategy, catalog, asked)
        data = _data(found, ask, payloads[0])
        user, client = user_of_request(), client_of(ctx.request_context)
        experiment = await open_experiment(self._services, hypothesis, knowledge_cutoff, client, user)
        jobs = []
        for one, payload in zip(asked, payloads, strict=True):
            trial = Trial(
                experiment=experiment, kind="sweep" if sweep else "spec", strategy=strategy, params=one.params,
                data=data, user=user,
            )  # fmt: skip
            about = {"strategy": strategy, "params": dict(one.params)}
            done = counted(self._services, trial)
            jobs.append(self._services.jobs.submit(payload, user=user, about=about, done=done))
        facts = {**told(data), "assumed": assumed(payloads[0]["spec"]) if found is not None else "as the spec says"}
        return await self._finish(ctx, jobs, wait_s, {**facts, "hindsight": hindsight(knowledge_cutoff, data)})

    async def backtest_code(
        self,
        ctx: Context[Any, Any],
        code: Annotated[str, Field(min_length=20, max_length=SANDBOX_CODE_BYTES_MAX)],
        symbols: Symbols,
        hypothesis: Hypothesis,
        catalog: Catalog = "",
        params: dict[str, Any] = {},  # noqa: B006
        start: Time = "",
        end: Time = "",
        depth: bool = False,
        fee_bps: Bps = 1.0,
        seed: Seed = 1,
        knowledge_cutoff: Cutoff = "",
        wait_s: Wait = 45,
    ) -> CallToolResult:
        """Run foreign code in a container without network."""
        ask = Ask(symbols=tuple(symbols), start=start, end=end, depth=depth, fee_bps=fee_bps, seed=seed, params=params)
        found = await self._found(symbols, catalog)
        part = data_part(found, ask)
        name = f"code-{short_digest(code)}"
        payload = {
            "kind": "sandbox", "code": code, "data": part, "venues": venues(found, ask, part["tables"]),
            "params": params, "seed": seed, "name": name, "runs": str(self._services.settings.runs),
        }  # fmt: skip
        data = _data(found, ask, {})
        user, client = user_of_request(), client_of(ctx.request_context)
        experiment = await open_experiment(self._services, hypothesis, knowledge_cutoff, client, user)
        trial = Trial(experiment=experiment, kind="code", strategy=name, params=params, data=data, user=user)
        job = self._services.jobs.submit(
            payload, user=user, about={"strategy": name}, done=counted(self._services, trial)
        )
        facts = {**told(data), "assumed": assumed({"data": [part], "venues": payload["venues"]})}
        return await self._finish(ctx, [job], wait_s, {**facts, "hindsight": hindsight(knowledge_cutoff, data)})

    async def get_backtest(
        self,
        runs: Annotated[list[RunName], Field(max_length=MCP_RUNS_COMPARED_MAX)] = [],  # noqa: B006
        part: Literal[
            "summary",
            "spec",
            "statistics",
            "equity",
            "fills",
            "orders",
            "positions",
            "quotes",
            "inventory",
            "markouts",
            "report",
        ] = "summary",
        offset: Annotated[int, Field(ge=0)] = 0,
        limit: Annotated[int, Field(ge=1, le=MCP_ROWS_MAX)] = 50,
        cancel: bool = False,
    ) -> CallToolResult:
        """Look at runs and jobs."""
        if not runs:
            found = await anyio.to_thread.run_sync(lambda: self._summaries(self._services.runs.ids(limit)))
            return answer({"runs": found})
        if JOB.fullmatch(runs[0]) and len(runs) == 1:
            job = self._services.jobs.get(runs[0], user_of_request())
            if cancel and not job.ended:
                job.cancel()
            return answer(shown(job), links=_links(job.about.get("run_id")))
        if cancel:
            raise SpecError("only a job can be cancelled", expected="the job's id")
        if len(runs) > 1:
            return answer(await anyio.to_thread.run_sync(side_by_side, self._services.runs, runs))
        run = runs[0]
        if part == "report":
            path = self._services.runs.directory(run) / "report.html"
            if not path.is_file():
                raise BadInputError(f"run {run} has no report", next_step="run it again")
            return answer({"run_id": run, "report": str(path), "next": "open the file in a browser"})
        data = await anyio.to_thread.run_sync(self._services.runs.part, run, part, offset, limit)
        return answer(trimmed(data), links=_links(run) if part == "summary" else None)

    # details

    def _summaries(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        keys = ("run_id", "label", "net_pnl", "max_drawdown", "fills")
        return [{k: v for k, v in trimmed(self._services.runs.summary(i)).items() if k in keys} for i in ids]

    async def _found(self, symbols: Sequence[str], catalog: str) -> Found:
        if not symbols:
            raise SpecError("no symbols", expected='for example ["BTCUSDT-PERP.BINANCE"]', next_step="describe_data")
        return await anyio.to_thread.run_sync(self._services.market.find, symbols[0], catalog)

    async def _payloads(
        self, strategy: str, catalog: str, asked: Sequence[Ask]
    ) -> tuple[Found | None, list[dict[str, Any]]]:
        """Return what workers get, each checked as a run spec before anything starts."""
        found = None
        if strategy.startswith(catalogue.SPEC_PREFIX):
            if asked[0].symbols or any(a.params for a in asked):
                raise SpecError(f"{strategy} is a whole run with its own data", expected="neither symbols nor params")
            specs = [catalogue.read_spec(self._services.settings.root, strategy) | {"seed": asked[0].seed}]
        else:
            found = await self._found(asked[0].symbols, catalog)
            specs = [await self._spec(strategy, found, ask) for ask in asked]
        for spec in specs:
            parse_spec(spec, source="the request")
        runs = str(self._services.settings.runs)
        return found, [{"kind": "backtest", "spec": spec, "runs": runs} for spec in specs]

    async def _spec(self, strategy: str, found: Found, ask: Ask) -> dict[str, Any]:
        if (listed := catalogue.books().get(strategy)) is not None:
            schema = (await self._services.schemas())[listed.where]
            params = {**_default_instrument(schema, ask.symbols), **ask.params}
            spec = run_spec(_name(strategy), found, ask, {"class_path": listed.where, "params": params})
            return daily(spec, found, ask) if listed.daily else spec
        saved = await anyio.to_thread.run_sync(self._services.store.strategy, strategy)
        if saved is None:
            known = [*catalogue.books(), *(s["name"] for s in self._services.store.strategies())]
            raise SpecError(
                f"there is no strategy {strategy!r}", expected=", ".join(known), next_step="list_strategies"
            )
        return run_spec(_name(strategy), found, ask, rules.book(saved["spec"], found, ask))

    async def _finish(
        self, ctx: Context[Any, Any], jobs: Sequence[Job], wait_s: int, facts: dict[str, Any]
    ) -> CallToolResult:
        seconds = MCP_JOB_WALL_S if patient() else float(wait_s)
        try:
            await self._services.jobs.wait(jobs, seconds, progress_of(ctx))
        except anyio.get_cancelled_exc_class():
            for job in jobs:
                job.cancel()
            raise
        if len(jobs) > 1:
            rows = sorted((shown(job) for job in jobs), key=_order)
            left = [row["job"] for row in rows if row["status"] in ("queued", "running")]
            next_step = f"get_backtest {left}" if left else "get_backtest with two run_ids compares them"
            status = "running" if left else "done"
            return answer({"status": status, "runs": rows, **facts, "next": next_step})
        job = jobs[0]
        data = {**shown(job), **facts}
        data["next"] = _next(job)
        return answer(data, links=_links(job.about.get("run_id")), error=_failed(job))


def shown(job: Job) -> dict[str, Any]:
    """Return a job as callers see it; text from foreign code only in its envelope."""
    out = job.shown() | {"status": "failed" if _failed(job) else job.state}
    if verdict := job.result.get("sandbox"):
        out["sandbox"] = _enveloped(verdict)
        out |= {"untrusted": True, "notice": NOTICE}
    return out


def _enveloped(verdict: Mapping[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in verdict.items() if k not in ("failure", "evidence")}
    if evidence := verdict.get("evidence"):
        out["evidence"] = foreign("\n".join(evidence), "what the host saw of the code's orders")
    if failure := verdict.get("failure"):
        place = {k: failure[k] for k in ("phase", "line")}
        kind, message = str(failure["type"]), str(failure["message"])
        told = (f"{kind}: {message}", "error of the code") if kind else (message, "message of the sandbox")
        out["failure"] = place | foreign(*told)
    return out


def _failed(job: Job) -> bool:
    return job.state == "failed" or (job.state == "done" and not job.result.get("run_id"))


def refuse_paths(values: Any) -> None:
    """Raise `SpecError` for texts that lead to files: parameters of strategies are never paths."""
    if isinstance(values, str) and (values.startswith(("/", "~", "\\")) or ".." in values):
        raise SpecError(f"{values[:60]!r} looks like a path", expected="values, not files")
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, list | tuple):
        for value in values:
            refuse_paths(value)


def _name(strategy: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", strategy).lower()[:48]


def _default_instrument(schema: dict[str, Any], symbols: Sequence[str]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    if "instrument_id" in fields:
        return {"instrument_id": symbols[0]}
    return {"instrument_ids": list(symbols)} if "instrument_ids" in fields else {}


def _data(found: Found | None, ask: Ask, payload: Mapping[str, Any]) -> dict[str, Any]:
    if found is None:
        return {"spec": payload["spec"].get("name", "")}
    tables = [t for s in ask.symbols for t in found.tables.get(s, ())]
    first, last = iso(min(t.first_ns for t in tables)), iso(max(t.last_ns for t in tables))
    return {"catalog": found.name, "symbols": list(ask.symbols), "first": ask.start or first, "last": ask.end or last}


def told(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run was over as its caller is told: not every one of many symbols again."""
    symbols = data.get("symbols", ())
    shown = {"symbols": [*symbols[:SHOWN_MAX], f"{len(symbols) - SHOWN_MAX} more"]} if len(symbols) > SHOWN_MAX else {}
    return {"data": {**data, **shown}}


def assumed(spec: Mapping[str, Any]) -> str:
    """Say what a run supposes about prices and costs."""
    (data,), venue = spec["data"], spec["venues"][0]
    tables = data["tables"]
    if "quotes_from_bars" in data:
        prices = "quotes made from bars at open and close, half a spread of 2 bps"
    elif "order_book_deltas" in tables:
        prices = "the recorded order book"
    elif "quotes" in tables:
        prices = "recorded quotes"
    else:
        prices = f"prices of recorded {' and '.join(tables)}, no spread"
    return f"{prices}; fees {(Decimal(venue['fees']['taker_rate']) * 10_000).normalize():f} bps; no latency"


def _links(run_id: str | None) -> dict[str, str]:
    if not run_id:
        return {}
    parts = {"equity": "equity curve", "fills": "every fill", "spec": "what was run"}
    return {f"financial://backtest/{run_id}/{part}": about for part, about in parts.items()}


def _order(row: Mapping[str, Any]) -> tuple[int, float]:
    amounts = list(row.get("net_pnl", {}).values())
    return (0, -float(amounts[0])) if amounts else (1, 0.0)


def _next(job: Job) -> str:
    if not job.ended:
        return f'get_backtest {{"runs":["{job.id}"]}} later; "cancel":true ends it'
    if job.state == "done" and not _failed(job):
        return "show_pnl, get_backtest to compare, save_insight"
    return "mend what the error says and run it again"
