"""The desk: quotes both sides of one instrument around fair value, skewed by inventory (GLFT or Avellaneda-Stoikov)."""

import math
from typing import Any, ClassVar

from nautilus_trader.model import (
    BookType,
    FundingRateUpdate,
    InstrumentId,
    LiquiditySide,
    OrderBookDeltas,
    OrderSide,
    QuoteTick,
    TradeTick,
)

from ufos_nautilus.crossing.residual import DeskQuote, QuoteRequest
from ufos_nautilus.engine import Alert, Book, BookConfig, GateDenial
from ufos_nautilus.pricing.quoting import clamp_post_only, round_outward, shape_sizes, widen_to_minimum
from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.desk.defences import Defences
from ufos_strategies.desk.estimation import IntensityLearner
from ufos_strategies.desk.grid import Grid
from ufos_strategies.desk.hedge import Hedger
from ufos_strategies.desk.ladder import NEVER, Ladder
from ufos_strategies.desk.model import DeskModel, Market
from ufos_strategies.desk.modes import Mode, SetMode, mode_topic, rooms
from ufos_strategies.desk.presence import Presence

NS_PER_S = 1_000_000_000


class MarketMaker(Book[MarketMakerConfig]):
    """Quotes one instrument; one pass of the loop per market event.

    The loop: market -> fair value -> volatility -> depths -> ticks -> minimum spread -> post-only clamp -> sizes within
    the inventory bound -> throttle -> orders. Inventory is counted from own fills in whole lots, and an order is never
    replaced before its cancel is confirmed, so the bound holds whatever the latency.
    """

    Config: ClassVar[type[BookConfig]] = MarketMakerConfig

    def __init__(self, config: MarketMakerConfig) -> None:
        super().__init__(config)
        self.instrument_id = InstrumentId.from_str(config.instrument_id)
        self.decisions = 0
        """Passes of the loop that reached the throttle."""
        self.mode = Mode.NORMAL
        self.presence = Presence()
        self._stands: tuple[int | None, int | None, int, int] | None = None
        """Own quotes and the market's best, ticks, since the last time one of them changed."""
        self._decided_ns = 0
        self._inventory_lots = 0
        self._market: Market | None = None
        self._warm = self._requote = False
        self._wake_ns = NEVER
        self._fair = 0.0
        self._reason = "requote"
        self._fee_rate = config.fee_rate
        self._widens = bool(config.fee_rate or config.fade is not None)
        self._delay_ns = int(config.fill_delay_s * NS_PER_S)
        self._hang_ns = int(config.hanging.hold_s * NS_PER_S) if config.hanging is not None else 0

    def on_start(self) -> None:
        """Read the instrument's grid, build the model, subscribe."""
        p = self.params
        instrument = self.cache.instrument(self.instrument_id)
        if instrument is None:
            raise LookupError(f"{p.instrument_id} is not in the engine")
        grid = self.grid = Grid(instrument)
        self.price_at, self.quantity_of, self.lots_filled = grid.price_at, grid.quantity_of, grid.lots_filled
        self._size_lots = grid.lots_of(p.order_size)
        self._bound_lots = grid.lots_of(p.max_inventory)
        self._target_lots = grid.lots_of(p.inventory_target)
        if self._size_lots < 1:
            raise ValueError(f"order_size {p.order_size} is below the lot {grid.lot} of {p.instrument_id}")
        self._orders_per_lot = 1.0 / self._size_lots
        cache = self.cache  # each look at the property makes another wrapper
        self._top_of_book = cache.top_of_book
        self._is_closed, self._is_known = cache.is_order_closed, cache.order_exists
        self.model = DeskModel(p, self._bound_lots // self._size_lots)
        self._bids = Ladder(self, OrderSide.BUY, p, self._size_lots)
        self._asks = Ladder(self, OrderSide.SELL, p, self._size_lots)
        self.hedger = Hedger(self, grid, p.hedge)
        self.defences = Defences(p)
        self.learner: IntensityLearner | None = None
        if p.intensity is not None:
            self.learner = IntensityLearner(self.model, p.intensity, (p.book_id, p.instrument_id), self.estimate_log)
            self._watch_quotes()
        self._plain = self._is_plain()
        self._timed = bool(p.max_order_age_s or p.fill_delay_s or p.fade or p.session or p.hedge)
        self._subscribe()

    def _subscribe(self) -> None:
        p = self.params
        if p.source == "quotes":
            self.subscribe_quotes(self.instrument_id)
        else:
            kind = BookType.L3_MBO if p.source == "orders" else BookType.L2_MBP
            self.subscribe_book_deltas(self.instrument_id, kind, managed=True)
        if self.learner is not None or p.toxicity is not None:
            self.subscribe_trades(self.instrument_id)
        if p.funding is not None:
            self.subscribe_funding_rates(self.instrument_id)
        if p.fade is not None:
            self.listen(f"signals.lead_lag.{p.instrument_id}", self._on_leader)
        self.listen(mode_topic(p.book_id), self._on_mode)

    def on_stop(self) -> None:
        """Withdraw all quotes."""
        if self.params.cancel_on_stop:
            self.cancel_all_orders(self.instrument_id)

    # market

    def on_quote(self, quote: QuoteTick) -> None:
        """Run the loop on a change of the top of the book."""
        self._on_top(quote.ts_init, quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        """Run the loop on a book event; its top comes from the engine's book (copying the book would cost 50 times)."""
        top = self._top_of_book(self.instrument_id)
        if top is not None:
            self._on_top(deltas.ts_init, *top)

    def on_trade(self, trade: TradeTick) -> None:
        """Take in what the market trades: toxicity, and sizes for the first belief about fills."""
        if self.learner is not None and not self._warm:
            self.learner.on_trade(trade.ts_init, float(trade.size))
        if self.defences.toxicity is not None:
            self.model.set_impact(self.defences.on_trade(float(trade.size), trade.aggressor_side))

    def on_funding_rate(self, funding_rate: FundingRateUpdate) -> None:
        """Take in the funding a venue announces."""
        if self.model.funding is not None:
            self.model.funding.announce(float(funding_rate.rate), funding_rate.next_funding_ns)
            self._requote = True

    def _on_top(self, now_ns: int, bid: Any, bid_size: Any, ask: Any, ask_size: Any) -> None:
        scale = self.grid.ticks_per_unit
        market = (float(bid) * scale, float(bid_size), float(ask) * scale, float(ask_size))
        if market == self._market and not self._requote and now_ns < self._wake_ns:
            return
        self._market, self._requote = market, False
        self._fair = fair = self.model.fair(now_ns, market)
        if not self._warm:
            self._warm = self.model.warm(now_ns)
            if not self._warm:
                return
            if self.learner is not None:
                self._believe_market(now_ns)
        self._quote(now_ns, fair, round(market[0]), round(market[2]))

    # quotes

    def _quote(self, now_ns: int, fair: float, best_bid: int, best_ask: int) -> None:
        model, q = self.model, self._inventory_lots - self._target_lots
        if self.learner is not None:
            self.learner.refresh(now_ns)
        bid_depth, ask_depth = model.depths(q * self._orders_per_lot, now_ns)
        if self._widens and (self._fee_rate or self.defences.fading(now_ns)):
            bid_depth, ask_depth = self._wider(now_ns, fair, bid_depth, ask_depth)
        bid, ask = round_outward(fair, bid_depth, ask_depth, 1.0)
        bid, ask = widen_to_minimum(bid, ask, self.params.minimum_spread_ticks)
        bid, ask = clamp_post_only(bid, ask, best_bid, best_ask)
        buy_room, sell_room = self._rooms(now_ns)
        size = self._size_lots
        bid_lots, ask_lots = size if size < buy_room else buy_room, size if size < sell_room else sell_room
        if self.params.size_shape:
            shaped = shape_sizes(self._inventory_lots, self._size_lots, 1, self.params.size_shape, self._bound_lots)
            bid_lots, ask_lots = min(bid_lots, shaped[0]), min(ask_lots, shaped[1])
        self.decisions += 1
        changed = self._bids.work(bid if bid_lots else None, bid_lots, buy_room, now_ns, fair)
        changed |= self._asks.work(ask if ask_lots else None, ask_lots, sell_room, now_ns, fair)
        self._decided_ns = now_ns
        stands = (self._bids.first.price_ticks, self._asks.first.price_ticks, best_bid, best_ask)
        if stands != self._stands:
            self._stands = stands
            self.presence.update(now_ns, *stands)
        log = self.quote_log
        if changed and log is not None:
            log(self._quote_row(now_ns, fair, best_bid, best_ask))
        if self._timed:
            self._wake_ns = min(self._bids.wake_ns(now_ns), self._asks.wake_ns(now_ns), self.defences.wake_ns(now_ns))

    def _wider(
        self, now_ns: int, fair: float, bid_depth: float | None, ask_depth: float | None
    ) -> tuple[float | None, float | None]:
        """Return the depths with the fee that a quote has to earn and what the defences add."""
        fee = self._fee_rate * fair
        bid_extra, ask_extra = self.defences.extra_ticks(now_ns)
        return (
            None if bid_depth is None else bid_depth + fee + bid_extra,
            None if ask_depth is None else ask_depth + fee + ask_extra,
        )

    def _rooms(self, now_ns: int) -> tuple[int, int]:
        """Return what may be quoted to buy and to sell, lots; hedges where that is due."""
        q, bound = self._inventory_lots, self._bound_lots
        if self._plain:
            return bound - q if q < bound else 0, bound + q if q > -bound else 0
        mode = self._mode_at(now_ns)
        buy, sell = rooms(mode, q, bound)
        hedge = self._hedge(now_ns, mode)
        return 0 if hedge > 0 else buy, 0 if hedge < 0 else sell

    def _mode_at(self, now_ns: int) -> Mode:
        """Return what the desk may do now: what it was told, and nothing outside its session."""
        session = self.model.session
        if session is None or self.mode is Mode.HALT or session.is_open(now_ns):
            return self.mode
        current = session.session(now_ns)
        return Mode.LIQUIDATE if session.flat_ns and current.open_ns <= now_ns < current.close_ns else Mode.HALT

    def _hedge(self, now_ns: int, mode: Mode) -> int:
        """Send a hedge where one is due and its own side's quotes are gone; return its direction, 0 for none."""
        hedger, q = self.hedger, self._inventory_lots
        if hedger.busy:
            return hedger.direction
        if mode is Mode.HALT:
            return 0
        get_out = mode is Mode.LIQUIDATE
        lots = hedger.wanted(q - self._target_lots, q, get_out=get_out, now_ns=now_ns)
        if lots:
            side = self._bids if lots > 0 else self._asks
            if side.empty:
                hedger.send(lots, get_out=get_out, now_ns=now_ns)
            else:
                side.withdraw(now_ns)
                self._requote = True
        return lots

    def place(self, order: Any) -> None:
        """Send a new order."""
        self.submit_order(order)

    def move(self, client_order_id: Any, price: Any) -> None:
        """Move a resting quote."""
        self.modify_order(client_order_id, price=price)

    def withdraw(self, client_order_id: Any) -> None:
        """Cancel a resting quote."""
        self.cancel_order(client_order_id)

    def is_over(self, client_order_id: Any) -> bool:
        """Tell whether nothing more can become of an order."""
        return self._is_closed(client_order_id) or not self._is_known(client_order_id)

    def _quote_row(self, now_ns: int, fair: float, best_bid: int, best_ask: int) -> tuple[Any, ...]:
        price, quantity = self.grid.price_text, self.grid.quantity_text
        bid, ask, reason = self._bids.first, self._asks.first, self._reason
        self._reason = "requote"
        return (
            now_ns,
            self.params.book_id,
            self.params.instrument_id,
            None if bid.price_ticks is None else price(bid.price_ticks),
            None if bid.price_ticks is None else quantity(bid.lots),
            None if ask.price_ticks is None else price(ask.price_ticks),
            None if ask.price_ticks is None else quantity(ask.lots),
            fair / self.grid.ticks_per_unit,
            quantity(self._inventory_lots),
            price(best_bid),
            price(best_ask),
            reason,
        )

    # messages

    def _on_leader(self, signal: Any) -> None:
        """Withdraw the quotes a leader's move is coming for, before anything else."""
        now = self.clock.timestamp_ns()
        bids, asks = self.defences.on_leader(now, signal.move_bps)
        if bids:
            self._bids.withdraw(now)
        if asks:
            self._asks.withdraw(now)
        self._requote, self._reason = True, "fade"

    def _on_mode(self, message: SetMode) -> None:
        """Change what the desk may do; quotes that may not stand are withdrawn at once."""
        now = self.clock.timestamp_ns()
        self.mode = mode = Mode(message.mode)
        self._plain = self._is_plain()
        buy, sell = rooms(mode, self._inventory_lots, self._bound_lots)
        for side, room in ((self._bids, buy), (self._asks, sell)):
            if side.resting_lots > room:
                side.withdraw(now)
        if mode is Mode.HALT and self.hedger.busy:
            self.withdraw(self.hedger.order_id)
        self._requote, self._reason = True, f"mode {mode}"
        alert = Alert(now, self.book_id, "mode", self.params.instrument_id, 0.0, 0.0, 0.0, f"{mode}: {message.reason}")
        self.publish_message("alerts.mode", alert)

    def _is_plain(self) -> bool:
        p = self.params
        return self.mode is Mode.NORMAL and p.session is None and p.hedge is None and not self.hedger.busy

    def _believe_market(self, now_ns: int) -> None:
        """Form the first belief about fills from the trades of the warm-up and one look at the whole book."""
        learner = self.learner
        if learner is None or self.params.intensity is None or not self.params.intensity.prior_from_market:
            return
        has_book = self.params.source != "quotes" and self.cache.has_order_book(self.instrument_id)
        book = self.cache.order_book(self.instrument_id) if has_book else None
        if learner.believe_market(now_ns, book, self.grid.ticks_per_unit):
            self._watch_quotes()

    def _watch_quotes(self) -> None:
        learner = self.learner
        if learner is not None:
            for side in (self._bids, self._asks):
                side.watch(learner.estimator, 0.5 * learner.bucket_ticks, learner.most_ticks)

    # residuals of the house

    def on_quote_request(self, request: QuoteRequest) -> DeskQuote | None:
        """Offer the touch, or the own quote where that is better for the client, if it leaves the asked edge.

        The edge is measured from the reservation price, so a desk that is long buys less eagerly.
        """
        nbbo, p = request.nbbo, self.params
        if self._market is None or nbbo.bid is None or nbbo.ask is None or request.ticket.instrument != p.instrument_id:
            return None
        q, fair, grid, now = self._inventory_lots, self._fair, self.grid, self.clock.timestamp_ns()
        depths = self.model.depths((q - self._target_lots) * self._orders_per_lot, now)
        if depths.bid_depth is None or depths.ask_depth is None:
            return None
        units_per_tick = round(grid.tick.scaleb(grid.instrument.price_precision))
        reservation = fair + 0.5 * (depths.ask_depth - depths.bid_depth)
        buy_room, sell_room = rooms(self._mode_at(now), q, self._bound_lots)
        if request.ticket.intent_side == "SELL":
            ticks = max(nbbo.bid // units_per_tick, math.floor(fair - depths.bid_depth))
            edge, room = reservation - ticks, buy_room - self._bids.resting_lots
        else:
            ticks = min(-(-nbbo.ask // units_per_tick), math.ceil(fair + depths.ask_depth))
            edge, room = ticks - reservation, sell_room - self._asks.resting_lots
        lot_units = round(grid.lot.scaleb(grid.instrument.size_precision))
        lots = min(room, request.size // lot_units)
        if edge < p.residual_edge_ticks or lots <= 0:
            return None
        return DeskQuote(2 * ticks * units_per_tick, lots * lot_units, p.book_id)

    # own orders

    def on_order_event(self, event: Any) -> None:
        """Follow own orders through their states."""
        now = event.ts_init
        if not (self._bids.on_event(event, now) or self._asks.on_event(event, now)):
            self.hedger.on_event(event, now)

    def on_order_filled(self, event: Any) -> None:
        """Count inventory in whole lots."""
        lots = self.lots_filled(event.last_qty)
        bought = event.order_side == OrderSide.BUY
        self._inventory_lots += lots if bought else -lots
        self._requote, self._reason = True, "fill"
        if event.liquidity_side == LiquiditySide.TAKER:
            if event.instrument_id == self.instrument_id:
                self.hedger.count(lots)
            return
        if self._delay_ns:
            self._bids.delay(event.ts_init + self._delay_ns)
            self._asks.delay(event.ts_init + self._delay_ns)
        if self._hang_ns:
            (self._asks if bought else self._bids).hang(event.ts_init + self._hang_ns)

    def on_gate_denial(self, denial: GateDenial) -> None:
        """Forget an order that the gate refused, so that its side is not waited for."""
        order_id = denial.client_order_id
        if not (self._bids.refused(order_id) or self._asks.refused(order_id)):
            self.hedger.refused(order_id, denial.ts_ns)

    def figures(self) -> dict[str, Any]:
        """Return what the desk counted about itself, for the run's result."""
        suppressed = self._bids.suppressed + self._asks.suppressed
        out = {"decisions": self.decisions, "suppressed": suppressed, "mode": str(self.mode)}
        if self._stands is not None:
            self.presence.update(self._decided_ns, *self._stands)
        out |= self.presence.figures() | self.defences.figures()
        if self.hedger.hedges:
            out |= self.hedger.figures()
        if self.learner is not None:
            out |= self.learner.figures()
        return out
