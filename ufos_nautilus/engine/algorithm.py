"""Base class of execution algorithms: cuts an order into slices, exactly, whatever becomes of the slices."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Self

from nautilus_trader.model import ExecAlgorithmId, OrderStatus
from nautilus_trader.trading import ExecutionAlgorithm, ExecutionAlgorithmConfig

from ufos_nautilus.engine.gate import ORDER_METHODS, ClosedGate, Gate
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.tape import Tape
from ufos_nautilus.errors import UfosError

NS_PER_S = 1_000_000_000
FIXED_METHODS = (*ORDER_METHODS, "cancel_order", "spawn_market", "spawn_limit", "spawn_market_to_limit")


@dataclass(slots=True, eq=False)
class Work:
    """An order being worked.

    Parameters
    ----------
    order : Order
        The engine's order as it came; its quantity in the engine shrinks with every slice.
    size, lot, minimum : int
        The whole of it, the step and the smallest order of the instrument, size units.
    start_ns, end_ns : int
        When it came and when all of it should be sent, UNIX nanoseconds.
    parameters : dict
        Of its instruction, as text.

    """

    order: Any
    size: int
    lot: int
    minimum: int
    start_ns: int
    end_ns: int
    parameters: dict[str, str]
    sent: int = 0
    """What is or was at the venue, without what came back unfilled, size units."""
    plan: Any = None
    """What the algorithm made of it in `prepare`."""
    open_slices: set[str] = field(default_factory=set)
    whole_sent: bool = False
    """The order itself went to the venue as its own last slice."""

    @property
    def key(self) -> str:
        """Return the order's id as text."""
        return str(self.order.client_order_id)


class Algorithm(Guarded, ExecutionAlgorithm):
    """Works orders in slices: a subclass says how much is due when, the base sends exactly that.

    The slices of an order add up to it: each is taken off the order, and the order itself is sent as its last slice.
    What a slice leaves unfilled goes back and is due again. Every slice passes the gate once more, so that closing the
    gate stops orders that were let through before; a slice that is denied ends the order. An order whose parameters
    make no sense is denied with the reason. What is left when a run ends is cancelled and counted in `unworked`.

    An order with a limit price is worked by immediate-or-cancel slices at that limit, so the market price never
    matters more than its owner allowed.

    Parameters
    ----------
    tape : Tape
        What the market trades.

    """

    name: ClassVar[str] = ""
    """What instructions call it; at most one algorithm of a run has a name."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        replaced = [m for m in FIXED_METHODS if m in vars(cls)]
        if replaced:
            raise TypeError(f"{cls.__name__} replaces {', '.join(replaced)}; override `prepare`, `due` and `next_ns`")

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the algorithm for the engine."""
        config = ExecutionAlgorithmConfig(
            exec_algorithm_id=ExecAlgorithmId(cls.name), log_events=False, log_commands=False
        )
        return super().__new__(cls, config)  # pyright: ignore[reportCallIssue] (stub)

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.gate: Gate = ClosedGate()
        self.counts = {"orders": 0, "slices": 0}
        self.unworked: dict[str, Decimal] = {}
        """Instrument id -> quantity never sent because the run ended, an order was cancelled or a slice denied."""
        self._works: dict[str, Work] = {}
        self._parents: dict[str, Work] = {}
        """Id of an open slice -> the order it was cut from."""

    # what a subclass says

    def prepare(self, work: Work) -> None:
        """Look at a new order and keep what `due` needs in `work.plan`; raise `SpecError` where it can't be worked."""

    def due(self, work: Work, now_ns: int) -> int:
        """Return how much to send now, size units, beyond `work.sent`."""
        raise NotImplementedError

    def next_ns(self, work: Work, now_ns: int) -> int:
        """Return when to look again, UNIX nanoseconds; from `work.end_ns` on everything left is due."""
        raise NotImplementedError

    # events

    def on_order(self, order: Any) -> None:
        """Start working an order."""
        try:
            work = self._start(order)
            self.prepare(work)
        except UfosError as error:
            self.deny_order(order, f"{self.name}: {error.problem}")
            return
        self._works[work.key] = work
        self.counts["orders"] += 1
        self._step(work)

    def on_order_event(self, event: Any) -> None:
        """Follow slices and orders: what came back is due again, an order that ended is forgotten."""
        key = str(event.client_order_id)
        work = self._parents.get(key) or self._works.get(key)
        if work is None:
            return
        order = self.cache.order(event.client_order_id)  # pyright: ignore[reportOptionalMemberAccess]
        if order is None or not order.is_closed:
            return
        if key == work.key:
            self._finish(work, _units(order.leaves_qty) if order.status != OrderStatus.FILLED else 0)
            return
        del self._parents[key]
        work.open_slices.discard(key)
        self._give_back(work, _units(order.leaves_qty))
        now = self.clock.timestamp_ns()  # pyright: ignore[reportOptionalMemberAccess]
        if now >= work.end_ns and work.key in self._works:
            self._step(work)

    def on_stop(self) -> None:
        """Cancel what is left of every order."""
        self.clock.cancel_timers()  # pyright: ignore[reportOptionalMemberAccess]
        for work in list(self._works.values()):
            self._abandon(work)

    # details
