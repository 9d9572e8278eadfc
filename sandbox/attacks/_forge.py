"""Tools for forgers: they run in the container, next to the worker whose answer they change."""

# pyright: reportUndefinedVariable=false


def honest_book(every=100, size=1):
    """A book that trades, so that there is something to forge."""

    class Trader(Book):
        def on_start(self):
            self.name = InstrumentId.from_str("SIM.TEST")
            self.instrument = self.cache.instrument(self.name)
            self.seen = []
            self.side = OrderSide.BUY
            self.subscribe_quotes(self.name)

        def on_quote(self, quote):
            self.seen.append((quote.ts_init, str(quote.bid_price), str(quote.ask_price)))
            if len(self.seen) % every == 0:
                self.submit_order(self.order_factory.market(self.name, self.side, self.instrument.make_qty(size)))
                self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY

    return Trader


def before_it_leaves(change):
    """Call `change(result)` just before the answer is sent."""
    from ufos_sandbox.guest import worker

    encode = worker.encode

    def changed(message):
        if "result" in message:
            message["result"] = change(message["result"]) or message["result"]
        return encode(message)

    worker.encode = changed


def repair(result):
    """Make digests, counts and orders agree with the changed fills again."""
    import hashlib

    def digest(rows):
        found = hashlib.sha256()
        for row in rows:
            found.update("|".join(map(str, row)).encode())
        return found.hexdigest()

    for order in result["orders"]:
        own = [f for f in result["fills"] if f[2] == order[1]]
        if own:
            order[9] = order[6] = str(sum(int(float(f[8])) for f in own))
            order[10] = str(sum(float(f[7]) * float(f[8]) for f in own) / float(order[9]))
            order[11] = own[-1][0]
    result["hashes"] = {"orders": digest(result["orders"]), "fills": digest(result["fills"])}
    result["counts"] |= {"orders": len(result["orders"]), "fills": len(result["fills"])}
    return result


def settle(result, start=1_000_000):
    """Work out the balance that the changed fills would leave."""
    cash = held = cost = 0.0
    for fill in result["fills"]:
        price, signed = float(fill[7]), float(fill[8]) * (1 if fill[6] == "BUY" else -1)
        if held * signed >= 0:
            cost = (cost * abs(held) + price * abs(signed)) / abs(held + signed) if held + signed else 0.0
        else:
            closing = min(abs(held), abs(signed))
            cash += closing * (price - cost) * (1 if held > 0 else -1)
            if abs(signed) > abs(held):
                cost = price
        held += signed
        cash -= float(fill[10])
    result["balances"] = {"TEST": {"USD": f"{start + cash:.2f}"}}
    return result
