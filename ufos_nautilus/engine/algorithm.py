"""Base class of execution algorithms: cuts an order into slices, exactly, whatever becomes of the slices."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Self

from nautilus_trader.model import (
    ExecAlgorithmId,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    OrderType,
    Quantity,
    TimeInForce,
)
from nautilus_trader.trading import ExecutionAlgorithm, ExecutionAlgorithmConfig

from ufos_nautilus.engine.gate import ORDER_METHODS, ClosedGate, Gate, GateDenial, GateRequest
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.tape import Tape
from ufos_nautilus.errors import LimitExceededError, SpecError, UfosError
from ufos_nautilus.limits import ALGORITHM_PARENTS_MAX

NS_PER_S = 1_000_000_000
NEVER_NS = 1_000 * 86_400 * NS_PER_S
"""Longer than any run."""
ENDINGS = (OrderFilled, OrderCanceled, OrderDenied, OrderExpired, OrderRejected)
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
    open_ended: ClassVar[bool] = False
    """Whether an order without `horizon_secs` is worked until it is done."""

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
        self.books: dict[str, Any] = {}
        """The books whose orders come here, by id."""
        self.counts = {"orders": 0, "slices": 0}
        self.unworked: dict[str, Decimal] = {}
        """Instrument id -> quantity never sent because the run ended, an order was cancelled or a slice denied."""
        self._works: dict[str, Work] = {}
        self._slices: dict[str, Work] = {}
        """Id of an open slice -> the order it was cut from."""
        self._endings: deque[Any] = deque()
        self._busy = False

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
        """Start working an order, or deny it with the reason."""
        try:
            work = self._start(order)
            self.prepare(work)
        except UfosError as error:
            with self._sending():
                self.deny_order(order, f"{self.name}: {error.problem}")
            return
        self._works[work.key] = work
        self.counts["orders"] += 1
        self._step(work)

    def on_order_event(self, event: Any) -> None:
        """Follow slices and orders: what comes back is due again, an order that ended is forgotten."""
        if isinstance(event, ENDINGS):
            self._endings.append(event.client_order_id)
            self._settle()

    def on_stop(self) -> None:
        """Count what is left of every order; a runner cancels the orders themselves before it stops the engine."""
        self._clock.cancel_timers()
        for work in self._works.values():
            self._leave(work, work.size - work.sent)
        self._works.clear()

    def figures(self) -> dict[str, Any]:
        """Return counts, and what was never sent by instrument, for the run's summary."""
        return {**self.counts, "unworked": {name: plain(q) for name, q in sorted(self.unworked.items())}}

    # details

    @property
    def _clock(self) -> Any:
        return self.clock

    @property
    def _orders(self) -> Any:
        return self.cache

    def _start(self, order: Any) -> Work:
        if len(self._works) >= ALGORITHM_PARENTS_MAX:
            raise LimitExceededError(f"{len(self._works)} orders are being worked", expected="fewer")
        instrument = self._orders.instrument(order.instrument_id)
        parameters = {str(k): str(v) for k, v in (order.exec_algorithm_params or {}).items()}
        if parameters.get("at_end", "send") not in ("send", "cancel"):
            raise SpecError(f"at_end is {parameters['at_end']!r}", expected="send or cancel")
        start = self._clock.timestamp_ns()
        end = start + NEVER_NS
        if "horizon_secs" in parameters or not self.open_ended:
            end = start + seconds_ns(parameters, "horizon_secs")
        if "deadline_ns" in parameters:
            end = min(end, int(parameters["deadline_ns"]))
        minimum = 0 if instrument.min_quantity is None else _units(instrument.min_quantity)
        return Work(order, _units(order.quantity), _units(instrument.size_increment), minimum, start, end, parameters)

    def _on_alert(self, event: Any) -> None:
        work = self._works.get(event.name)
        if work is not None and not work.whole_sent:
            self._step(work)

    def _step(self, work: Work) -> None:
        """Send what is due and say when to look again."""
        now = self._clock.timestamp_ns()
        left = work.size - work.sent
        ended = now >= work.end_ns
        if ended and work.parameters.get("at_end") == "cancel":
            self._abandon(work)
            return
        self._send(work, left if ended else min(self.due(work, now), left))
        if not ended and not work.whole_sent and work.key in self._works:
            at = min(max(self.next_ns(work, now), now + 1), work.end_ns)
            self._clock.set_time_alert_ns(work.key, at, callback=self.guard(self._on_alert))

    def _send(self, work: Work, due: int) -> None:
        left = work.size - work.sent
        due -= due % work.lot if due < left else 0
        if 0 < left - due < max(work.minimum, work.lot):
            due = left
        # The order itself goes last, when nothing can come back to it any more.
        if due <= 0 or (due < left and due < work.minimum) or (due == left and work.open_slices):
            return
        order = self._orders.order(work.order.client_order_id)
        quantity = Quantity.from_str(f"{exact(due, order.quantity.precision):f}")
        now = self._clock.timestamp_ns()
        request = GateRequest(str(order.strategy_id), "slice", order, quantity, None, ts_ns=now)
        reason = self.gate.review(request)
        if reason is not None:
            self._refused(work, request, reason)
            return
        self.counts["slices"] += 1
        work.sent += due
        with self._sending():
            if due == left:
                work.whole_sent = True
                self.submit_order(order)
            else:
                child = self._spawn(order, quantity)
                work.open_slices.add(str(child.client_order_id))
                self._slices[str(child.client_order_id)] = work
                self.submit_order(child)

    def _spawn(self, order: Any, quantity: Quantity) -> Any:
        kept = {"reduce_only": order.is_reduce_only, "tags": order.tags}
        if order.order_type == OrderType.LIMIT:
            return self.spawn_limit(order, quantity, order.price, time_in_force=TimeInForce.IOC, **kept)
        return self.spawn_market(order, quantity, time_in_force=order.time_in_force, **kept)

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """Hold back events while the engine is being called: it locks this object until the call returns."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
        self._settle()

    def _settle(self) -> None:
        """Take in what ended."""
        while self._endings and not self._busy:
            client_order_id = self._endings.popleft()
            key = str(client_order_id)
            order = self._orders.order(client_order_id)
            if order is None or not order.is_closed:
                continue
            leaves = 0 if order.status == OrderStatus.FILLED else _units(order.leaves_qty)
            work = self._slices.pop(key, None)
            if work is not None:
                work.open_slices.discard(key)
                self._take_back(work, leaves)
            elif (work := self._works.pop(key, None)) is not None:
                self._leave(work, leaves)

    def _take_back(self, work: Work, leaves: int) -> None:
        """Put what a slice left unfilled back into the order, unless the engine did so or the order has ended."""
        if work.key not in self._works:
            self._leave(work, leaves)
            return
        work.sent -= leaves
        order = self._orders.order(work.order.client_order_id)
        left = work.size - work.sent
        if leaves and _units(order.quantity) != left:
            quantity = Quantity.from_str(f"{exact(left, order.quantity.precision):f}")
            self.modify_order_in_place(order, quantity=quantity)
        if not work.open_slices and self._clock.timestamp_ns() >= work.end_ns:
            self._step(work)

    def _refused(self, work: Work, request: GateRequest, reason: str) -> None:
        if not work.sent:
            # Its book may be waiting in the middle of sending it, and can't cancel it then.
            with self._sending():
                self.deny_order(request.order, reason)
            return
        name = str(work.order.instrument_id)
        denial = GateDenial(request.book_id, request.action, work.key, name, reason, request.ts_ns)
        self.publish_message(f"books.{request.book_id}.denials", denial)
        self._abandon(work)

    def _abandon(self, work: Work) -> None:
        """Have an order's book cancel what is left of it; the cancellation then counts it."""
        with self._sending():
            self.books[str(work.order.strategy_id)].cancel_order(work.order.client_order_id)

    def _leave(self, work: Work, units: int) -> None:
        if units:
            name, precision = str(work.order.instrument_id), work.order.quantity.precision
            self.unworked[name] = self.unworked.get(name, Decimal(0)) + exact(units, precision)


def seconds_ns(parameters: Mapping[str, str], name: str, default: str | None = None) -> int:
    """Return a parameter in seconds as nanoseconds.

    Raises
    ------
    SpecError
        If it is missing, no number, or not above zero.

    """
    text = parameters.get(name, default)
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 < value * NS_PER_S <= NEVER_NS:
        raise SpecError(f"{name} is {text!r}", expected="seconds above zero")
    return int(value * NS_PER_S)


def exact(units: int, precision: int) -> Decimal:
    """Return size units as a quantity."""
    return Decimal(units).scaleb(-precision)


def _units(quantity: Any) -> int:
    return int(quantity.as_decimal().scaleb(quantity.precision))
