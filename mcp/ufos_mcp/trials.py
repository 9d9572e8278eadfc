"""Trials: every run somebody asks for is counted under its hypothesis before its result is told."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import anyio

from ufos_mcp.jobs import Job, State
from ufos_mcp.runs import trimmed
from ufos_mcp.services import Services
from ufos_mcp.workers import WorkerError
from ufos_nautilus.errors import BadInputError, SpecError

CUTOFF = r"^(\d{4}-\d{2}(-\d{2})?)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and by whom."""

    experiment: str
    kind: str
    strategy: str
    params: Mapping[str, Any]
    data: Mapping[str, Any]
    user: str


async def open_experiment(services: Services, hypothesis: str, cutoff: str, client: str, user: str) -> str:
    """Return the id of the experiment of a hypothesis.

    Raises
    ------
    SpecError
        The cutoff is no month and no day.

    """
    cutoff_day(cutoff)
    return await anyio.to_thread.run_sync(
        lambda: services.store.open_experiment(hypothesis, model=client, knowledge_cutoff=cutoff, user=user)
    )


def counted(services: Services, trial: Trial) -> Any:
    """Return what a job awaits at its end: the run is counted, and whoever waits for it is told."""

    async def done(job: Job, outcome: State) -> None:
        summary = await anyio.to_thread.run_sync(_count, services, trial, job, outcome)
        job.about |= summary
        if run_id := summary.get("run_id"):
            await services.updated(f"financial://backtest/{run_id}/summary", "financial://backtests")

    return done


def _count(services: Services, trial: Trial, job: Job, outcome: State) -> dict[str, Any]:
    from ufos_nautilus.research.experiment_records import RunRecord, verdict_of

    summary: dict[str, Any] = {}
    run_id = str(job.result.get("run_id") or "")
    error = "" if job.error is None else str(job.error.problem)
    if failure := (job.result.get("sandbox") or {}).get("failure"):
        error = str(failure["message"])
    if run_id:
        try:
            summary = trimmed(services.runs.summary(run_id))
        except BadInputError as problem:
            error = problem.problem
    verdict_of_sandbox = job.result.get("sandbox") or {}
    unavailable = isinstance(job.error, WorkerError) and job.error.kind == "SandboxUnavailableError"
    if unavailable or verdict_of_sandbox.get("group") == "infrastructure":
        return {"experiment": trial.experiment, "counted": False}  # nothing was tried
    status = "completed" if outcome == "done" and run_id else outcome
    verdict = verdict_of(
        status, summary.get("net_pnl", {}), summary.get("fills") or 0, verdict_of_sandbox.get("label", "")
    )
    record = RunRecord(
        run_id=run_id,
        kind=trial.kind,
        strategy=trial.strategy,
        params=dict(trial.params),
        data=dict(trial.data),
        metrics={k: v for k, v in summary.items() if k not in ("run_id", "digest", "rows", "seed")},
        verdict=verdict,
        error=error,
        elapsed_s=round(job.elapsed_s, 3),
    )
    trials = services.store.add_run(trial.experiment, record, user=trial.user)
    counts = {"experiment": trial.experiment, "trials_of_hypothesis": trials, "trials_in_all": services.store.trials()}
    return {**summary, "verdict": verdict, **counts}


def cutoff_day(text: str) -> date | None:
    """Return the last day a model may have learned from; None if undeclared.

    Raises
    ------
    SpecError
        It is no month and no day.

    """
    if not text:
        return None
    try:
        if len(text) > 7:
            return date.fromisoformat(text)
        first = date.fromisoformat(f"{text}-01")
        return first.replace(day=calendar.monthrange(first.year, first.month)[1])
    except ValueError:
        raise SpecError(f"knowledge_cutoff is {text[:20]!r}", expected="a month or a day, such as 2026-03") from None


def hindsight(cutoff: str, data: Mapping[str, Any]) -> str:
    """Say whether a model may know the data from its training; such a result proves little."""
    day, first, last = cutoff_day(cutoff), data.get("first", ""), data.get("last", "9")
    if day is None:
        return "undeclared: the model may know this data from its training"
    if last[:10] <= day.isoformat():
        return "all data is from before the model's knowledge cutoff, so the result is in-sample for the model"
    if first[:10] <= day.isoformat():
        return "part of the data is from before the model's knowledge cutoff"
    return "none: all data is from after the model's knowledge cutoff"
