"""Gives a result its label: audits it, repeats it without the future, works out its figures."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from polars.exceptions import PolarsError

from ufos_nautilus.errors import DataError
from ufos_sandbox.attempt import Attempt
from ufos_sandbox.audit import audit_self, run_digest
from ufos_sandbox.audit_market import audit_market
from ufos_sandbox.audit_money import audit_money
from ufos_sandbox.figures import figures
from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import GuestResult, clean
from ufos_sandbox.outcome import Failure, Label, SandboxResult, State, group_of
from ufos_sandbox.record import Account
from ufos_sandbox.slices import Slice
from ufos_sandbox.truncation import choose_cuts, compare

NOT_REPEATED = "the run was not repeated on shortened data"


class Run(Protocol):
    """Runs the same code over other data."""

    def __call__(self, piece: Slice, end_ns: int = 0) -> Attempt:
        """Return how it ended."""
        ...


def judge(
    whole: Attempt,
    part: Slice,
    spec: dict[str, Any],
    code: str,
    truncations: int,
    run: Run,
    progress: Callable[[float], None],
) -> tuple[SandboxResult, Account | None]:
    """Return the outcome of a run with its label, and what the host worked out where it could.

    Parameters
    ----------
    whole : Attempt
        The run over all data.
    part : Slice
        The host's own market data.
    spec : dict
        What was run, as the host validated it.
    code : str
        The foreign code.
    truncations : int
        How often to repeat it on shortened data.
    run : Run
        Does so.
    progress : callable
        Gets the share done.

    """
    out = SandboxResult(whole.state, failure=whole.failure, guest=whole.result)
    if whole.loaded is not None:
        out.rows = whole.loaded.rows
    result, loaded = whole.result, whole.loaded
    if result is None or loaded is None:
        return out, None
    if result.iterations < loaded.items:
        out.state, out.label = State.PARTIAL_RUN, Label.REJECTED
        out.evidence = [f"{result.iterations} of {loaded.items} market events were processed"]
        out.failure = Failure(out.evidence[0])
        return out, None
    started = time.monotonic()
    findings, account = Findings(), None
    try:
        audit_self(result, part, spec, findings)
        if not findings.evidence:
            books = audit_money(result, part, spec, findings)
            audit_market(result.fills, part, spec, findings)
            out.net_pnl, out.statistics, samples = figures(result, part, spec, books)
            account = Account(spec, samples)
            out.digest = run_digest(result)
    except (ArithmeticError, LookupError, ValueError, TypeError, PolarsError) as error:
        # Whatever a hostile result trips over, it does not pass for it.
        findings.against(f"the result can't be audited: {type(error).__name__}: {clean(str(error), 200)}")
    out.times_ms["audit"] = round((time.monotonic() - started) * 1e3, 3)
    if findings.evidence:
        out.state = State.AUDIT_MISMATCH
    elif truncations:
        started = time.monotonic()
        _without_future(result, part, spec, code, truncations, run, progress, findings, out)
        out.times_ms["truncation"] = round((time.monotonic() - started) * 1e3, 3)
    else:
        findings.unclear(NOT_REPEATED)
    out.evidence, out.unjudged = findings.listed(), findings.unjudged()
    if findings.evidence:
        out.label = Label.REJECTED
        out.failure = Failure(findings.evidence[0])
        out.net_pnl, out.statistics = {}, {}
        return out, None
    if out.state is State.COMPLETED:
        out.label = Label.PLAUSIBLE if findings.open else Label.VERIFIED
    return out, account


def _without_future(
    result: GuestResult,
    part: Slice,
    spec: dict[str, Any],
    code: str,
    count: int,
    run: Run,
    progress: Callable[[float], None],
    findings: Findings,
    out: SandboxResult,
) -> None:
    for n, cut in enumerate(choose_cuts(result, part, code, count)):
        progress(n / count)
        try:
            piece = part.until(cut.ns)
        except DataError:
            continue
        again = run(piece, end_ns=cut.ns)
        if again.state is State.CANCELLED or group_of(again.state) == "infrastructure":
            out.state, out.failure, out.guest = again.state, again.failure, None
            return
        if again.result is None:
            message = again.failure.message if again.failure else ""
            findings.against(f"on data that ends at {cut.ns} ({cut.why}) the run ended with {again.state}: {message}")
        else:
            difference = compare(result, again.result, cut.ns) or _contradiction(again, piece, spec)
            if difference:
                findings.against(f"on data that ends at {cut.ns} ({cut.why}): {difference}")
        if findings.evidence:
            out.state = State.LOOKAHEAD_SUSPECTED
            return


def _contradiction(again: Attempt, piece: Slice, spec: dict[str, Any]) -> str:
    """Return the first thing that a repeated run's own result contradicts itself in."""
    findings = Findings()
    if again.result is not None:
        audit_self(again.result, piece, spec, findings)
    return findings.evidence[0] if findings.evidence else ""
