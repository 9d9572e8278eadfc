"""POV: trades a share of what everybody trades, looking at fixed intervals."""

from typing import ClassVar

from ufos_nautilus.crossing.schedule import participation_rate, pov_due
from ufos_nautilus.engine.algorithm import Algorithm, Work, seconds_ns


class Pov(Algorithm):
    """Keeps an order at `participation_rate` of the traded volume, itself included.

    Instruction: ``participation_rate`` (above 0, below 1), ``interval_secs`` between looks (1), ``horizon_secs`` after
    which the rest goes at once (never unless given), ``at_end`` ``"cancel"`` to drop the rest then instead.
    """

    name: ClassVar[str] = "POV"
    open_ended: ClassVar[bool] = True

    def prepare(self, work: Work) -> None:
        """Note the share, the interval and what had traded before."""
        rate = participation_rate(work.parameters)
        interval = seconds_ns(work.parameters, "interval_secs", "1")
        self.tape.watch(work.order.instrument_id)
        work.plan = (rate, interval, self.tape.volume(work.order.instrument_id))

    def due(self, work: Work, now_ns: int) -> int:
        """Return what is missing to the share of the volume since the order came."""
        rate, _, before = work.plan
        others = self.tape.volume(work.order.instrument_id) - before
        return pov_due(work.size, work.sent, others, rate, lot=work.lot, smallest=work.minimum)

    def next_ns(self, work: Work, now_ns: int) -> int:
        """Look again after the interval."""
        return now_ns + work.plan[1]
