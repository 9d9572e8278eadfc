"""The ledger keeper: posts every fill of every book as it happens and reconciles with the engine at the end."""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId, Currency, InstrumentId, OrderFilled, OrderSide, PositionSide, Venue

from ufos_nautilus.engine.dark import DARK_VENUE
from ufos_nautilus.engine.funding import Payment
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.house import HouseTrade
from ufos_nautilus.engine.instruments import currency
from ufos_nautilus.engine.marks import mid_price
from ufos_nautilus.engine.result import plain
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger import recipes, trades, views
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.ledger.reconcile import compare_cash, compare_positions, require_reconciled
from ufos_nautilus.ledger.trades import Leg, TransferFee
from ufos_nautilus.market.instruments import InstrumentSpec

HOUSE_BOOK = "HOUSE-1"
READS_PER_PURGE = 8
"""The engine copies an account with its whole history at every read; it is kept short."""
DARK_SUFFIX = f".{DARK_VENUE}"
Money = tuple[str, str, Decimal]
"""Venue, currency, amount."""
NOTHING = Decimal(0)


class Place(NamedTuple):
    """An account that settles results: venue and currency, as text and as the engine's."""

    key: tuple[str, str]
    venue: Venue
    money: Currency


class LedgerKeeper(InTurn, Guarded, DataActor):
    """Turns engine events into journal entries.

    Parameters
    ----------
    ledger : Ledger
        Empty; over memory or a store.
    instruments : mapping
        Lit instruments by id.
    cash_venues : set of str
        Venues whose accounts settle the whole value of a trade; all others settle results only.
    capital : mapping
        Book -> what it starts with, as (venue, currency, amount); together the engine's starting balances.
    payments : deque of Payment, optional
        Fundings as venues settle them; they are posted before the next fill.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("LEDGER-KEEPER")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(
        self,
        ledger: Ledger,
        instruments: Mapping[str, InstrumentSpec],
        cash_venues: set[str],
        capital: Mapping[str, list[Money]],
        payments: deque[Payment] | None = None,
    ) -> None:
        self.ledger = ledger
        self._instruments = dict(instruments)
        self._cash_venues = cash_venues
        self._capital = dict(capital)
        self._balances: dict[tuple[str, str], Decimal] = {}
        self._places: dict[str, Place | None] = {}
        self._legs: dict[str, Leg] = {}
        self._waiting: list[HouseTrade] = []
        self._payments = payments if payments is not None else deque()
        self._funded = self._reads = 0
        self._diverted: dict[str, Callable[[Leg], None]] = {}
        """Orders whose fill is no trade -> who posts it."""

    def on_start(self) -> None:
        """Define assets and contracts, post the starting capital, listen to books and the house."""
        now = self.clock.timestamp_ns()
        for spec in self._instruments.values():
            money = Asset(spec.settlement, currency(spec.settlement).precision)
            base = None
            if spec.kind == "currency_pair" and spec.venue in self._cash_venues:
                base = Asset(spec.base, currency(spec.base).precision)
            self.ledger.define(Contract.of(spec, money, base=base), ts_ns=now)
        for book, amounts in self._capital.items():
            for i, (venue, code, amount) in enumerate(amounts):
                self.ledger.define(Asset(code, currency(code).precision), ts_ns=now)
                key = (venue, code)
                self._balances[key] = self._balances.get(key, Decimal(0)) + amount
                if amount:
                    draft = recipes.deposit(
                        self.ledger.state,
                        ts_ns=now,
                        ref=f"start-{book}-{i}",
                        book=book,
                        currency=code,
                        amount=amount,
                        venue=venue,
                    )
                    self.ledger.post(draft)
        self._cached = self.cache  # each look at the property makes another wrapper
        self.overhear("books.*.fills", self.post_fill)
        self.overhear("house.trades", self.on_house_trade)

    def post_fill(self, event: OrderFilled) -> None:
        """Post a fill; legs of trades inside the house wait for each other."""
        self._post_funding()
        order, instrument_id = str(event.client_order_id), event.instrument_id
        name = str(instrument_id)
        leg = self._leg(event, name, instrument_id)
        if self._diverted and (post := self._diverted.pop(order, None)) is not None:
            post(leg)
            return
        if name.endswith(DARK_SUFFIX):
            self._legs[order] = leg
            self._post_ready()
            return
        self.ledger.post_later(
            partial(
                trades.fill,
                leg=leg,
                ts_ns=event.ts_event,
                ref=f"{event.trade_id}:{order}",
                instrument_id=name,
                side="BUY" if event.order_side == OrderSide.BUY else "SELL",
                quantity=event.last_qty.as_decimal(),
                price=event.last_px.as_decimal(),
                meta={"order": order},
            )
        )

    def on_house_trade(self, trade: HouseTrade) -> None:
        """Post a trade inside the house as one entry, as soon as both legs are known."""
        self._waiting.append(trade)
        self._post_ready()

    def divert(self, client_order_id: str, post: Callable[[Leg], None]) -> None:
        """Leave it to someone else to post an order's fill, which is no trade."""
        self._diverted[client_order_id] = post

    def adjust(self, venue: str, code: str, amount: Decimal) -> None:
        """Take note that a venue's balance changed by something that is posted already."""
        self._balances[venue, code] = self._balances.get((venue, code), NOTHING) + amount

    def finish(self) -> dict[str, Any]:
        """Write everything, reconcile with the engine and return what the ledger says of each book.

        Raises
        ------
        ReconciliationError
            With a table of what differs, where one unit does.

        """
        if self._waiting or self._legs:
            raise DataError(f"{len(self._legs)} legs of trades inside the house were never matched")
        self._post_funding()
        self.ledger.flush()
        state = self.ledger.state
        differences = compare_cash(state, self._engine_balances()) + compare_positions(state, self._engine_positions())
        require_reconciled(differences)
        balanced = not any(views.trial_balance(state).values())
        return {
            "entries": state.entries,
            "balanced": balanced,
            "reconciled": True,
            "head": self.head_hash(),
            "books": self._books(),
        }

    def head_hash(self) -> str:
        """Return the hash at which the journal ends."""
        return self.ledger.journal.head.hash.hex()

    def net_pnl(self) -> dict[str, Decimal]:
        """Return profit of all books together by currency, positions at mid."""
        state, prices = self.ledger.state, self.prices()
        totals: dict[str, Decimal] = {}
        for book in self._capital:
            for result in views.results(state, book, prices):
                totals[result.currency] = totals.get(result.currency, Decimal(0)) + result.total
        for amounts in self._capital.values():
            for _, code, _ in amounts:
                totals.setdefault(code, Decimal(0))
        return totals

    # details

    def _post_funding(self) -> None:
        while self._payments:
            paid = self._payments.popleft()
            self._funded += 1
            venue = paid.instrument_id.rpartition(".")[2]
            key = (venue, self._instruments[paid.instrument_id].settlement)
            self._balances[key] = self._balances.get(key, Decimal(0)) - paid.amount
            self.ledger.post(
                recipes.funding(
                    self.ledger.state,
                    ts_ns=paid.ts_ns,
                    ref=f"funding-{self._funded}",
                    book=paid.book,
                    instrument_id=paid.instrument_id,
                    amount=paid.amount,
                )
            )

    def _leg(self, event: OrderFilled, name: str, instrument_id: InstrumentId) -> Leg:
        commission, paid_in = event.commission, ""
        amount = NOTHING
        if commission is not None:
            amount, paid_in = commission.as_decimal(), str(commission.currency)
        book = str(event.strategy_id)
        place = self._places[name] if name in self._places else self._place(name, instrument_id)
        if place is None:
            return Leg(book=book, commission=amount, commission_currency=paid_in)
        self._reads += 1
        if self._reads % READS_PER_PURGE == 0:
            self._cached.purge_account_events(event.ts_event, 0)
        account: Any = self._cached.account_for_venue(place.venue)
        after = account.balance_total(place.money).as_decimal()
        settled = after - self._balances.get(place.key, NOTHING)
        self._balances[place.key] = after
        if paid_in == place.key[1]:
            settled += amount
        return Leg(book=book, margined=True, settled=settled, commission=amount, commission_currency=paid_in)

    def _place(self, name: str, instrument_id: InstrumentId) -> Place | None:
        """Return the account an instrument settles in; None where the whole value of a trade is paid."""
        venue = instrument_id.venue.value
        code = self.ledger.state.contract(instrument_id.symbol.value).currency.code
        place = Place((venue, code), Venue(venue), currency(code))
        self._places[name] = None if venue in self._cash_venues else place
        return self._places[name]

    def _post_ready(self) -> None:
        for trade in list(self._waiting):
            if trade.buy_order in self._legs and trade.sell_order in self._legs:
                self._waiting.remove(trade)
                self._post_trade(trade, self._legs.pop(trade.buy_order), self._legs.pop(trade.sell_order))

    def _post_trade(self, trade: HouseTrade, buyer: Leg, seller: Leg) -> None:
        fee = TransferFee(amount=trade.fee, payee=HOUSE_BOOK, payee_venue=DARK_VENUE) if trade.fee else None
        self.ledger.post_later(
            partial(
                trades.cross,
                buyer=buyer,
                seller=seller,
                ts_ns=trade.ts_ns,
                ref=trade.trade_id,
                instrument_id=trade.instrument_id,
                quantity=trade.quantity,
                price=trade.price,
                fee=fee,
                meta={"route": trade.route},
            )
        )

    def _engine_balances(self) -> dict[tuple[str, str], Decimal]:
        out: dict[tuple[str, str], Decimal] = {}
        for venue in sorted({v for amounts in self._capital.values() for v, _, _ in amounts}):
            account = self.cache.account_for_venue(Venue(venue))
            if account is not None:
                out |= {(venue, str(k)): v.as_decimal() for k, v in account.balances_total().items()}
        return out

    def _engine_positions(self) -> dict[tuple[str, str], Decimal]:
        out: dict[tuple[str, str], Decimal] = {}
        for position in self.cache.positions_open():
            signed = position.quantity.as_decimal() * (1 if position.side == PositionSide.LONG else -1)
            key = (str(position.strategy_id), str(position.instrument_id))
            out[key] = out.get(key, Decimal(0)) + signed
        return out

    def prices(self) -> dict[str, Decimal]:
        """Return the mark of every root symbol that has a market."""
        marks = {s.symbol: mid_price(self.cache, InstrumentId.from_str(i)) for i, s in self._instruments.items()}
        return {root: mark for root, mark in marks.items() if mark is not None}

    def _books(self) -> dict[str, Any]:
        state, prices = self.ledger.state, self.prices()
        out: dict[str, Any] = {}
        for book in sorted(self._capital):
            nav = views.nav(state, book, prices)
            out[book] = {
                "nav": {code: plain(v) for code, v in nav.items()},
                "capital": {code: plain(v) for code, v in views.capital(state, book).items()},
                "pnl": {
                    r.currency: {k: plain(v) for k, v in _parts(r).items()} for r in views.results(state, book, prices)
                },
            }
        return out


def _parts(result: views.Result) -> dict[str, Decimal]:
    names = ("realised", "unrealised", "venue_difference", "fees", "funding", "dividends", "transfer_fee", "fx")
    return {name: getattr(result, name) for name in names} | {"total": result.total}
