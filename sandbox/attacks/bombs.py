"""Attacks on the machine's capacity: each ends in a named state, in bounded time, with the host untouched."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.outcome import State
from ufos_sandbox.probes import program, question


@question("bombs")
def thread_bomb():
    """Threads end at the container's limit, far from the host's."""
    import threading

    stop, started = threading.Event(), 0
    try:
        for _ in range(500):
            threading.Thread(target=stop.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        return None
    finally:
        stop.set()
    return started


@question("bombs")
def open_file_bomb():
    """Open files end at the process's limit."""
    held = []
    try:
        for _ in range(5000):
            held.append(os.dup(0))
    except OSError:
        return None
    finally:
        for fd in held:
            os.close(fd)
    return len(held)


@question("bombs")
def fill_the_scratch_directory():
    """Nothing can be written there, so it can't be filled."""
    with open("/tmp/fill", "wb") as file:
        for _ in range(128):
            file.write(bytes(1 << 20))
    return "filled"


@question("bombs")
def inode_bomb():
    """Nor can it be filled with empty files."""
    for n in range(200_000):
        os.close(os.open(f"/tmp/{n}", os.O_CREAT | os.O_WRONLY))
    return "filled"


@question("bombs")
def sparse_file():
    """No file that looks like a terabyte can be left for the host to read."""
    with open("/tmp/sparse", "wb") as file:
        file.truncate(1 << 40)
    return "made"


@question("bombs")
def shared_memory_bomb():
    """There is no shared-memory directory to fill."""
    with open("/dev/shm/x", "wb") as file:
        file.write(bytes(64 << 20))
    return "filled"


@question("bombs")
def anonymous_file_bomb():
    """No file without a name can be made to fill memory with."""
    return os.memfd_create("x")


@program("bombs", State.OOM)
def memory_bomb():
    """Memory ends at the container's limit, which ends the worker and nothing else."""
    held = []
    while True:
        held.append(bytearray(b"x" * (8 << 20)))


@program("bombs", State.OOM)
def memory_bomb_in_small_pieces():
    """The same in millions of small objects."""
    held = []
    while True:
        held.append([object() for _ in range(10_000)])


@program("bombs", State.OOM, State.USER_ERROR)
def memory_at_once():
    """A terabyte at once is refused or ends the worker."""
    held = bytearray(1 << 40)


@program("bombs", State.OOM, State.TIMEOUT, wall_s=6)
def state_that_grows_with_every_quote():
    """A strategy that keeps ever more meets the memory limit too."""

    class Hoarder(Book):
        def on_start(self):
            self.held = []
            self.clock.set_timer_ns("grow", 1_000_000, callback=self.guard(self.grow))

        def grow(self, _):
            self.held.append(b"x" * 4_000_000)


@program("bombs", State.TIMEOUT, wall_s=1.5)
def endless_loop():
    """A loop without end is ended at the wall-clock limit."""
    while True:
        pass


@program("bombs", State.TIMEOUT, wall_s=1.5)
def endless_loop_in_many_threads():
    """Many busy threads get no more than the container's share, and end with it."""
    import threading

    def spin():
        while True:
            pass

    for _ in range(20):
        threading.Thread(target=spin, daemon=True).start()
    while True:
        pass


@program("bombs", State.TIMEOUT, State.USER_ERROR, wall_s=1.5)
def regular_expression_bomb():
    """A search that never ends is ended at the limit."""
    import re

    re.match(r"(a+)+$", "a" * 64 + "b")


@program("bombs", State.TIMEOUT, State.USER_ERROR, State.OOM, wall_s=3)
def number_bomb():
    """So is a number with too many digits."""
    found = 9**9**9**2


@program("bombs", State.USER_ERROR, State.OOM, State.TIMEOUT, wall_s=5)
def constant_that_explodes_in_the_compiler():
    """A constant the compiler would unfold does not reach the host, which never compiles foreign code."""
    found = ((((((1,) * 99,) * 99,) * 99,) * 99,) * 99,) * 99


@program("bombs", State.USER_ERROR, State.SEGV_OR_ABORT, State.OOM)
def recursion_bomb():
    """Endless recursion ends in an error."""

    def f():
        return f()

    f()


@program("bombs", State.USER_ERROR, State.SEGV_OR_ABORT, State.OOM)
def nested_source():
    """So does source nested deeper than the compiler goes."""
    exec("(" * 50_000 + ")" * 50_000)


@program("bombs", State.COMPLETED, text="!spam")
def flood_of_output():
    """What is printed leads nowhere and fills no log."""

    class Printer(Book):
        def on_start(self):
            for _ in range(20_000):
                print("spam" * 100)
                print("spam" * 100, file=sys.stderr)
            os.write(1, b"spam" * 10_000)
            os.write(2, b"spam" * 10_000)


@program("bombs", State.COMPLETED, text="!spam")
def flood_of_log_lines():
    """The engine's log leads nowhere either."""

    class Logger(Book):
        def on_start(self):
            for _ in range(20_000):
                self.log.warning("spam" * 50)


@program("bombs", State.OUTPUT_LIMIT, State.GUEST_PROTOCOL)
def flood_of_the_private_stream():
    """The stream to the host is cut at its limit."""
    while True:
        os.write(SINK, bytes([0, 16, 0, 0]) + b"x" * (1 << 20))


@program("bombs", State.OUTPUT_LIMIT)
def flood_of_progress():
    """So is a flood of well-formed messages."""
    message = b'{"progress":1}'
    while True:
        os.write(SINK, len(message).to_bytes(4, "big") + message)


@program("bombs", State.OUTPUT_LIMIT, State.OOM, wall_s=20)
def flood_of_orders():
    """A result with more orders than may leave is refused in the container already."""

    class Sender(Book):
        def on_start(self):
            name = InstrumentId.from_str("SIM.TEST")
            instrument = self.cache.instrument(name)
            for _ in range(60_000):
                order = self.order_factory.limit(
                    name, OrderSide.BUY, instrument.make_qty(1), instrument.make_price(0.01), post_only=True
                )
                self.submit_order(order)
                self.cancel_order(order.client_order_id)


@program("bombs", State.SEGV_OR_ABORT)
def core_dump():
    """A crash leaves no image of the memory behind and is named."""
    os.abort()


@program("bombs", State.SEGV_OR_ABORT)
def segmentation_fault():
    """So is a wild pointer."""
    ctypes.string_at(0)


@program("bombs", State.BAD_REQUEST, State.USER_ERROR, State.COMPLETED)
def many_timers():
    """Ten thousand timers cost the container's time only."""

    class Timers(Book):
        def on_start(self):
            for n in range(10_000):
                self.clock.set_time_alert_ns(f"t{n}", self.clock.timestamp_ns() + 1_000_000 * (n + 1), lambda _: None)
