"""A minimal live node with the sandbox execution client, whose kill switch is drilled from outside, round by round.

It speaks lines of JSON: on standard input ``{"begin": true, "mode": ..., "hold": ..., "crash": ...}`` starts a round;
on standard output it says ``ready`` when all orders rest and ``done`` when the last cancel was acknowledged.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.sandbox import SandboxExecutionClientConfig, SandboxExecutionClientFactory
from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.config import LiveRiskEngineConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.live import LiveNode
from nautilus_trader.model import AccountType, Currency, Money, OmsType, TraderId, Venue

from ufos_nautilus.engine.drill_books import (
    CRASH,
    PRICE,
    VENUE,
    DrillBook,
    DrillConfig,
    Feed,
    FeedConfig,
    FeedFactory,
    Market,
    drill_instruments,
)
from ufos_nautilus.engine.kill_switch import KillSwitch
from ufos_nautilus.engine.risk_audit import RISK_FILE, RiskAudit
from ufos_nautilus.engine.risk_setup import RiskParts, make_risk
from ufos_nautilus.risk.rules_file import parse_rules
from ufos_nautilus.risk.switch import SwitchHome

INSTRUMENTS = 10
BOOKS = ("AM-ONE", "AM-TWO")
CAPITAL = Decimal(1_000_000)
ROUND_S = 30.0
"""Longest time a round may take in each of its parts."""
SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep the interpreter from others; the default is 5 ms."""
YOUNG_OBJECTS = 50_000
"""Objects made before the collector looks at the young ones, as in a backtest."""
RULES = {
    "currency": "USD",
    "name": "drill",
    "watch_interval_s": 0.005,
    "firm": {"fat_finger_pct": 50, "max_account_age_s": 60.0, "max_gross_notional": "10_000_000 USD"},
    # 2,000 units that fall from 100 to 80 are 2 % of the firm's 2,000,000.
    "switch": {"loss_pct": 1, "loss_window_s": 60.0},
}


def make_node(market: Market, directory: Path, home: SwitchHome) -> tuple[Any, RiskParts]:
    """Return a node with two books, the gate in front of them and the watchdog on the switch's flag."""
    usd = Currency.from_str("USD")
    wide = LiveRiskEngineConfig(max_order_submit_rate="1000000/00:00:01", max_order_modify_rate="1000000/00:00:01")
    sandbox = SandboxExecutionClientConfig(
        venue=Venue(VENUE), starting_balances=[Money(1e9, usd)], base_currency=usd, account_type=AccountType.MARGIN,
        oms_type=OmsType.NETTING, fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)), default_leverage=Decimal(10),
        frozen_account=True,  # or the sandbox would work out its margin anew at every cancel
    )  # fmt: skip
    Feed.market = DrillBook.market = market
    node = (
        LiveNode.builder("DRILL", TraderId("DRILL-001"), Environment.SANDBOX)
        .with_logging(LoggerConfig(bypass_logging=True))
        .with_reconciliation(False)
        .add_data_client(VENUE, FeedFactory(), FeedConfig())
        .add_simulated_exec_client(VENUE, SandboxExecutionClientFactory(), sandbox)
        .with_risk_engine_config(wide)
        .with_delay_post_stop_secs(0)
        .with_delay_shutdown_secs(0)
        .with_timeout_disconnection_secs(1)
        .build()
    )
    share, rest = divmod(market.orders, len(BOOKS))
    books = [
        DrillBook(DrillConfig(book_id=name, first=not n, orders=share + (rest if not n else 0)))
        for n, name in enumerate(BOOKS)
    ]
    parts = make_risk(
        parse_rules(RULES), list(books), dict.fromkeys(BOOKS, "strategy"),
        {name: [(VENUE, "USD", CAPITAL)] for name in BOOKS},
        {s.instrument_id: s for s in market.instruments}, audit=RiskAudit(directory / RISK_FILE, "drill"),
        flag=home.flag(),
    )  # fmt: skip
    node.add_actor(parts.watchdog)
    for book in books:
        node.add_strategy(book)
    parts.watchdog.books = books  # type: ignore[attr-defined]
    return node, parts


def say(what: str, **data: Any) -> None:
    """Write one line."""
    print(json.dumps({"what": what, **data}), flush=True)


async def one_round(market: Market, parts: RiskParts, switch: KillSwitch, asked: dict[str, Any]) -> None:
    """Place the orders, wait for the halt and the last acknowledgement, and make ready for the next."""
    books: list[DrillBook] = parts.watchdog.books  # type: ignore[attr-defined]
    before = switch.interrupted
    market.begin(hold=asked["hold"])
    for book in books:
        book.lay_out()
    await asyncio.wait_for(market.until("accepted"), ROUND_S)
    await asyncio.sleep(0.05)
    if asked["crash"]:
        market.price = CRASH
    market.mode = asked["mode"]
    say("ready", ts_ns=time.time_ns())
    # While the book is stuck nothing below runs; the switch has to end it first.
    await asyncio.wait_for(market.until("cancelled"), ROUND_S)
    market.mode = "idle"
    asked_for = switch.home.asked()
    say(
        "done",
        handed_ns=market.handed_ns,
        acknowledged_ns=market.acknowledged_ns,
        confirmed_ns=switch.flag.confirmed_ns,
        crashed_ns=market.crashed_ns,
        requested_ns=asked_for.ts_ns if asked_for is not None else 0,
        source=parts.watchdog.halted_by,
        interrupted=switch.interrupted - before,
        left=len(parts.gate.orders),
    )


async def settle(market: Market, parts: RiskParts, switch: KillSwitch) -> None:
    """Start the next round flat and at the first price: the drill's own hand, in its own directory, resumes."""
    for slot in parts.gate.firm.held():
        if slot.position:
            switch.flag.reduce()
            parts.gate.firm.state = switch.flag.value
            parts.watchdog.hands.reduce(parts.watchdog.cache, slot.book.id, Decimal(0))
    deadline = time.monotonic() + ROUND_S
    while any(s.position for s in parts.gate.firm.held()) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    market.price = PRICE
    parts.watchdog.cache.purge_closed_orders(time.time_ns(), 0)
    await asyncio.sleep(0.1)
    switch.home.resume("the drill", switch.flag)
    while parts.watchdog.halted_by:
        await asyncio.sleep(0.01)
    gc.collect()


async def drill(args: argparse.Namespace) -> None:
    """Run rounds until standard input ends."""
    loop = asyncio.get_running_loop()
    home = SwitchHome(args.home)
    market = Market(drill_instruments(INSTRUMENTS), args.orders)
    node, parts = make_node(market, args.directory, home)
    switch = KillSwitch(home, parts.watchdog, redis=args.redis)
    handle = node.handle()
    running = asyncio.create_task(node.run_async())
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while not market.quotes:
        await asyncio.sleep(0.01)
    switch.start()
    say("up", port=switch.port)
    try:
        while line := await reader.readline():
            await one_round(market, parts, switch, json.loads(line))
            await settle(market, parts, switch)
    finally:
        switch.stop()
        handle.stop()
        await running
    seal = parts.audit.seal()
    say("end", records=seal.records if seal else 0, head=seal.head if seal else "")


def main() -> int:
    """Run the node of a drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--redis", action="store_true")
    args = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    asyncio.run(drill(args))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
