"""Attacks through threads that were open before the locks, and through the engine's own parts."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.outcome import State
from ufos_sandbox.probes import program, question


@question("threads")
def catalog_reads_system_files():
    """The engine's catalog reads on threads of its own, older than the lock; they are bound by the first one."""
    from nautilus_trader.model import NautilusDataType
    from nautilus_trader.persistence import ParquetDataCatalog

    return (
        ParquetDataCatalog("/etc").query(NautilusDataType.QuoteTick, ["x"]) or ParquetDataCatalog("/proc").instruments()
    )


@question("threads")
def catalog_finds_the_slice():
    """Through those threads, too, the slice is gone."""
    from nautilus_trader.model import NautilusDataType
    from nautilus_trader.persistence import ParquetDataCatalog

    return ParquetDataCatalog("/tmp/slice").query(NautilusDataType.QuoteTick, ["SIM.TEST"])


@question("threads")
def catalog_writes_over_the_libraries():
    """Through those threads nothing but the scratch memory, which dies with the container, can be written."""
    from nautilus_trader.persistence import ParquetDataCatalog

    catalog = ParquetDataCatalog("/usr/local/lib/python3.13/site-packages")
    from nautilus_trader.model import Price, Quantity, QuoteTick

    one = Quantity.from_str("1")
    quote = QuoteTick(InstrumentId.from_str("SIM.TEST"), Price.from_str("1"), Price.from_str("2"), one, one, 1, 1)
    catalog.write_quote_ticks([quote])
    return "written"


@question("threads")
def engine_http_client():
    """The engine's own network client, on threads older than the lock, finds every socket shut."""
    import asyncio

    from nautilus_trader.adapters.bybit import BybitHttpClient

    class Loop(asyncio.SelectorEventLoop):
        def _make_self_pipe(self):
            self._ssock = self._csock = None
            self._internal_fds = 0

        def _close_self_pipe(self):
            pass

    async def ask():
        waking = asyncio.ensure_future(wake())
        answer = await asyncio.wait_for(BybitHttpClient().get_server_time(), 5)
        waking.cancel()
        return answer

    async def wake():
        while True:
            await asyncio.sleep(0.01)

    return Loop().run_until_complete(ask())


@question("threads")
def new_thread_reads_files():
    """Threads started after the lock are bound by it."""
    import threading

    found = []

    def read():
        try:
            found.append(open("/etc/passwd").read())
        except OSError:
            pass

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    return found


@question("threads")
def new_thread_forks():
    """And by the second filter."""
    import threading

    found = []

    def work():
        try:
            found.append(syscall(57))
        except OSError:
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


@question("threads")
def event_loop():
    """An asyncio loop needs sockets and finds none."""
    import asyncio

    return asyncio.run(asyncio.open_connection("1.1.1.1", 80))


@program("threads", State.SEGV_OR_ABORT, State.USER_ERROR, State.COMPLETED, State.NO_RESULT)
def engine_from_another_thread():
    """Touching the engine from another thread may crash the worker; that has a name, and no other effect."""
    import threading

    class Threaded(Book):
        def on_start(self):
            thread = threading.Thread(target=lambda: self.cache.orders())
            thread.start()
            thread.join()


@program("threads", State.USER_ERROR)
def around_the_gate():
    """Source that calls around the risk gate is refused, as it is outside."""
    from nautilus_trader.trading import Strategy

    class Bypass(Book):
        def on_start(self):
            Strategy.submit_order(self, None)


@program("threads", State.USER_ERROR)
def two_books():
    """Code that defines two books is refused with their names."""

    class One(Book):
        pass

    class Two(Book):
        pass


@program("threads", State.USER_ERROR)
def no_book():
    """Code that defines no book is refused."""
    found = 1
