"""Whatever dies, no container outlives its deadline by more than seconds, and every run ends in one named state."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_daemon import Daemon, private_daemon
from tests.sandbox_engine import TURN, own_containers, wait_for
from ufos_nautilus.limits import SANDBOX_GRACE_S
from ufos_sandbox.backend import DockerBackend, boot_id, owner
from ufos_sandbox.engine_api import DEADLINE_LABEL, OWNER_LABEL, PROJECT_LABEL, Api, connect
from ufos_sandbox.image.build import image_name
from ufos_sandbox.limits import Limits
from ufos_sandbox.outcome import State
from ufos_sandbox.pool import Pool
from ufos_sandbox.reaper import reap
from ufos_sandbox.samples import INSTRUMENT
from ufos_sandbox.stream import Stream

pytest_plugins = ["tests.sandbox_fixtures"]
pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
HOST = Path(__file__).resolve().parents[1] / "sandbox_host.py"
SLEEP = "import time\ntime.sleep(10_000)\n"
PARAMS = {"instrument_id": INSTRUMENT}
SOAK_RUNS = int(os.environ.get("UFOS_SOAK_RUNS", "8"))
RSS_MB_MAX = 500
"""A host process that runs sandboxes stays below this, however many it has run."""
DISK_GROWTH_MB_MAX = 20


class Host:
    """A process that runs sandboxes when told to."""

    def __init__(self, catalog: Path, url: str | None = None) -> None:
        environment = os.environ | ({"DOCKER_HOST": url} if url else {})
        self.process = subprocess.Popen(
            [sys.executable, str(HOST), str(catalog)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        assert self.stdout.readline() == "ready\n", self.process.stderr and self.process.stderr.read()

    def ask(self, code: str, params: dict[str, Any], truncations: int = 0) -> None:
        self.stdin.write(json.dumps({"code": code, "params": params, "truncations": truncations}) + "\n")
        self.stdin.flush()

    def answer(self) -> dict[str, Any]:
        line = self.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return json.loads(line)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def close(self) -> None:
        self.stdin.close()
        self._end()

    def _end(self) -> None:
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def all_containers(api: Api) -> int:
    return len(api.own_containers())


def of_process(api: Api, pid: int) -> list[Any]:
    return [c for c in api.own_containers() if c["Labels"][OWNER_LABEL].split(":")[1] == str(pid)]


def test_a_host_that_is_killed_leaves_no_container(image, quotes):
    host = Host(quotes.catalog)
    host.ask(SLEEP, {})
    assert wait_for(lambda: len(of_process(image, host.process.pid)) >= 2, 20), "a warm one and the working one"
    time.sleep(0.3)
    host.kill()
    assert wait_for(lambda: not of_process(image, host.process.pid), 10)


def test_a_container_that_nobody_uses_ends_itself(image):
    pool = Pool(DockerBackend(image), Limits(idle_s=5), 0)
    container, _ = pool.acquire()
    started = time.monotonic()
    assert wait_for(container.stream.readable_now, 15)
    kind, content = container.stream.receive(time.monotonic() + 5)
    assert (kind, getattr(content, "reason", "")) == ("end", "idle")
    assert time.monotonic() - started < 10
    assert wait_for(lambda: not own_containers(image))
    container.discard()


def test_a_container_ends_itself_at_its_deadline_though_the_host_waits_on(image, sandbox, quotes, monkeypatch):
    """The host is made to wait far longer than the deadline it told; process 1 ends the run all the same."""
    from ufos_sandbox import attempt

    real = attempt.Request.frames

    def patient(self: Any, cpu_s: int) -> list[bytes]:
        short = attempt.Request(code=self.code, spec=self.spec, part=self.part, wall_s=1.0, end_ns=self.end_ns)
        return real(short, cpu_s)

    monkeypatch.setattr(attempt.Request, "frames", patient)
    started = time.monotonic()
    result = sandbox.run(SLEEP, quotes, wall_s=15)
    assert result.state is State.TIMEOUT
    assert result.failure is not None
    assert "ended at its deadline" in result.failure.message
    assert time.monotonic() - started < 1 + SANDBOX_GRACE_S + 4


def test_a_container_that_is_killed_from_outside_has_a_state(image, sandbox, quotes):
    import threading

    results: list[Any] = []
    known = {c["Id"] for c in own_containers(image)}
    thread = threading.Thread(target=lambda: results.append(sandbox.run("while True:\n    pass\n", quotes)))
    thread.start()
    time.sleep(1)
    for container in own_containers(image):
        if container["Id"] in known or not known:
            image.client.kill(container["Id"])
    thread.join()
    assert results[0].state in (State.KILLED, State.START_TIMEOUT, State.DAEMON_ERROR)
    assert sandbox.run(TURN, quotes, PARAMS, truncations=0).state is State.COMPLETED


def made(api: Api, owned_by: str, deadline: float) -> str:
    """A container that was made and never started, as a host leaves that is killed in between."""
    labels = {PROJECT_LABEL: "1", OWNER_LABEL: owned_by, DEADLINE_LABEL: f"{deadline:.0f}"}
    config = {"Image": image_name(), "Cmd": ["1", "1", "1"], "Labels": labels}
    return api.client.create_container_from_config(config)["Id"]


def test_the_reaper_takes_what_nobody_owns_and_leaves_what_somebody_does(image):
    soon, gone = time.time() + 600, f"{boot_id()}:999999:1"
    orphan, late = made(image, gone, soon), made(image, owner(), time.time() - 1)
    mine, elsewhere = made(image, owner(), soon), made(image, "other-boot:1:1", soon)
    other = image.client.create_container_from_config({"Image": image_name(), "Cmd": ["1", "1", "1"]})["Id"]
    try:
        removed = {r.id: r.why for r in reap(image)}
        assert removed.get(orphan[:12]) == "its owner is gone"
        assert removed.get(late[:12]) == "past its deadline"
        assert not {mine[:12], elsewhere[:12], other[:12]} & set(removed)
        assert elsewhere[:12] in {r.id for r in reap(image, everything=True)}
        image.client.inspect_container(other)
    finally:
        for container_id in (mine, elsewhere, other):
            image.remove_container(container_id)


def test_nothing_accumulates_in_the_engine(image, sandbox, quotes):
    images = len(image.client.images())
    volumes = len(image.client.volumes()["Volumes"] or [])
    for _ in range(3):
        assert sandbox.run(TURN, quotes, PARAMS, truncations=0).state is State.COMPLETED
    assert sandbox.pool.wait_full(30)
    assert wait_for(lambda: len(own_containers(image)) <= sandbox.pool.size)
    assert len(image.client.images()) == images
    assert len(image.client.volumes()["Volumes"] or []) == volumes


def test_a_stream_can_be_closed_twice():
    import socket

    ours, theirs = socket.socketpair()
    stream = Stream(ours, framed=False)
    stream.close()
    stream.close()
    theirs.close()


@pytest.fixture(scope="module")
def daemon(image) -> Iterator[Daemon]:
    """A daemon of the tests' own with the image in it."""
    made_daemon = private_daemon()
    with connect(made_daemon.url, 300) as own:
        own.client.load_image(image.client.get_image(image_name()))
        assert own.image_id(image_name())
    yield made_daemon
    made_daemon.stop()


