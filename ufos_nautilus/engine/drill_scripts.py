"""Scripts of the limits drill: one for each thing that must happen when a limit is broken."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ufos_nautilus.engine.drill_market import BOOK, Played, Stage, play
from ufos_nautilus.risk.restrictions import Restriction

Step = tuple[float, Callable[[Stage], Any]]


class Script(NamedTuple):
    """Rules, what is done when, and how the price goes."""

    rules: dict[str, Any]
    steps: list[Step]
    price: Callable[[int, float], Decimal] = lambda number, second: Decimal(100)


def falling(number: int, second: float) -> Decimal:
    """Return a price that falls by 2 a second from the fifth on; the second instrument falls half as fast."""
    speed = Decimal(2) if number == 0 else Decimal(1)
    return Decimal(100) - speed * Decimal(str(round(max(second - 5.0, 0.0), 1)))


def action(metric: str, above: str, do: str, **more: Any) -> dict[str, Any]:
    """Return an action of a limits file."""
    return {"metric": metric, "above": above, "do": do, **more}


def restrict(stage: Stage) -> None:
    """Let the client restrict the first name."""
    rule = Restriction(id="client-1", book=BOOK, names=("S000",), reason="no longer wanted")
    stage.risk.watchdog.set_restrictions([rule])


def flood(stage: Stage) -> None:
    """Send far more than a book ever should."""
    for _ in range(60):
        stage.book.limit(1, 1, "90.00")


def outrageous(stage: Stage) -> None:
    """Send orders of which every one is refused."""
    for _ in range(20):
        stage.book.limit(1, 1, "10.00")


WIDE = {"firm": {"fat_finger_pct": 60}}
CALM = {"switch": {"loss_pct": 50}, **WIDE}
BUY: Step = (1.0, lambda stage: stage.book.market(0, 500))
REST: Step = (2.0, lambda stage: stage.book.limit(0, 10, "60.00"))
SCRIPTS: dict[str, Script] = {
    "deny": Script(
        {
            "switch": {"loss_pct": 50},
            "instruments": {"S000.XSIM": {"max_position": "600"}},
            "firm": {"max_order_notional": "70000 USD", "universe": ["S000.XSIM", "S001.XSIM"]},
        },
        [
            BUY,
            (2.0, lambda stage: stage.book.market(0, 200)),
            (3.0, lambda stage: stage.book.market(1, 900)),
            (4.0, lambda stage: stage.book.limit(0, 10, "120.00")),
            (5.0, lambda stage: stage.book.market(2, 1)),
            (6.0, lambda stage: stage.book.market(0, -500)),
        ],
    ),
    "warn": Script({**CALM, "actions": [action("daily_loss_pct", "1", "warn")]}, [BUY], falling),
    "reduce": Script(
        {**CALM, "actions": [action("drawdown_pct", "2", "reduce", reduce_to_pct="40")]}, [BUY, REST], falling
    ),
    "hedge": Script(
        {**CALM, "actions": [action("net_notional", "45000", "hedge", hedge_with="S001.XSIM", hedge_ratio="0.5")]},
        [BUY, REST],
    ),
    "stop book": Script(
        {**CALM, "actions": [action("daily_loss_pct", "2", "stop_book")]},
        [
            BUY,
            REST,
            (12.0, lambda stage: stage.book.market(1, 1)),
            (13.0, lambda stage: stage.book.market(0, -100)),
        ],
        falling,
    ),
    "halt firm": Script(
        {**CALM, "actions": [action("daily_loss_pct", "3", "halt_firm", scope="firm")]},
        [BUY, REST, (14.0, lambda stage: stage.book.market(0, -100))],
        falling,
    ),
    "loss window": Script(
        {**WIDE, "switch": {"loss_pct": 2, "loss_window_s": 60.0, "flatten": True}}, [BUY, REST], falling
    ),
    "order rate": Script({**WIDE, "switch": {"loss_pct": 50, "max_orders_per_s": 50}}, [REST, (3.0, flood)]),
    "reject rate": Script(
        {**WIDE, "switch": {"loss_pct": 50, "max_rejects_pct": 80, "rejects_over": 10}}, [REST, (3.0, outrageous)]
    ),
    "restriction": Script(
        CALM,
        [
            REST,
            (3.0, lambda stage: stage.book.limit(1, 10, "90.00")),
            (4.0, restrict),
            (5.0, lambda stage: stage.book.limit(0, 10, "60.00")),
            (6.0, lambda stage: stage.book.limit(1, 10, "90.00")),
        ],
    ),
}


def play_script(name: str, directory: Path) -> Played:
    """Play one of the scripts."""
    script = SCRIPTS[name]
    return play(script.rules, script.steps, directory, price=script.price)
