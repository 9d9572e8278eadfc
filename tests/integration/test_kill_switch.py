"""The kill switch against a live node with the sandbox execution client: every trigger, a book that never comes back.

The suite asks that it works, with a few orders; `ufos drill kill-switch --rounds 100 --require` measures how fast.
"""

import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Cli
from ufos_nautilus.cli.drill_switch import kill_switch
from ufos_nautilus.crossing.chain import ChainReader, Seal
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.limits import DRILL_ORDERS_MAX, DRILL_ROUNDS_MAX
from ufos_nautilus.risk.halt_flag import HaltFlag
from ufos_nautilus.risk.switch import SwitchHome, sign_datagram

GENEROUS_MS = 5_000.0


def drill(triggers: list[str], modes: list[str], tmp_path: Path, orders: int = 60) -> list[str]:
    rounds: list[int] = []
    found = kill_switch(orders, 1, triggers, modes, "", rounds.append)
    rows = found["rows"]
    assert len(rounds) == len(rows)
    assert all(0 < r.handed_ms <= r.acknowledged_ms < GENEROUS_MS for r in rows), rows
    assert [r.heard_as for r in rows] == [r.trigger for r in rows]
    assert all(r.ended >= 1 for r in rows if r.strategy == "stuck"), "a stuck callback has to be ended"
    record = tmp_path / "risk.jsonl"
    record.write_bytes(found["record_bytes"])
    end = found["record"]
    what = [r["what"] for r in ChainReader(record, expect=Seal(end["records"], end["head"]))]
    assert what.count("halt") == what.count("resume") == len(rows) + 1
    return what


def test_datagram_file_and_command_halt_a_strategy_that_is_idle_or_stuck(tmp_path: Path) -> None:
    what = drill(["udp", "file", "cli"], ["idle", "stuck"], tmp_path)
    assert what.count("switch_trigger") == 5, "the command raises the flag itself"


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server")
def test_the_key_of_redis_and_a_loss_halt_a_busy_strategy(tmp_path: Path) -> None:
    drill(["redis", "loss_window"], ["busy"], tmp_path)


def test_a_drill_has_limits() -> None:
    for orders, rounds in ((0, 1), (DRILL_ORDERS_MAX + 1, 1), (1, DRILL_ROUNDS_MAX + 1)):
        with pytest.raises(SpecError, match="orders"):
            kill_switch(orders, rounds, ["udp"], ["idle"], "", lambda n: None)


# the listener alone


