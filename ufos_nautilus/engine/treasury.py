"""Money and shares that move without a trade: dividends, spin-offs, splits, deposits and withdrawals.

The ledger gets an entry for each book, and the simulated venue's account changes by the sum of them at the next moment
it is looked at. In paper and live trading the broker does both.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, Self

from nautilus_trader.backtest import SimulationModule
from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, InstrumentId, Money

from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.book_accounts import LedgerIndex
from ufos_nautilus.engine.dark import DARK_VENUE, AgreedTerms, Terms, dark_id
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.instruments import currency
from ufos_nautilus.engine.keeper import LedgerKeeper
from ufos_nautilus.engine.marks import mid_price
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.ledger import corporate_actions, recipes
from ufos_nautilus.ledger.accounts import CASH
from ufos_nautilus.ledger.trades import Leg
from ufos_nautilus.market.instruments import InstrumentSpec

NS_PER_DAY = 86_400_000_000_000
SPLIT_TAG = "split:"
BANK_VENUE = "BANK"
"""A venue without instruments whose account takes dividends and owners' money of margin accounts.

The engine hands a module a copy of every instrument and book of its venue at every event, so that one on a venue of
five hundred stocks costs more than all the rest of a run.
"""


class Flow(NamedTuple):
    """Money that an owner puts in (positive) or takes out of a book."""

    ts_ns: int
    book: str
    currency: str
    amount: Decimal
    venue: str


class Action(NamedTuple):
    """A corporate action: cash per unit, or new units for one old."""

    ts_ns: int
    kind: str
    """``"dividend"``, ``"distribution"`` (a spin-off, paid in cash at its value) or ``"split"``."""
    symbol: str
    amount: Decimal


class AccountModule(SimulationModule):
    """Changes one venue's account by what the treasury booked.

    Parameters
    ----------
    venue : str
        Whose account.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make the engine's own part, which takes no parameters."""
        return super().__new__(cls)

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.due: dict[str, Decimal] = {}
        """Currency -> change that the account has not had yet."""
        self.failure: BaseException | None = None
        self.keeper: LedgerKeeper | None = None
        self._sent: dict[str, Decimal] = {}

    def pre_process(self, _data: Any) -> None:
        """Do nothing before an event."""

    def process(self, _ts_now: int, _context: Any) -> list[Money]:
        """Return the changes that are due."""
        if not self.due:
            return []
        self._sent, self.due = self.due, {}
        return [Money.from_decimal(amount, currency(code)) for code, amount in self._sent.items() if amount]

    def acknowledge(self, _outcomes: Any) -> None:
        """Tell the ledger keeper, now that the account has changed."""
        for outcome in _outcomes:
            if not outcome.applied and self.failure is None:
                self.failure = RunFailedError(f"the account of {self.venue} did not change: {outcome.error}")
        for code, amount in self._sent.items():
            if self.keeper is not None:
                self.keeper.adjust(self.venue, code, amount)
        self._sent = {}

    def log_diagnostics(self) -> None:
        """Say nothing."""

    def reset(self) -> None:
        """Begin anew."""
        self.due.clear()


