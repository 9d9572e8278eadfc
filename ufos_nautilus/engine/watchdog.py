"""The watchdog: keeps the gate's figures fresh, watches losses and limits, and halts the firm when it must."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, InstrumentId, PositionSide, Venue

from ufos_nautilus.engine.actor import ALERTS_TOPIC, Alert
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.risk_actions import BookHands
from ufos_nautilus.engine.risk_gate import RiskGate
from ufos_nautilus.engine.risk_price import newest_price
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.errors import UfosError
from ufos_nautilus.limits import HALT_REASON_CHARS_MAX
from ufos_nautilus.risk.actions import Action, ActionTable
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE, text, to_fixed
from ufos_nautilus.risk.levels import ACTIVE, HALTED, Account
from ufos_nautilus.risk.restrictions import Restriction, difference
from ufos_nautilus.risk.rules import Metric, RiskRules
from ufos_nautilus.risk.rules_file import diff, load_rules
from ufos_nautilus.risk.state import mark
from ufos_nautilus.risk.windows import FallWindow

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
UNASKED_NS, RECANCEL_NS = NS_PER_S // 10, NS_PER_S
"""Times after which a halt looks for orders that turned up since, and asks again for what was not answered."""
HALTS_TOPIC = "risk.halts"
WARNINGS_TOPIC = "risk.warnings"
SPREADS_TOPIC = f"{ALERTS_TOPIC}.spread"


class Watchdog(InTurn, Guarded, DataActor):
    """Looks at everything in regular intervals and acts through the books.

    Parameters
    ----------
    gate : RiskGate
        Whose figures it keeps fresh.
    hands : BookHands
        Cancels and sends orders.
    venues : list of str
        Whose accounts are read.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("WATCHDOG-1")))  # pyright: ignore (stub)

    def __init__(self, gate: RiskGate, hands: BookHands, venues: list[str]) -> None:
        self.gate, self.hands = gate, hands
        self.counts: dict[str, int] = {"halts": 0, "warn": 0, "reduce": 0, "hedge": 0, "stop_book": 0, "halt_firm": 0}
        self.halted_by = ""
        """Source of the halt in force, or empty."""
        self.on_halt: Callable[[str, str], None] = lambda source, reason: None
        """Called once trading has stopped, before orders are cancelled."""
        self.on_flag: Callable[[], None] = self._flag_raised
        """Called where the flag was raised by another thread or process."""
        self.who_resumed: Callable[[], str] = lambda: ""
        """Says which person lowered the flag."""
        self._venues = venues
        self._seen: dict[tuple[Metric, str], Decimal] = {}
        self._waiting: list[Action] = []
        self._flatten = False
        self._file: Path | None = None
        self._file_seen: tuple[int, int, int] | None = None
        self._refused = False
        self._asked_ns = self._looked_ns = 0
        self._day = -1
        self._mismatched: set[tuple[str, str]] = set()
        self._prepare()
        gate.alarm = self.halt
        gate.on_idle = self._on_idle

    def _prepare(self) -> None:
        switch = self.gate.limits.rules.switch
        self._table = ActionTable(self.gate.limits.rules.actions)
        self._falls = FallWindow(int(switch.loss_window_s * NS_PER_S))

    # life

    def on_start(self) -> None:
        """Meet the engine, read accounts and positions, start watching."""
        self.gate.attach(self.cache, self.clock.timestamp_ns)
        self.seed()
        self.look()
        interval = int(self.gate.limits.rules.watch_interval_s * NS_PER_S)
        self.clock.set_timer_ns("watch", interval, callback=self.guard(lambda _: self._watch(interval)))
        self.overhear(SPREADS_TOPIC, self.on_anomaly)

    def on_stop(self) -> None:
        """Write what was noted."""
        self.gate.audit.flush()

    def seed(self) -> None:
        """Take over the engine's positions, valued at today's price."""
        now, engine = self.clock.timestamp_ns(), self._engine_positions()
        for book, name in {*engine, *((s.book.id, s.instrument.id) for s in self.gate.firm.held())}:
            slot = self.gate.firm.slot(book, name)
            missing = engine.get((book, name), 0) - slot.position if slot is not None else 0
            if slot is None or not missing:
                continue
            found = newest_price(self.cache, InstrumentId.from_str(slot.instrument.id))
            if found is not None:
                mark(slot.instrument, found[0], now, exact=True)
            slot.fill(1 if missing > 0 else -1, abs(missing), slot.instrument.valued)

    # watching

    def _watch(self, interval: int) -> None:
        """Look, unless this is one of the timers that piled up while a book kept the loop."""
        if self.clock.timestamp_ns() - self._looked_ns >= interval // 2:
            self.look()

    def look(self) -> None:
        """Refresh accounts and marks, then see what is due."""
        now, firm = self.clock.timestamp_ns(), self.gate.firm
        self._looked_ns = now
        self._reload()
        if self.gate.flag.halted and not self.halted_by:
            self.on_flag()
        elif self.halted_by and not self.gate.flag.halted:
            self.resumed(self.who_resumed())
        for venue in self._venues:
            self._read_account(venue, now)
        for instrument in {id(s.instrument): s.instrument for s in firm.held() if s.position}.values():
            found = newest_price(self.cache, InstrumentId.from_str(instrument.id))
            if found is not None:
                mark(instrument, *found, exact=True)
        new_day, self._day = now // NS_PER_DAY != self._day, now // NS_PER_DAY
        firm.look(new_day=new_day)
        self._reconcile(now)
        self._watch_loss(now)
        self._finish_waiting()
        for action in self._table.due(firm, now, self._seen):
            self._act(action, now)
        self._seen.clear()
        if self.gate.flag.halted:
            self._follow_halt()
        self.gate.audit.flush()

    def on_anomaly(self, alert: Alert) -> None:
        """Remember the widest spread since the last look, for the firm and for who holds the instrument."""
        value = (
            (Decimal(alert.value) - Decimal(alert.mean)) / Decimal(alert.deviation) if alert.deviation else Decimal(0)
        )
        for name in ("", *self.gate.firm.books):
            slot = self.gate.firm.slots.get((name, alert.instrument_id))
            if not name or (slot is not None and slot.position):
                key: tuple[Metric, str] = ("spread_sigma", name)
                self._seen[key] = max(value, self._seen.get(key, Decimal(0)))

    def _read_account(self, venue: str, now: int) -> None:
        """Read a venue's account; whatever can't be read is missing, and missing denies."""
        account = self.cache.account_for_venue(Venue(venue))
        if account is None:
            self.gate.firm.set_account(venue, None)
            return
        funds: dict[str, int] = {}
        for key, money in account.balances_total().items():
            rate = self.gate.limits.rate(str(key))
            if rate is not None:
                funds[str(key)] = money.raw * rate // SCALE
        cash = account.is_cash_account()
        leverage = SCALE if cash else to_fixed(str(account.default_leverage))
        self.gate.firm.set_account(venue, Account(cash=cash, funds=funds, leverage=leverage, seen_ns=now))

    def _watch_loss(self, now: int) -> None:
        firm, switch = self.gate.firm, self.gate.limits.rules.switch
        if switch.loss_pct is None or not firm.capital:
            return
        equity = firm.capital + firm.profit
        fall = self._falls.add(now, equity)
        if fall * 100 * 10**8 > self._falls.high * int(switch.loss_pct * 10**8) and not self.gate.flag.halted:
            share = Decimal(fall * 100) / Decimal(max(self._falls.high, 1))
            self.halt("loss_window", f"equity fell by {share:.2f} % within {switch.loss_window_s:g} s")

    def _engine_positions(self) -> dict[tuple[str, str], int]:
        """Return signed units by book and lit instrument."""
        firm, out = self.gate.firm, dict[tuple[str, str], int]()
        for position in self.cache.positions_open():
            known = firm.instruments.get(str(position.instrument_id))
            key = (str(position.strategy_id), known.id if known else str(position.instrument_id))
            units = position.quantity.raw
            out[key] = out.get(key, 0) + (units if position.side == PositionSide.LONG else -units)
        return out

    def _reconcile(self, now: int) -> None:
        """Compare with the engine's positions.

        What differs twice in a row makes the state stale, which denies every order until the next look has taken the
        engine's word for it.
        """
        engine, firm = self._engine_positions(), self.gate.firm
        if firm.stale:
            self.seed()
            self.gate.audit.write("resynced", now, reason=firm.stale)
            firm.stale = ""
        held = {(s.book.id, s.instrument.id): s.position for s in firm.held() if s.position}
        differs = {k for k in engine.keys() | held.keys() if engine.get(k, 0) != held.get(k, 0)}
        wrong = sorted(differs & self._mismatched)
        self._mismatched = differs
        if wrong:
            book, name = wrong[0]
            here, there = held.get(wrong[0], 0), engine.get(wrong[0], 0)
            firm.stale = f"book {book} holds {text(there)} of {name} in the engine and {text(here)} here"
            self.gate.audit.write("stale", now, reason=firm.stale)

    # acting

    def halt(self, source: str, reason: str, *, flatten: bool | None = None, engine_free: bool = False) -> None:
        """Stop all trading now; orders are cancelled as soon as the engine is free, positions closed only if told so.

        Parameters
        ----------
        source : str
            What asked for it: ``cli``, ``udp``, ``redis``, ``file``, ``loss_window``, ``order_rate`` ...
        reason : str
            Why, in words.
        flatten : bool, optional
            Close all positions after the last cancel; what the limits say unless given.
        engine_free : bool
            The caller is no callback of the engine, so that orders can be cancelled at once.

        """
        self.gate.flag.halt()
        self.gate.firm.state = HALTED
        if flatten is not None:
            self._flatten = self._flatten or flatten
        if self.halted_by:
            return
        now = self.clock.timestamp_ns()
        self._flatten = self._flatten or self.gate.limits.rules.switch.flatten
        self.halted_by, self.counts["halts"] = source, self.counts["halts"] + 1
        reason = reason[:HALT_REASON_CHARS_MAX]
        opened = len(self.gate.orders)
        self.gate.audit.write("halt", now, source=source, reason=reason, open_orders=opened, flatten=self._flatten)
        self.publish_message(HALTS_TOPIC, {"source": source, "reason": reason, "ts_ns": now})
        self.on_halt(source, reason)
        if engine_free:
            self.cancel_everything()
            return
        # A halt may come from inside a call of the engine, which would then lock out the cancels.
        self._asked_ns = 0
        self.clock.set_time_alert_ns("halt", now + 1, callback=self.guard(lambda _: self._cancel_unless_done()))

    def _cancel_unless_done(self) -> None:
        if not self._asked_ns:
            self.cancel_everything()

    def cancel_everything(self) -> None:
        """Cancel all orders on all venues."""
        commands = self.hands.cancel(self.cache)
        self._asked_ns = self.clock.timestamp_ns()
        self.gate.flag.confirm(self._asked_ns)
        self.gate.audit.write("cancel", self.clock.timestamp_ns(), commands=commands, left=len(self.gate.orders))
        if not commands:
            self._on_idle()

    def _on_idle(self) -> None:
        if self.halted_by and not self._flatten:
            self.gate.audit.write("cancelled", self.clock.timestamp_ns(), left=0)

    def _flag_raised(self) -> None:
        self.halt("flag", "the flag was raised from outside", engine_free=True)

    def _follow_halt(self) -> None:
        """Cancel again whatever turned up, then close positions if that was asked for."""
        if self.gate.orders or self.hands.open_places(self.cache):
            # What is asked for already takes its time; what turned up since, or was not answered, is asked for again.
            waited = self.clock.timestamp_ns() - self._asked_ns
            if waited > RECANCEL_NS or (waited > UNASKED_NS and self.hands.unasked(self.cache)):
                self.cancel_everything()
        elif self._flatten:
            self.gate.flag.reduce()
            self.gate.firm.state = self.gate.flag.value
            sent = sum(self.hands.reduce(self.cache, book, Decimal(0)) for book in self.hands.books)
            if sent:
                self.gate.audit.write("flatten", self.clock.timestamp_ns(), orders=sent)
            elif not any(s.position for s in self.gate.firm.held()):
                self._flatten = False
                self.gate.flag.halt()

    def resumed(self, who: str) -> None:
        """Go on after a person lowered the flag."""
        self.halted_by, self._flatten = "", False
        self.gate.firm.state = ACTIVE
        self._falls = FallWindow(self._falls.span_ns)
        self.gate.audit.write("resume", self.clock.timestamp_ns(), who=who)

    def _act(self, action: Action, now: int) -> None:
        rule, what = action.rule, action.rule.do
        self.counts[what] += 1
        self.gate.audit.write(
            "action", now, do=what, metric=rule.metric, book=action.book, value=str(action.value), above=str(rule.above)
        )
        if what == "warn":
            message = {"metric": rule.metric, "book": action.book, "value": str(action.value), "above": str(rule.above)}
            self.publish_message(WARNINGS_TOPIC, message)
        elif what == "halt_firm":
            self.halt(rule.metric, f"{action.book or 'firm'}: {rule.metric} is {action.value:.4f}, beyond {rule.above}")
        elif what == "stop_book":
            self.hands.stop(self.cache, action.book)
        else:
            self.hands.cancel(self.cache, action.book)
            self._waiting.append(action)
            self._finish_waiting()

    def _finish_waiting(self) -> None:
        """Reduce and hedge books whose orders are all gone."""
        ready = [a for a in self._waiting if self.hands.idle(a.book)]
        self._waiting = [a for a in self._waiting if a not in ready]
        for action in ready:
            if action.rule.do == "reduce":
                sent = self.hands.reduce(self.cache, action.book, action.rule.reduce_to_pct)
            else:
                sent = self.hands.hedge(self.cache, action)
            now = self.clock.timestamp_ns()
            self.gate.audit.write("acted", now, do=action.rule.do, book=action.book, orders=sent)

    # changing the rules

    def set_rules(self, rules: RiskRules) -> list[tuple[str, str, str]]:
        """Judge by another limits file from the next order on, cancel what breaks it, and return what changed."""
        old = self.gate.limits.rules
        changes = diff(old, rules)
        self.gate.use(Limits(rules, self.gate.limits.restrictions.changed(rules.restrictions)))
        self._prepare()
        now = self.clock.timestamp_ns()
        self.gate.audit.write("limits", now, old=old.digest(), new=rules.digest(), changes=changes)
        self._cancel_broken(now)
        return changes

    def follow_file(self, path: Path) -> None:
        """Judge by a limits file from now on, and again whenever it changes; one that can't be read changes nothing."""
        self._file, self._file_seen = path, None
        self._reload()

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            found = self._file.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen == self._file_seen:
                return
            self._file_seen = seen
            rules = load_rules(self._file)
        except (OSError, UfosError) as error:
            if not self._refused:
                self._refused = True
                self.gate.audit.write("limits_refused", self.clock.timestamp_ns(), reason=str(error)[:500])
            return
        self._refused = False
        if rules.digest() != self.gate.limits.rules.digest():
            self.set_rules(rules)

    def set_restrictions(self, restrictions: list[Restriction]) -> dict[str, list[str]]:
        """Put other restrictions in force, cancel the orders that break them, and return ids by what changed."""
        old = self.gate.limits.restrictions
        new = old.changed(restrictions)
        self.gate.use(self.gate.limits.restricted(new))
        changes, now = dict(difference(old, new)), self.clock.timestamp_ns()
        self.gate.audit.write("restrictions", now, version=new.version, **changes)
        self._cancel_broken(now)
        return changes

    def _cancel_broken(self, now: int) -> None:
        broken = self.gate.broken_orders()
        for book, key, why in broken:
            self.gate.audit.write("cancel_broken", now, book=book, order=str(key), reason=why)
        self.hands.cancel_orders([(book, key) for book, key, _ in broken])

    def figures(self) -> dict[str, Any]:
        """Return counts for the run's summary."""
        return {**self.counts, **self.gate.audit.counts, "halted_by": self.halted_by}
