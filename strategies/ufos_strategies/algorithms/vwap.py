"""VWAP: spreads an order over its horizon in proportion to the volume expected in each interval."""

from bisect import bisect_right
from itertools import accumulate
from typing import ClassVar

from ufos_nautilus.crossing.schedule import vwap_schedule
from ufos_nautilus.engine.algorithm import Algorithm, Work, seconds_ns
from ufos_nautilus.errors import SpecError


class Vwap(Algorithm):
    """Sends slices by a volume profile.

    Instruction: ``horizon_secs``, ``interval_secs`` (10) between slices, ``profile``: expected volumes with commas
    (``"3,2,1,2,4"``, stretched over the horizon), ``"flat"`` for equal slices, or nothing: what the same minutes of
    earlier days traded in this run, flat on the first day.
    """

    name: ClassVar[str] = "VWAP"

    def prepare(self, work: Work) -> None:
        """Make the schedule."""
        interval = seconds_ns(work.parameters, "interval_secs", "10")
        horizon = work.end_ns - work.start_ns
        if horizon < interval:
            raise SpecError(f"interval_secs is longer than the {horizon / 1e9:g} s there are", expected="a shorter one")
        profile = self._profile(work, horizon // interval)
        work.plan = vwap_schedule(work.size, profile, work.start_ns, work.end_ns, lot=work.lot)
        work.plan = ([s.ts_ns for s in work.plan], list(accumulate(s.size for s in work.plan)))

    def due(self, work: Work, now_ns: int) -> int:
        """Return what is missing to the schedule, so that what came back is made up for."""
        times, sums = work.plan
        passed = bisect_right(times, now_ns)
        return (sums[passed - 1] if passed else 0) - work.sent

    def next_ns(self, work: Work, now_ns: int) -> int:
        """Look again at the next slice; after the last one, at the end."""
        times, _ = work.plan
        following = bisect_right(times, now_ns)
        return times[following] if following < len(times) else work.end_ns

    def _profile(self, work: Work, spans: int) -> list[int]:
        text = work.parameters.get("profile", "")
        if text == "flat":
            return [1] * spans
        if text:
            try:
                return [int(part) for part in text.split(",")]
            except ValueError:
                raise SpecError(f"profile is {text!r}", expected='whole numbers with commas, or "flat"') from None
        instrument_id = work.order.instrument_id
        if not self.tape.knows(instrument_id):
            return [1] * spans
        self.tape.watch(instrument_id)
        return self.tape.profile(instrument_id, work.start_ns, work.end_ns, spans)
