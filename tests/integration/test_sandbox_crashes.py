"""Whatever dies, no container outlives its deadline by more than seconds, and every run ends in one named state."""

import contextlib
import time
from typing import Any

import pytest

from tests.sandbox_engine import TURN, own_containers, wait_for
from ufos_sandbox.backend import DockerBackend, boot_id, owner
from ufos_sandbox.engine_api import DEADLINE_LABEL, OWNER_LABEL, PROJECT_LABEL, Api, SandboxUnavailableError
from ufos_sandbox.image.build import image_name
from ufos_sandbox.limits import Limits
from ufos_sandbox.outcome import State
from ufos_sandbox.pool import Pool
from ufos_sandbox.reaper import reap, why_remove
from ufos_sandbox.samples import INSTRUMENT
from ufos_sandbox.soak import soak
from ufos_sandbox.soak.host import Host
from ufos_sandbox.stream import Stream

pytest_plugins = ["tests.sandbox_fixtures"]
pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
SLEEP = "import time\ntime.sleep(10_000)\n"
PARAMS = {"instrument_id": INSTRUMENT}
SOAK_RUNS = 6


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
    assert time.monotonic() - started < 14
    assert wait_for(lambda: container.id not in {c["Id"] for c in own_containers(image)})
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
    assert time.monotonic() - started < 12


def test_a_container_that_is_killed_from_outside_has_a_state(image, sandbox, quotes):
    import threading

    import docker.errors

    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(sandbox.run("while True:\n    pass\n", quotes)))
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        for container in own_containers(image):
            with contextlib.suppress(docker.errors.APIError):  # one that has ended already
                image.client.kill(container["Id"])
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
        labels = {c["Id"]: c["Labels"] for c in image.own_containers() if c["Id"] in (orphan, late)}
        for container_id, why in ((orphan, "its owner is gone"), (late, "past its deadline")):
            # Another process that starts a sandbox meanwhile may have been quicker.
            assert container_id not in labels or why_remove(labels[container_id], "created") == why
        reap(image)
        left = {c["Id"] for c in image.own_containers()}
        assert {mine, elsewhere, other} <= left
        assert not {orphan, late} & left
    finally:
        for container_id in (mine, elsewhere, other):
            image.remove_container(container_id)


def test_the_reaper_takes_all_of_other_owners_only_where_it_is_asked_to():
    deadline = f"{time.time() + 600:.0f}"
    of_others = {OWNER_LABEL: "other-boot:1:1", DEADLINE_LABEL: deadline}
    assert why_remove(of_others, "running") == ""
    assert why_remove(of_others, "running", everything=True) == "asked for"
    assert why_remove({OWNER_LABEL: owner(), DEADLINE_LABEL: deadline}, "running", everything=True) == ""
    assert why_remove({}, "running", everything=True) == "", "not the product's to remove"


def test_a_stream_can_be_closed_twice():
    import socket

    ours, theirs = socket.socketpair()
    stream = Stream(ours, framed=False)
    stream.close()
    stream.close()
    theirs.close()


def test_runs_in_a_row_with_random_kills_leave_nothing_and_end_in_named_states(image):
    """The full size of this is `ufos sandbox soak --runs 500`."""
    try:
        report = soak(SOAK_RUNS)
    except SandboxUnavailableError as error:
        pytest.skip(error.problem[:300])
    assert report.problems == [], report
    assert not any(report.left.values())
    assert sum(report.states.values()) == SOAK_RUNS
    assert report.kills.keys() == {"host", "daemon"}
