"""Gives a result its label: audits it, repeats it without the future, works out its figures."""

import time
from collections.abc import Callable
from typing import Protocol

from ufos_nautilus.errors import DataError
from ufos_sandbox.attempt import Attempt
from ufos_sandbox.audit import audit_self, run_digest
from ufos_sandbox.audit_market import audit_market
from ufos_sandbox.audit_money import audit_money
from ufos_sandbox.figures import figures
from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import GuestResult
from ufos_sandbox.outcome import Failure, Label, SandboxResult, State, group_of
from ufos_sandbox.slices import Slice
from ufos_sandbox.truncation import choose_cuts, compare

NOT_REPEATED = "the run was not repeated on shortened data"


class Run(Protocol):
    """Runs the same code over other data."""

    def __call__(self, piece: Slice, end_ns: int = 0) -> Attempt:
        """Return how it ended."""
        ...


def judge(
    whole: Attempt, part: Slice, code: str, truncations: int, run: Run, progress: Callable[[float], None]
) -> SandboxResult:
    """Return the outcome of a run with its label.

    Parameters
    ----------
    whole : Attempt
        The run over all data.
    part : Slice
        The host's own market data.
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
        return out
    if result.iterations < loaded.items:
        out.state, out.label = State.PARTIAL_RUN, Label.REJECTED
        out.evidence = [f"{result.iterations} of {loaded.items} market events were processed"]
        out.failure = Failure(out.evidence[0])
        return out
    started = time.monotonic()
    findings = Findings()
    audit_self(result, part, loaded.spec, findings)
    if not findings.evidence:
        books = audit_money(result, part, loaded.spec, findings)
        audit_market(result.fills, part, loaded.spec, findings)
        out.net_pnl, out.statistics = figures(result, part, loaded.spec, books)
        out.digest = run_digest(result)
    out.times_ms["audit"] = round((time.monotonic() - started) * 1e3, 3)
    if findings.evidence:
        out.state = State.AUDIT_MISMATCH
    elif truncations:
        started = time.monotonic()
        _without_future(result, part, code, truncations, run, progress, findings, out)
        out.times_ms["truncation"] = round((time.monotonic() - started) * 1e3, 3)
    else:
        findings.unclear(NOT_REPEATED)
    out.evidence, out.unjudged = findings.listed(), findings.unjudged()
    if findings.evidence:
        out.label = Label.REJECTED
        out.failure = Failure(findings.evidence[0])
        out.net_pnl, out.statistics = {}, {}
    elif out.state is State.COMPLETED:
        out.label = Label.PLAUSIBLE if findings.open else Label.VERIFIED
    return out


def _without_future(
    result: GuestResult,
    part: Slice,
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
            difference = compare(result, again.result, cut.ns)
            if difference:
                findings.against(f"on data that ends at {cut.ns} ({cut.why}): {difference}")
        if findings.evidence:
            out.state = State.LOOKAHEAD_SUSPECTED
            return
