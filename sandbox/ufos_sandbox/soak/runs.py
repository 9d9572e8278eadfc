"""Runs in a row with random kills, then counts what is left: containers, processes, memory, disk."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ufos_sandbox.engine_api import BUILD_TIMEOUT_S, Api, connect
from ufos_sandbox.image.build import build, image_name
from ufos_sandbox.outcome import State
from ufos_sandbox.samples import INSTRUMENT, sample_catalog
from ufos_sandbox.soak.daemon import Daemon, private_daemon
from ufos_sandbox.soak.host import Host

TURN = """
from nautilus_trader.model import InstrumentId, OrderSide
from ufos_nautilus.engine import Book, BookConfig


class TurnConfig(BookConfig):
    instrument_id: str


class Turn(Book):
    Config = TurnConfig

    def on_start(self):
        self.name = InstrumentId.from_str(self.params.instrument_id)
        self.instrument = self.cache.instrument(self.name)
        self.seen, self.side = 0, OrderSide.BUY
        self.subscribe_quotes(self.name)

    def on_quote(self, quote):
        self.seen += 1
        if self.seen % 100 == 0:
            self.submit_order(self.order_factory.market(self.name, self.side, self.instrument.make_qty(1)))
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
"""
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    (TURN, {"instrument_id": INSTRUMENT}),
    (TURN, {"instrument_id": INSTRUMENT}),
    ("1 / 0", {}),
    ("import time\ntime.sleep(1)\n", {}),
    ("blocks = []\nwhile True:\n    blocks.append(bytearray(1 << 24))\n", {}),
)
"""Honest twice, an error, one that sleeps without a book, one that takes all memory."""
FATES = (("none", 3), ("host", 1), ("daemon", 1))
HOST_KILLED = "host killed"
KILL_WITHIN_S = 0.8
STEADY_SHARE = 10
"""One run in so many comes at the end, in one host process and without kills, to see whether its memory grows."""
WARMING = 5
"""Runs after which disk and memory are first looked at."""
GONE_WITHIN_S, ENGINE_SETTLES_WITHIN_S = 45.0, 3.0
KILLS_PER_LEFTOVER = 10
"""At most one kill of the daemon in so many leaves something of its own behind."""
RSS_MB_MAX = 500
RSS_GROWTH_MB_MAX = 30
DISK_GROWTH_MB_MAX = 20


@dataclass(slots=True)
class SoakReport:
    """What happened, and what was left at the end."""

    runs: int
    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    """Runs by the state they ended in; ``host killed`` where the process that would tell is gone."""
    steady_runs: int = 0
    host_rss_mb: dict[str, float] = field(default_factory=dict)
    """Highest of all, and first and last of the steady host."""
    disk_mb: dict[str, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """Containers and their processes; images and volumes above those at the start."""
    engine_left: dict[str, int] = field(default_factory=dict)
    """What a daemon that was killed halfway forgot, its own to clear: folders of a few kB, starts that never began."""
    elapsed_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def soak(runs: int, seed: int = 5, *, say: Callable[[int], None] = lambda _: None) -> SoakReport:
    """Make runs in a row on a daemon of their own; kill it, or the host process, at random.

    Parameters
    ----------
    runs : int
        How many.
    seed : int
        Of kills and kinds of code.
    say : callable
        Gets the number of runs done.

    Returns
    -------
    SoakReport
        With ``problems`` where anything was left or a run ended in no named state.

    Raises
    ------
    SandboxUnavailableError
        There is no engine, or no second daemon can be started.

    """
    report, started = SoakReport(runs, seed), time.monotonic()
    with connect(timeout_s=BUILD_TIMEOUT_S) as machine:
        build(machine)
        daemon = private_daemon()
        try:
            _soak(machine, daemon, report, say)
        finally:
            daemon.stop()
    report.elapsed_s = round(time.monotonic() - started, 1)
    return report


def _soak(machine: Api, daemon: Daemon, report: SoakReport, say: Callable[[int], None]) -> None:
    with connect(daemon.url, BUILD_TIMEOUT_S) as api:
        api.client.load_image(machine.client.get_image(image_name()))
        before = _kept(api)
    steady = report.runs // STEADY_SHARE
    with tempfile.TemporaryDirectory() as scratch:
        catalog = sample_catalog(Path(scratch) / "market")
        _with_kills(daemon, catalog, report, report.runs - steady, say)
        _without_kills(daemon, catalog, report, steady, say)
    report.disk_mb["last"] = daemon.disk_mb()
    _count(daemon, report, before)
    _judge(report)


def _with_kills(daemon: Daemon, catalog: Path, report: SoakReport, runs: int, say: Callable[[int], None]) -> None:
    rng, states, kills, highest = random.Random(report.seed), Counter[str](), Counter[str](), 0.0  # noqa: S311
    host = Host(catalog, daemon.url)
    try:
        for n in range(runs):
            code, params = rng.choice(KINDS)
            fate = rng.choices([name for name, _ in FATES], [weight for _, weight in FATES])[0]
            host.ask(code, params)
            if fate != "none":
                kills[fate] += 1
                time.sleep(rng.uniform(0.0, KILL_WITHIN_S))
            if fate == "host":
                host.kill()
                states[HOST_KILLED] += 1
                host = Host(catalog, daemon.url)
            else:
                if fate == "daemon":
                    daemon.kill()
                states[host.answer()["state"]] += 1
                highest = max(highest, host.rss_mb())
                if fate == "daemon":
                    daemon.start()
            if n == min(WARMING, runs - 1):
                report.disk_mb["first"] = daemon.disk_mb()
            say(n + 1)
    finally:
        host.close()
    report.states, report.kills = dict(states), dict(kills)
    report.host_rss_mb["highest"] = round(highest, 1)


def _without_kills(daemon: Daemon, catalog: Path, report: SoakReport, runs: int, say: Callable[[int], None]) -> None:
    states = Counter(report.states)
    with Host(catalog, daemon.url) as host:
        for n in range(runs):
            host.ask(*KINDS[n % len(KINDS)])
            states[host.answer()["state"]] += 1
            if n == min(WARMING, runs - 1):
                report.host_rss_mb["steady, first"] = round(host.rss_mb(), 1)
            say(report.runs - runs + n + 1)
        if runs:
            report.host_rss_mb["steady, last"] = round(host.rss_mb(), 1)
    report.states, report.steady_runs = dict(states), runs


def _kept(api: Api) -> dict[str, int]:
    return {"images": len(api.client.images(all=True)), "volumes": len(api.client.volumes()["Volumes"] or [])}


def _count(daemon: Daemon, report: SoakReport, before: dict[str, int]) -> None:
    """Count what is left, once what still ends has had its time."""
    with connect(daemon.url) as api:
        started = time.monotonic()
        while True:
            working = daemon.working()
            begun = [pid for pid in working if not daemon.never_began(pid)]
            report.left = {
                "containers": len(api.client.containers(all=True)),
                "processes": len(begun),
                **{name: now - before[name] for name, now in _kept(api).items()},
            }
            report.engine_left = {
                "folders": daemon.container_folders(),
                "shims": len(daemon.shims()),
                "processes that never began": len(working) - len(begun),
                "control groups": daemon.groups(),
                "mounts": sum("/overlay2/" in where for where in daemon.mounts()),
            }
            waited = time.monotonic() - started
            settled = not any(report.engine_left.values()) or waited > ENGINE_SETTLES_WITHIN_S
            if (settled and not any(report.left.values())) or waited > GONE_WITHIN_S:
                return
            time.sleep(0.2)


def _judge(report: SoakReport) -> None:
    named = {state.value for state in State} | {HOST_KILLED}
    report.problems += [f"{n} runs ended in {name!r}" for name, n in report.states.items() if name not in named]
    if sum(report.states.values()) != report.runs:
        report.problems.append(f"{sum(report.states.values())} of {report.runs} runs ended in a state")
    report.problems += [f"{n} {name} left" for name, n in report.left.items() if n]
    most = max(2, report.kills.get("daemon", 0) // KILLS_PER_LEFTOVER)
    for name in ("folders", "shims", "mounts"):
        if report.engine_left[name] > most:
            report.problems.append(f"the engine left {report.engine_left[name]} {name}")
    rss = report.host_rss_mb
    if rss["highest"] > RSS_MB_MAX:
        report.problems.append(f"a host process grew to {rss['highest']} MB")
    growth = rss.get("steady, last", 0.0) - rss.get("steady, first", 0.0)
    if growth > RSS_GROWTH_MB_MAX:
        report.problems.append(f"the steady host process grew by {growth:.0f} MB")
    grown = report.disk_mb["last"] - report.disk_mb["first"]
    if grown > DISK_GROWTH_MB_MAX:
        report.problems.append(f"the daemon's storage grew by {grown:.0f} MB")
