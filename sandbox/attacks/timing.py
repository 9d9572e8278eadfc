"""Attacks on time limits and on the order in which things happen."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.outcome import State
from ufos_sandbox.probes import program


@program("timing", State.TIMEOUT, wall_s=1.5)
def sleep_for_ever():
    """A process that only sleeps uses no processor time and is ended all the same."""
    time.sleep(10_000)


@program("timing", State.TIMEOUT, wall_s=1.5)
def sleep_in_a_callback():
    """The same inside the engine."""

    class Sleeper(Book):
        def on_start(self):
            time.sleep(10_000)


@program("timing", State.TIMEOUT, wall_s=1.5)
def ignore_all_signals():
    """Signals that are ignored change nothing: the end is one that can't be."""
    import signal

    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    while True:
        pass


@program("timing", State.TIMEOUT, State.SEGV_OR_ABORT, wall_s=1.5)
def close_the_control_pipe():
    """Closing every descriptor, with the line to process 1 among them, keeps no container alive."""
    for fd in range(3, 256):
        try:
            os.close(fd)
        except OSError:
            continue
    while True:
        time.sleep(1)


@program("timing", State.TIMEOUT, wall_s=1.5)
def extend_the_deadline():
    """A second message to process 1 about the deadline is not heard."""
    import struct

    for fd in range(3, 200):
        try:
            os.write(fd, struct.pack(">d", 1e9))
        except OSError:
            continue
    while True:
        time.sleep(1)


@program("timing", State.TIMEOUT, wall_s=1.5)
def slow_drip():
    """A message that comes byte by byte does not outlast the limit."""
    os.write(SINK, (1 << 20).to_bytes(4, "big"))
    while True:
        os.write(SINK, b"x")
        time.sleep(0.2)


@program("timing", State.TIMEOUT, State.GUEST_PROTOCOL, wall_s=1.5)
def half_a_message():
    """Half a message and silence ends at the limit."""
    os.write(SINK, (1 << 20).to_bytes(4, "big") + b"{")
    time.sleep(10_000)


@program("timing", State.NO_RESULT)
def leave_quietly():
    """A process that ends without a result is named so."""
    os._exit(0)


@program("timing", State.NO_RESULT)
def leave_with_a_code():
    """Whatever the exit code says."""
    os._exit(137)


@program("timing", State.USER_ERROR)
def exit_in_a_callback():
    """An attempt to end Python from a callback is an error of the code, not a success."""

    class Leaver(Book):
        def on_start(self):
            sys.exit(0)


@program("timing", State.NO_RESULT, State.KILLED)
def kill_itself():
    """A worker that kills itself gives no result."""
    import signal

    signal.raise_signal(signal.SIGKILL)


@program("timing", State.COMPLETED)
def code_that_would_run_at_exit():
    """Nothing of the code runs once its result is out."""
    import atexit

    atexit.register(lambda: time.sleep(10_000))

    class Late:
        def __del__(self):
            time.sleep(10_000)

    held = Late()

    class Quiet(Book):
        def on_stop(self):
            self.late = held


@program("timing", State.COMPLETED)
def thread_that_goes_on():
    """A thread left running ends with the process."""
    import threading

    threading.Thread(target=lambda: time.sleep(10_000)).start()

    class Quiet(Book):
        pass


@program("timing", State.USER_ERROR, State.PARTIAL_RUN)
def stop_early():
    """A run that stopped before its data ended is not taken for a whole one."""

    class Stopper(Book):
        def on_start(self):
            self.subscribe_quotes(InstrumentId.from_str("SIM.TEST"))
            self.seen = 0

        def on_quote(self, quote):
            self.seen += 1
            if self.seen == 20:
                raise SystemExit


@program("timing", State.USER_ERROR, State.COMPLETED, text="!Traceback")
def swallow_every_error():
    """Errors that the code hides from itself hide nothing from the host."""

    class Careless(Book):
        def on_start(self):
            self.subscribe_quotes(InstrumentId.from_str("SIM.TEST"))

        def on_quote(self, quote):
            try:
                raise ValueError
            except ValueError:
                pass