class Treasury(InTurn, Guarded, DataActor):
    """Books what moves without a trade, at the moment it is due.

    Parameters
    ----------
    keeper : LedgerKeeper
        Owns the ledger.
    index : LedgerIndex
        Holdings by book.
    instruments : mapping
        Lit instruments by id.
    modules : mapping
        Venue -> what changes its account; those of venues without a module of their own go to the bank.
    actions : sequence of Action
        Corporate actions in order of time.
    flows : sequence of Flow
        Deposits and withdrawals in order of time.
    terms : AgreedTerms or None
        The internal venue's; splits need it.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("TREASURY-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(
        self,
        keeper: LedgerKeeper,
        index: LedgerIndex,
        instruments: Mapping[str, InstrumentSpec],
        modules: Mapping[str, AccountModule],
        actions: Sequence[Action],
        flows: Sequence[Flow],
        terms: AgreedTerms | None,
    ) -> None:
        self.books: dict[str, Book] = {}
        self.counts = {"dividends": 0, "distributions": 0, "splits": 0, "deposits": 0, "withdrawals": 0, "late": 0}
        self.paid: dict[str, Decimal] = {}
        """What was paid for shares, by currency."""
        self._keeper, self._index, self._terms = keeper, index, terms
        self._modules = dict(modules)
        self._till = {spec.venue: spec.venue if spec.venue in modules else BANK_VENUE for spec in instruments.values()}
        self._lit = {spec.symbol: spec for spec in instruments.values()}
        self._actions = list(actions)
        self._flows = list(flows)
        self._splitting: set[str] = set()
        for module in self._modules.values():
            module.keeper = keeper

    def on_start(self) -> None:
        """Set an alert at each moment at which something is due; what was due before the run is left out."""
        now = self.clock.timestamp_ns()
        early = [flow for flow in self._flows if flow.ts_ns < now]
        if early:
            raise SpecError(
                f"book {early[0].book} has a flow of {early[0].amount} {early[0].currency} before the run begins",
                expected="flows within the run's time",
            )
        self._actions = [action for action in self._actions if action.ts_ns > now]
        for moment in sorted({a.ts_ns for a in self._actions} | {f.ts_ns for f in self._flows}):
            self.clock.set_time_alert_ns(f"treasury-{moment}", max(moment, now + 1), self.guard(self._on_due))

    def figures(self) -> dict[str, Any]:
        """Return counts and what was paid, for the run's summary."""
        if self._splitting:
            raise RunFailedError(f"{len(self._splitting)} splits never arrived", expected="every order filled at once")
        for module in self._modules.values():
            if any(module.due.values()):
                raise RunFailedError(f"the run ended before the account of {module.venue} changed by {module.due}")
        return {**self.counts, "paid": {code: plain(v) for code, v in sorted(self.paid.items())}}

    def _on_due(self, _: Any) -> None:
        now = self.clock.timestamp_ns()
        while self._actions and self._actions[0].ts_ns <= now:
            self._act(self._actions.pop(0))
        due = [flow for flow in self._flows if flow.ts_ns <= now]
        self._flows = [flow for flow in self._flows if flow.ts_ns > now]
        for flow in due:
            self._move(flow, now)

    # corporate actions

    def _act(self, action: Action) -> None:
        spec = self._lit[action.symbol]
        holders = [b for b in self.books if (h := self._index.of(b).get(action.symbol)) is not None and h.quantity]
        if action.kind == "split":
            for book in holders:
                self._split(book, spec, Fraction(action.amount))
            return
        state, total = self._keeper.ledger.state, Decimal(0)
        for book in holders:
            draft = corporate_actions.dividend(
                state,
                ts_ns=action.ts_ns,
                ref=f"{action.kind}-{action.symbol}-{action.ts_ns}-{book}",
                book=book,
                item=action.symbol,
                per_unit=action.amount,
                venue=self._till[spec.venue],
                meta={"action": action.kind},
            )
            if draft is None:
                continue
            self._keeper.ledger.post(draft)
            paid = next(amount for account, amount in draft.postings if account.role == CASH)
            total += Decimal(paid).scaleb(-state.decimals(spec.settlement))
            self.counts[f"{action.kind}s"] += 1
        if total:
            self.paid[spec.settlement] = self.paid.get(spec.settlement, Decimal(0)) + total
            self._change(self._till[spec.venue], spec.settlement, total)

    def _split(self, book: str, spec: InstrumentSpec, ratio: Fraction) -> None:
        """Give a book the units that a split adds (or take those it removes) at no price, on the internal venue."""
        if self._terms is None:
            raise SpecError(
                f"{spec.instrument_id} splits {ratio.numerator} for {ratio.denominator} during the run",
                expected="a [crossing] table, whose venue books the new shares, or bars adjusted for splits",
                next_step="import the bars with --option adjust=splits",
            )
        state = self._keeper.ledger.state
        held = self._index.of(book)[spec.symbol].quantity
        whole, rest = divmod(abs(held) * ratio.numerator, ratio.denominator)
        change = whole - abs(held)
        mark = mid_price(self.cache, InstrumentId.from_str(spec.instrument_id)) if rest else None
        price = None if mark is None else mark / Decimal(ratio.numerator) * Decimal(ratio.denominator)
        what = (book, spec.symbol, ratio.numerator, ratio.denominator, price)
        if not change:
            self._post_split(what)
            return
        units = Decimal(abs(change)).scaleb(-state.contract(spec.symbol).asset.decimals)
        side = "BUY" if (change > 0) == (held > 0) else "SELL"
        tag = f"{SPLIT_TAG}{spec.symbol}"
        order = self.books[book].make_leg(dark_id(spec.symbol), side, units, [tag])
        if order is None:
            raise RunFailedError(f"the gate of {book} denied the units of a split of {spec.symbol}")
        key = str(order.client_order_id)
        self._splitting.add(key)

        def arrived(leg: Leg) -> None:
            self._splitting.discard(key)
            if self._terms is not None:
                self._terms.revoke(key)
            self._post_split(what, leg.settled or Decimal(0))

        self._keeper.divert(key, arrived)
        self._terms.arm(key, Terms(Decimal(0), units))
        self.books[book].send_leg(order)

    def _post_split(self, what: tuple[str, str, int, int, Decimal | None], settled: Decimal = Decimal(0)) -> None:
        book, symbol, new, old, price = what
        ledger, now = self._keeper.ledger, self.clock.timestamp_ns()
        draft = corporate_actions.split(
            ledger.state,
            ts_ns=now,
            ref=f"split-{symbol}-{now}-{book}",
            book=book,
            item=symbol,
            new=new,
            old=old,
            cash_in_lieu=price,
            at=DARK_VENUE,
            till=self._till[self._lit[symbol].venue],
            settled=settled,
        )
        if draft is None:
            return
        ledger.post(draft)
        self.counts["splits"] += 1
        code = ledger.state.contract(symbol).currency.code
        paid = sum(amount for account, amount in draft.postings if account.role == CASH)
        paid -= ledger.state.units(settled, code, "settled amount")
        if paid:
            self._change(self._till[self._lit[symbol].venue], code, Decimal(paid).scaleb(-ledger.state.decimals(code)))

    # owners

    def _move(self, flow: Flow, now: int) -> None:
        ledger = self._keeper.ledger
        amount = abs(flow.amount)
        units = ledger.state.units(amount, flow.currency, "flow")
        if flow.amount < 0 and self._index.cash_units(flow.book, flow.currency) < units:
            # The owner waits until the book has sold enough; the book learns of the flow when it is made.
            self.counts["late"] += 1
            self._flows.append(flow._replace(ts_ns=now + NS_PER_DAY))
            self.clock.set_time_alert_ns(f"treasury-late-{flow.book}-{now}", now + NS_PER_DAY, self.guard(self._on_due))
            return
        till = self._till.get(flow.venue, BANK_VENUE)
        recipe = recipes.deposit if flow.amount > 0 else recipes.withdrawal
        ledger.post(
            recipe(
                ledger.state,
                ts_ns=now,
                ref=f"flow-{flow.book}-{now}-{flow.amount}",
                book=flow.book,
                currency=flow.currency,
                amount=amount,
                venue=till,
            )
        )
        self.counts["deposits" if flow.amount > 0 else "withdrawals"] += 1
        self._change(till, flow.currency, flow.amount)
        self.publish_message("treasury.flows", flow)
        if flow.book in self.books:
            self.books[flow.book].on_cash_flow(flow)

    def _change(self, venue: str, code: str, amount: Decimal) -> None:
        due = self._modules[venue].due
        due[code] = due.get(code, Decimal(0)) + amount
