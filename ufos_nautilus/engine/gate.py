"""The one seam where every order of every book is reviewed before it reaches the engine."""

from typing import Any, NamedTuple, Protocol

ORDER_METHODS = ("submit_order", "submit_order_list", "modify_order", "modify_orders")
"""Methods of a strategy that send or change orders; books may call them, never replace or go around them."""


class TradingHaltedError(BaseException):
    """Ends a book's callback that keeps a halt from being carried out; no `except Exception` holds it up."""


class GateRequest(NamedTuple):
    """What a book wants to do: one order, as sent or as it would be after a modification."""

    book_id: str
    action: str
    """``"submit"``, ``"modify"``, ``"leg"`` of a trade inside the house, or ``"slice"`` of an order being worked."""
    order: Any
    """The engine's order."""
    quantity: Any
    """New total quantity of a modification, quantity of a slice, else None."""
    price: Any
    """New price of a modification, else None."""
    trigger_price: Any = None
    """New trigger price of a modification, else None."""
    ts_ns: int = 0
    """When it was asked, UNIX nanoseconds; 0 where the asker has no clock at hand."""


class Gate(Protocol):
    """Reviews a request; returns why it is denied, or None where it may pass."""

    def review(self, request: GateRequest) -> str | None:
        """Return the reason of a denial, or None."""
        ...


class TrackingGate(Gate, Protocol):
    """A gate that counts what it let pass; a book tells it what became of each order."""

    def observe(self, event: Any) -> None:
        """Take an order event of a book."""
        ...

    def commit(self, order: Any) -> None:
        """Count a leg that was reviewed and is now sent."""
        ...

    def release(self, request: GateRequest) -> None:
        """Forget a request that was let pass and is not sent after all."""
        ...


class OpenGate:
    """Lets everything pass: what a backtest uses where its spec sets no limits."""

    def review(self, request: GateRequest) -> str | None:
        """Return None."""
        return None


class ClosedGate:
    """Lets nothing pass: what a book has before a runner gives it a gate, so that a forgotten gate fails closed."""

    def review(self, request: GateRequest) -> str | None:
        """Return the reason."""
        return "no gate was given to this book"


class GateDenial(NamedTuple):
    """A request that was denied; published on ``books.<id>.denials``."""

    book_id: str
    action: str
    client_order_id: str
    instrument_id: str
    reason: str
    ts_ns: int
