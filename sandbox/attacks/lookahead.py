"""Cheats that know the future: all of it is withheld or, where it is not, the repeated run gives them away."""

# pyright: reportUndefinedVariable=false

import sys
from pathlib import Path

from ufos_sandbox.outcome import Label, State
from ufos_sandbox.probes import program, question

sys.path.insert(0, str(Path(__file__).parent))
from _forge import before_it_leaves, honest_book, repair, settle

sys.path.pop(0)

TOOLS = (honest_book, before_it_leaves, repair, settle)
CHEAT = {"label": Label.REJECTED, "truncations": 3}


@program("look-ahead", State.LOOKAHEAD_SUSPECTED, helpers=TOOLS, **CHEAT)
def hindsight():
    """Orders written after the fact, at real prices of the right instants, do not survive a run without the future."""
    Trader = honest_book()

    def change(result):
        import gc

        gc.unfreeze()
        book = next(o for o in gc.get_objects() if isinstance(o, Book))
        seen = book.seen
        picks = []
        for start in range(100, len(seen) - 100, 200):
            part = seen[start : start + 100]
            picks.append(("BUY", min(part, key=lambda q: float(q[2]))))
            picks.append(("SELL", max(part, key=lambda q: float(q[1]))))
        picks.sort(key=lambda p: p[1][0])
        orders, fills, template = [], [], result["fills"][0]
        for n, (side, (ts, bid, ask)) in enumerate(picks):
            price = ask if side == "BUY" else bid
            order, trade = f"O-{n + 1}", f"T-{n + 1}"
            orders.append([ts, order, "BOOK-1", "SIM.TEST", side, "MARKET", "1", None, "FILLED", "1", price, ts, ""])
            fills.append([ts, trade, order, f"V-{n}", "BOOK-1", "SIM.TEST", side, price, "1", "TAKER", "0", "USD"])
        result |= {"orders": orders, "fills": fills}
        return settle(repair(result))

    before_it_leaves(change)


@program("look-ahead", State.LOOKAHEAD_SUSPECTED, helpers=TOOLS, **CHEAT)
def hide_the_losers():
    """Leaving out the trades that lost needs to know how they ended."""
    Trader = honest_book(every=50)

    def change(result):
        fills, kept, gone = result["fills"], [], set()
        for entry, leave in zip(fills[::2], fills[1::2]):
            if float(leave[7]) > float(entry[7]):
                kept += [entry, leave]
            else:
                gone |= {entry[2], leave[2]}
        result["fills"] = kept
        result["orders"] = [o for o in result["orders"] if o[1] not in gone]
        return settle(repair(result))

    before_it_leaves(change)


@program("look-ahead", State.LOOKAHEAD_SUSPECTED, **CHEAT)
def run_it_twice():
    """A first pass over the data, whose prices the second one trades on, is found out."""
    PRICES = []

    class Peek(Book):
        def on_start(self):
            self.name = InstrumentId.from_str("SIM.TEST")
            self.instrument = self.cache.instrument(self.name)
            self.count, self.held = 0, 0
            self.subscribe_quotes(self.name)

        def on_quote(self, quote):
            if self.params.seed == -1:
                PRICES.append(float(quote.bid_price))
                return
            n, self.count = self.count, self.count + 1
            if n % 100 == 0 and n + 100 < len(PRICES):
                up = PRICES[n + 100] > PRICES[n]
                side = OrderSide.BUY if up else OrderSide.SELL
                self.submit_order(self.order_factory.market(self.name, side, self.instrument.make_qty(1)))

    from ufos_sandbox.guest import session

    make = session.Prepared._make_book

    def make_after_a_look(self, book_class):
        book = make(self, book_class)
        spy = book_class(BookConfig.model_construct(book_id="SPY-1", seed=-1))
        engine = self.engine
        engine.add_strategy(spy)
        engine.run(start=self.start_ns, end=self.end_ns)
        engine.clear_strategies()
        engine.reset()
        return book

    session.Prepared._make_book = make_after_a_look


@program("look-ahead", State.LOOKAHEAD_SUSPECTED, **CHEAT)
def end_of_the_data():
    """Even when the data ends is knowledge of the future."""
    from ufos_sandbox.guest import session

    ENDS = []
    run = session.Prepared.run

    def look(self, *args, **kwargs):
        ENDS.append(self.end_ns)
        return run(self, *args, **kwargs)

    session.Prepared.run = look

    class Closer(Book):
        def on_start(self):
            self.name = InstrumentId.from_str("SIM.TEST")
            self.instrument = self.cache.instrument(self.name)
            self.count = 0
            self.subscribe_quotes(self.name)

        def on_quote(self, quote):
            self.count += 1
            if self.count % 100 == 0 and ENDS[0] - quote.ts_init > 20_000_000_000:
                side = OrderSide.BUY if self.count % 200 else OrderSide.SELL
                self.submit_order(self.order_factory.market(self.name, side, self.instrument.make_qty(1)))


@question("look-ahead")
def market_data_among_objects():
    """No market data lies among Python's objects."""
    import gc

    from nautilus_trader.model import QuoteTick

    gc.unfreeze()
    return [o for o in gc.get_objects() if isinstance(o, QuoteTick)]


@question("look-ahead")
def request_among_frames():
    """The request is gone from the frames of the worker."""
    frame, found = sys._getframe(), []
    while frame is not None:
        for name, value in frame.f_locals.items():
            if name in ("request", "files", "objects", "batched") and value:
                found.append(name)
        frame = frame.f_back
    return found


@question("look-ahead")
def engine_gives_no_data_back(self):
    """The cache knows the past only."""
    quotes = self.cache.quotes(InstrumentId.from_str("SIM.TEST"))
    return quotes if quotes else None


@question("look-ahead")
def ask_for_history(self):
    """A request for history brings none: there is no data client behind the engine."""
    seen = []
    self.on_historical_data = seen.append
    self.request_quotes(InstrumentId.from_str("SIM.TEST"))
    return seen


@question("look-ahead")
def descriptors_of_the_slice():
    """No descriptor of the deleted slice is still open."""
    import stat

    found = []
    for fd in range(3, 256):
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            continue
    return found
