"""The ledger's recipes against the engine's own accounts and positions, fill by fill, to the smallest unit."""

import random
from decimal import Decimal
from typing import Any, Self

import pytest
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    BookType,
    Currency,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    StrategyId,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.ledger.recipes import deposit
from ufos_nautilus.ledger.reconcile import compare_cash, compare_positions
from ufos_nautilus.ledger.trades import Leg, fill
from ufos_nautilus.ledger.views import inventory, nav, results, trial_balance
from ufos_nautilus.market.instruments import InstrumentSpec

BOOKS = ("MM-ONE", "AM-TWO")


def spec(instrument_id: str, kind: Any, currencies: str, tick: str, lot: str, **more: Any) -> InstrumentSpec:
    base, quote, settlement = currencies.split()
    decimals = {"price_precision": tick, "size_precision": lot}
    places = {k: max(0, -int(Decimal(v).as_tuple().exponent)) for k, v in decimals.items()}
    return InstrumentSpec(
        instrument_id=instrument_id,
        kind=kind,
        base=base,
        quote=quote,
        settlement=settlement,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        **places,
        **more,
    )


LINEAR = spec("BTCUSDT-PERP.BINANCE", "crypto_perpetual", "BTC USDT USDT", "0.1", "0.001")
INVERSE = spec(
    "BTCUSD-PERP.BINANCE", "crypto_perpetual", "BTC USD BTC", "0.1", "1", multiplier=Decimal(100), inverse=True
)
SHARES = spec("AAPL.DARK", "equity", "AAPL USD USD", "0.005", "1")
LIT_SHARES = spec("AAPL.XNAS", "equity", "AAPL USD USD", "0.01", "1")
PAIR = spec("BTCUSDT.BINANCE", "currency_pair", "BTC USDT USDT", "0.01", "0.00001")
DECIMALS = {"USDT": 8, "BTC": 8, "USD": 2}


class RandomTrader(Strategy):
    """Sends seeded market orders of any size, also through zero, and keeps what the account says after each fill."""

    def __new__(cls, book: str, *_: Any) -> Self:
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId(book)))

    def __init__(self, book: str, instruments: list[Any], seed: int, fills: list[Any], long_only: bool) -> None:
        self.book, self.instruments, self.fills, self.long_only = book, instruments, fills, long_only
        self.random = random.Random(seed)
        self.lots = 0

    def on_start(self) -> None:
        for instrument in self.instruments:
            self.subscribe_quotes(instrument.id)

    def on_quote(self, _: QuoteTick) -> None:
        lots, buys = self.random.randint(1, 900), self.random.random() < 0.5
        if self.random.random() > 0.3:
            return
        instrument = self.random.choice(self.instruments)
        if self.long_only and not buys:
            lots = min(lots, self.lots)
            if not lots:
                return
        self.lots += lots if buys else -lots
        quantity = Quantity.from_decimal_dp(lots * instrument.size_increment.as_decimal(), instrument.size_precision)
        side = OrderSide.BUY if buys else OrderSide.SELL
        self.submit_order(self.order_factory.market(instrument.id, side, quantity))

    def on_order_filled(self, event: Any) -> None:
        account = self.cache.account_for_venue(event.instrument_id.venue)
        balances = {str(code): money.as_decimal() for code, money in account.balances_total().items()}
        self.fills.append((self.book, event, balances))