@pytest.mark.timeout(7200)
def test_runs_in_a_row_with_random_kills_leave_nothing_and_end_in_named_states(daemon, quotes):
    """Random kills of host and daemon; UFOS_SOAK_RUNS sets how many runs."""
    rng, states, rss = random.Random(5), Counter[str](), []
    host = Host(quotes.catalog, daemon.url)
    first_disk = 0.0
    for n in range(SOAK_RUNS):
        code, params = rng.choice([(TURN, PARAMS), (TURN, PARAMS), ("1 / 0", {}), (SLEEP.replace("10_000", "1"), {})])
        fate = rng.choices(["none", "host", "daemon"], [3, 1, 1])[0]
        host.ask(code, params)
        if fate != "none":
            time.sleep(rng.uniform(0.0, 0.8))
        if fate == "host":
            host.kill()
            states["host killed"] += 1
            host = Host(quotes.catalog, daemon.url)
        else:
            if fate == "daemon":
                daemon.kill()
            told = host.answer()
            states[told["state"]] += 1
            rss.append(host.rss_mb())
            if fate == "daemon":
                daemon.start()
        if n == min(5, SOAK_RUNS - 1):
            first_disk = daemon.disk_mb()
    host.close()
    with connect(daemon.url) as api:
        assert wait_for(lambda: all_containers(api) == 0, 30), api.own_containers()
    assert wait_for(lambda: daemon.container_folders() == 0, 10)
    print(dict(states), f"rss {min(rss):.0f} to {max(rss):.0f} MB, disk {first_disk:.0f} -> {daemon.disk_mb():.0f} MB")
    assert states.total() == SOAK_RUNS
    assert set(states) <= {s.value for s in State} | {"host killed"}
    assert max(rss) < RSS_MB_MAX
    assert daemon.disk_mb() - first_disk < DISK_GROWTH_MB_MAX
    assert wait_for(lambda: not working(daemon), 30), "processes of containers are still there"


def working(daemon: Daemon) -> list[int]:
    """Processes of containers of this daemon: children of its shims.

    A shim without a container may stay behind where containerd is killed while it starts one; it holds nothing.
    """
    return [pid for shim in daemon.shims() for pid in children(shim)]


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(text) for text in task.read_text().split()]
    return found