class Listener:
    """A sentinel whose node is a process that waits."""

    def __init__(self, home: SwitchHome, *more: str) -> None:
        code = (
            "import signal, subprocess, sys\n"
            "signal.signal(signal.SIGUSR1, lambda *_: None)\n"
            f"p = subprocess.Popen([sys.executable, '-m', 'ufos_nautilus.risk.sentinel', {str(home.path)!r},"
            f" *{list(more)!r}])\n"
            "sys.stdin.read()\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.said = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> str:
        out, _ = self.process.communicate("", timeout=20)
        return out


def test_the_listener_refuses_what_is_not_signed_tells_so_and_ends_with_its_node(tmp_path: Path) -> None:
    import json
    import socket

    home = SwitchHome(tmp_path / "switch")
    listener = Listener(home)
    port = json.loads(listener.said)["port"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(sign_datagram(bytes(32), "not me", time.time_ns()), ("127.0.0.1", port))
        refused = json.loads(listener.line())
        assert (refused["what"], refused["reason"]) == ("refused", "signed with another key")
        assert not home.flag().halted
        sender.sendto(sign_datagram(home.key(), "fire", time.time_ns()), ("127.0.0.1", port))
    trigger = json.loads(listener.line())
    assert (trigger["what"], trigger["source"], trigger["reason"]) == ("trigger", "udp", "fire")
    until = time.monotonic() + 5
    while not home.flag().halted and time.monotonic() < until:
        pass
    assert home.flag().halted
    listener.end()


def test_a_loop_that_stands_still_halts(tmp_path: Path) -> None:
    import json

    home = SwitchHome(tmp_path / "switch")
    home.flag().beat(time.time_ns())
    listener = Listener(home, "--stall-s", "0.1")
    trigger = json.loads(listener.line())
    assert trigger["source"] == "stall"
    listener.end()


def test_a_lost_redis_is_told_and_does_not_halt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.setenv("UFOS_REDIS_URL", "redis://127.0.0.1:1")
    home = SwitchHome(tmp_path / "switch")
    listener = Listener(home, "--redis")
    assert json.loads(listener.line())["state"] == "lost"
    assert not home.flag().halted
    listener.end()


# the commands


def test_halting_without_a_node_holds_for_the_next_one(cli: Cli, tmp_path: Path) -> None:
    env = {"UFOS_SWITCH": str(tmp_path / "switch")}
    done = cli("halt", "--reason", "before the open", "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert done.json == {"halted": True, "was_halted": False, "node": False, "confirmed": None}
    assert HaltFlag(tmp_path / "switch" / "flag.bin").halted
    assert cli("halt", "--json", env=env).json["was_halted"] is True


def test_a_halt_that_can_not_be_asked_for_says_why(cli: Cli, tmp_path: Path) -> None:
    env = {"UFOS_SWITCH": str(tmp_path / "switch")}
    without_key = cli("halt", "--to", "localhost:9", env=env)
    assert without_key.returncode == 2
    assert "there is no key" in without_key.stderr
    SwitchHome(tmp_path / "switch").key()
    for words, problem in ((["--reason", "x" * 300], "300 characters"), (["--to", "nowhere"], "no address")):
        done = cli("halt", *words, env=env)
        assert done.returncode == 2
        assert problem in done.stderr


def test_a_folder_that_others_may_use_keeps_nobody_from_halting(cli: Cli, tmp_path: Path) -> None:
    SwitchHome(tmp_path / "switch")
    (tmp_path / "switch").chmod(0o755)
    done = cli("halt", "--reason", "now", env={"UFOS_SWITCH": str(tmp_path / "switch")})
    assert done.returncode == 0
    assert "chmod 700" in done.stderr
    assert HaltFlag(tmp_path / "switch" / "flag.bin").halted


def test_halts_and_resumes_are_on_record_without_a_node(cli: Cli, tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    for reason in ("first", "second"):
        assert cli("halt", "--reason", reason, env={"UFOS_SWITCH": str(switch)}).returncode == 0
    assert "trading goes on" in at_a_terminal(switch, "phrase")
    records = list(ChainReader(switch / "switch.jsonl", need_seal=False))
    assert [(r["what"], r["reason"]) for r in records] == [("halt", "first"), ("halt", "second"), ("resume", "first")]
    assert records[2]["who"]
    (switch / "halt").touch()
    assert "halts every node" in at_a_terminal(switch, "phrase")
    assert not (switch / "halt").exists()


def test_no_program_resumes(cli: Cli, tmp_path: Path) -> None:
    env = {"UFOS_SWITCH": str(tmp_path / "switch")}
    cli("halt", env=env)
    done = cli("resume", env=env)
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert HaltFlag(tmp_path / "switch" / "flag.bin").halted


def at_a_terminal(switch: Path, answer: str) -> str:
    """Run `ufos resume` at a terminal and type what it asks for, or something else."""
    ours, theirs = pty.openpty()
    env = os.environ | {"UFOS_SWITCH": str(switch), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ufos_nautilus.cli", "resume"], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    said = ""
    try:
        while ">" not in said:
            said += os.read(ours, 1024).decode()
        phrase = said.partition("type: ")[2].splitlines()[0].strip()
        os.write(ours, ((phrase if answer == "phrase" else answer) + "\n").encode())
        while True:
            said += os.read(ours, 1024).decode()
    except OSError:  # the terminal is gone with the process
        pass
    finally:
        os.close(ours)
        process.wait(20)
    return said


def test_a_person_resumes_by_typing_what_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    switch = tmp_path / "switch"
    cli("halt", "--reason", "smoke", env={"UFOS_SWITCH": str(switch)})
    said = at_a_terminal(switch, "resume trading")
    assert "halted by cli" in said
    assert "smoke" in said
    assert HaltFlag(switch / "flag.bin").halted, "the words alone are not enough: they change every time"
    assert "trading goes on" in at_a_terminal(switch, "phrase")
    assert not HaltFlag(switch / "flag.bin").halted
    assert SwitchHome(switch).resumed_by()


def test_a_node_that_can_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", shutil.which("false") or "/bin/false")
    with pytest.raises(RunFailedError, match="node ended"):
        kill_switch(10, 1, ["udp"], ["idle"], "", lambda n: None)