def run(traded: list[InstrumentSpec], account: AccountType, balances: dict[str, str], base: str | None, seed: int):
    """Run two random traders, one account per venue; return the engine, every fill with its balances, last prices."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True)))
    for listed in traded:
        engine.add_venue(
            Venue(listed.venue),
            OmsType.NETTING,
            account,
            [Money.from_str(f"{amount} {code}") for code, amount in balances.items()],
            base_currency=Currency.from_str(base) if base else None,
            default_leverage=None if account == AccountType.CASH else Decimal(100),
            fee_model=MakerTakerFeeModel(Decimal("-0.00005"), Decimal("0.00035")),
            book_type=BookType.L1_MBP,
        )
    instruments = [to_engine(listed) for listed in traded]
    rng = random.Random(seed)
    mid: float = 40_000 if traded[0].base == "BTC" else 150
    quotes: list[QuoteTick] = []
    for instrument in instruments:
        engine.add_instrument(instrument)
    for second in range(1_500):
        mid *= 1 + rng.gauss(0, 0.002)
        for listed, instrument in zip(traded, instruments, strict=True):
            bid = round(mid / float(listed.tick_size)) * listed.tick_size
            ask = bid + listed.tick_size * rng.randint(1, 4)
            prices = [Price.from_decimal_dp(p, listed.price_precision) for p in (bid, ask)]
            size = Quantity.from_decimal_dp(listed.lot_size * 400, listed.size_precision)
            quotes.append(QuoteTick(instrument.id, *prices, size, size, second * 10**9, second * 10**9))
    engine.add_data(quotes)
    fills: list[Any] = []
    for number, book in enumerate(BOOKS):
        engine.add_strategy(RandomTrader(book, instruments, seed * 10 + number, fills, account == AccountType.CASH))
    engine.run()
    return engine, fills, quotes[-1].bid_price


@pytest.mark.parametrize("told", [True, False], ids=["settled by the venue", "settled by the ledger"])
@pytest.mark.parametrize(
    ("traded", "account", "balances", "base"),
    [
        ([LINEAR], AccountType.MARGIN, {"USDT": "10000000"}, None),
        ([INVERSE], AccountType.MARGIN, {"BTC": "1000"}, None),
        ([SHARES], AccountType.MARGIN, {"USD": "10000000"}, "USD"),
        ([LIT_SHARES, SHARES], AccountType.MARGIN, {"USD": "10000000"}, "USD"),
        ([SHARES], AccountType.CASH, {"USD": "100000000"}, "USD"),
        ([PAIR], AccountType.CASH, {"USDT": "10000000", "BTC": "100"}, None),
    ],
    ids=["linear perpetual", "inverse perpetual", "margin", "one share on two venues", "cash", "pair for cash"],
)
def test_ledger_cash_and_positions_equal_the_engines(traded, account, balances, base, told):
    engine, fills, last = run(traded, account, balances, base, seed=7)
    assert len(fills) > 500
    margined, code = account == AccountType.MARGIN, traded[0].settlement
    ledger = opened(traded, balances)
    before = {listed.venue: Decimal(balances[code]) for listed in traded}
    tolerance = Decimal("0.00001" if DECIMALS[code] == 8 else 1)
    for book, event, after in fills:
        venue, commission = str(event.instrument_id.venue), event.commission.as_decimal()
        settled = after[code] - before[venue] + commission
        before[venue] = after[code]
        leg = Leg(
            book=book,
            margined=margined,
            settled=settled if margined and told else None,
            commission=commission,
            commission_currency=str(event.commission.currency),
        )
        ledger.post(
            fill(
                ledger.state,
                leg,
                ts_ns=event.ts_event,
                ref=f"{event.trade_id} {venue}",
                instrument_id=str(event.instrument_id),
                side="BUY" if event.order_side == OrderSide.BUY else "SELL",
                quantity=event.last_qty.as_decimal(),
                price=event.last_px.as_decimal(),
            )
        )
        differences = [
            d for d in compare_cash(ledger.state, {(venue, c): v for c, v in after.items()}) if d.where == venue
        ]
        if told or not margined:
            assert not differences
        else:  # the engine rounds floats, the ledger exact numbers: they differ by a unit now and then
            assert all(abs(d.ledger - d.venue) < tolerance for d in differences)
    check_positions(engine, ledger, traded, last, tolerance)
    prices = {traded[0].symbol: last.as_decimal()}
    for book in BOOKS:
        assert not trial_balance(ledger.state)[code]
        if margined:
            total = sum(result.total for result in results(ledger.state, book, prices))
            paid_in = Decimal(balances[code]) / 2 * len(traded)
            assert nav(ledger.state, book, prices)[code] == paid_in + total
    engine.dispose()


def opened(traded: list[InstrumentSpec], balances: dict[str, str]) -> Ledger:
    """Return a ledger in which each of the two books has half of every account."""
    currency = Asset(traded[0].settlement, DECIMALS[traded[0].settlement])
    base = Asset("BTC", 8) if traded[0] is PAIR else None
    ledger = Ledger()
    ledger.define(*(Asset(code, DECIMALS[code]) for code in balances))
    for listed in traded:
        ledger.define(Contract.of(listed, currency, base=base))
        for code, amount in balances.items():
            for book in BOOKS:
                half = {"currency": code, "amount": Decimal(amount) / 2, "venue": listed.venue}
                ledger.post(deposit(ledger.state, ts_ns=0, ref=f"{book} {code} {listed.venue}", book=book, **half))
    return ledger


def check_positions(
    engine: BacktestEngine, ledger: Ledger, traded: list[InstrumentSpec], last: Price, tolerance: Decimal
) -> None:
    """Compare quantities by venue; where there is one venue, average price and unrealised result as well."""
    positions = engine.cache.positions_open()
    quantities = {  # signed_qty is a sum of floats, quantity is rounded
        (str(p.strategy_id), str(p.instrument_id)): (1 if p.is_long else -1) * p.quantity.as_decimal()
        for p in positions
    }
    assert not compare_positions(ledger.state, quantities)
    rows = inventory(ledger.state, {traded[0].symbol: last.as_decimal()})
    for row in rows if len(traded) == 1 else ():
        position = next(p for p in positions if str(p.strategy_id) == row.book)
        assert row.vwap_cost is not None and row.unrealized_pnl is not None
        assert float(row.vwap_cost) == pytest.approx(position.avg_px_open, rel=1e-6)
        assert abs(row.unrealized_pnl - position.unrealized_pnl(last).as_decimal()) <= tolerance / 50
