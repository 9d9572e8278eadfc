"""The kill switch's parts: the flag, signed datagrams, the few words of Redis, its directory, and who may be ended."""

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ufos_nautilus.engine import guard
from ufos_nautilus.engine.kill_switch import running_book
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import HALT_DATAGRAM_BYTES_MAX, HALT_NONCES_MAX, REDIS_REPLY_BYTES_MAX
from ufos_nautilus.risk.halt_flag import HaltFlag
from ufos_nautilus.risk.levels import ACTIVE, REDUCING
from ufos_nautilus.risk.redis_key import RedisKey, decode, encode
from ufos_nautilus.risk.switch import DATAGRAM_AGE_NS, DatagramReader, HaltRequest, SwitchHome, sign_datagram

KEY = bytes(range(32))
NOW = 1_700_000_000_000_000_000


def home(tmp_path: Path) -> SwitchHome:
    return SwitchHome(tmp_path / "switch")


def test_the_flag_is_seen_by_everybody_and_survives(tmp_path: Path) -> None:
    first, second = HaltFlag(tmp_path / "flag"), HaltFlag(tmp_path / "flag")
    first.halt()
    assert second.halted
    assert second.confirmed_ns == 0
    second.confirm(NOW)
    second.beat(NOW + 1)
    assert (first.confirmed_ns, first.beat_ns) == (NOW, NOW + 1)
    first.reduce()
    assert second.value == REDUCING
    first.close()
    second.close()
    third = HaltFlag(tmp_path / "flag")
    assert third.value == REDUCING
    third.lower()
    assert (third.value, third.confirmed_ns) == (ACTIVE, 0)
    third.reduce()
    assert third.value == ACTIVE, "an active flag is not lowered to reducing"
    assert (tmp_path / "flag").stat().st_mode & 0o777 == 0o600


def test_a_flag_file_with_another_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flag").write_bytes(b"\x07" + bytes(31))
    with pytest.raises(DataError, match="holds 7"):
        HaltFlag(tmp_path / "flag")


def test_a_signed_datagram_halts_once() -> None:
    reader = DatagramReader(KEY)
    datagram = sign_datagram(KEY, "smoke", NOW, flatten=True)
    assert reader.read(datagram, NOW + 5) == HaltRequest("udp", "smoke", True, NOW + 5)
    assert reader.read(datagram, NOW + 6) == "it came before"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d[:-1] + (b"0" if d[-1:] != b"0" else b"1"), "signed with another key"),
        (lambda d: d.replace(b"smoke", b"smoky"), "signed with another key"),
        (lambda d: d[: len(d) // 2], "signed with another key"),
        (lambda d: b"", "signed with another key"),
        (lambda d: b"x" * (HALT_DATAGRAM_BYTES_MAX + 1), "too long"),
        (lambda d: sign_datagram(bytes(32), "smoke", NOW), "signed with another key"),
        (lambda d: sign_datagram(KEY, "late", NOW - DATAGRAM_AGE_NS - 1), "its time is 30.0 s from now"),
        (lambda d: sign_datagram(KEY, "early", NOW + DATAGRAM_AGE_NS + 1), "its time is -30.0 s from now"),
    ],
    ids=["other mac", "other reason", "half", "nothing", "too long", "other key", "too old", "too early"],
)
def test_any_other_datagram_is_refused(change: Any, why: str) -> None:
    assert DatagramReader(KEY).read(change(sign_datagram(KEY, "smoke", NOW)), NOW) == why


def test_random_bytes_are_refused() -> None:
    reader = DatagramReader(KEY)
    for length in range(0, 400, 7):
        assert isinstance(reader.read(secrets.token_bytes(length), NOW), str)


def test_datagrams_are_remembered_up_to_a_limit() -> None:
    reader = DatagramReader(KEY)
    for number in range(HALT_NONCES_MAX):
        reader._seen[str(number)] = NOW  # as if each had come
    assert reader.read(sign_datagram(KEY, "one more", NOW), NOW) == "too many datagrams within a minute"
    later = NOW + 3 * DATAGRAM_AGE_NS
    assert isinstance(reader.read(sign_datagram(KEY, "later", later), later), HaltRequest)


def test_a_reason_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LimitExceededError, match="datagram"):
        sign_datagram(KEY, "x" * HALT_DATAGRAM_BYTES_MAX, NOW)


def test_the_directory_is_private_and_the_key_is_made_once(tmp_path: Path) -> None:
    made = home(tmp_path)
    assert made.path.stat().st_mode & 0o777 == 0o700
    assert made.key() == made.key()
    assert (made.path / "key").stat().st_mode & 0o777 == 0o600
    (made.path / "key").chmod(0o644)
    with pytest.raises(DataError, match="644"):
        made.key()
    (made.path / "key").chmod(0o600)
    (made.path / "key").write_text("short")
    with pytest.raises(DataError, match="no key"):
        made.key()
    made.path.chmod(0o755)
    with pytest.raises(DataError, match="755"):
        home(tmp_path)


def test_the_first_request_of_a_halt_is_kept_until_a_resume(tmp_path: Path) -> None:
    made = home(tmp_path)
    flag = made.flag()
    assert made.asked() is None
    made.ask(HaltRequest("cli", "first", False, 1), flag)
    made.ask(HaltRequest("udp", "second", True, 2), flag)
    found = made.asked()
    assert found is not None
    assert found.reason == "first"
    (made.path / "halt").write_text("by file")
    made.resume("a person", flag)
    assert (made.asked(), flag.value, made.resumed_by()) == (None, ACTIVE, "a person")
    assert not (made.path / "halt").exists()


def test_a_node_that_is_gone_is_not_signalled(tmp_path: Path) -> None:
    made = home(tmp_path)
    assert not made.wake()
    made.enter(os.getpid(), 1234)
    assert made.node() is not None
    (made.path / "node.json").write_text(json.dumps({"pid": os.getpid(), "started": "0", "port": 1}))
    assert made.node() is None, "another process has that number now"
    assert not made.wake()
    made.leave()


def test_redis_is_spoken_as_far_as_needed() -> None:
    assert encode("GET", "SYSTEM_HALT") == b"*2\r\n$3\r\nGET\r\n$11\r\nSYSTEM_HALT\r\n"
    assert decode(b"$-1\r\n") == (None, 5)
    assert decode(b"$4\r\nstop\r\nmore") == (b"stop", 10)
    assert decode(b"+OK\r\n") == (b"OK", 5)
    for part in (b"", b"$", b"$4\r\nst", b"$4\r\nstop"):
        assert decode(part) is None
    error = decode(b"-NOAUTH Authentication required.\r\n")
    assert error is not None
    assert "NOAUTH" in str(error[0])
    for wrong in (b"*2\r\n", b"$x\r\n", b"hello\r\n", b"$99999999999\r\n"):
        with pytest.raises(DataError, match="answered"):
            decode(wrong)


class Pipe:
    """A socket that has received something."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def recv(self, size: int) -> bytes:
        out, self.data = self.data[:size], self.data[size:]
        return out

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "asks"), [(b"1", True), (b"fire", True), (b"0", False), (b"", False), (b"false", False)]
)
def test_the_key_asks_for_a_halt_unless_it_says_no(value: bytes, asks: bool) -> None:
    key = RedisKey("redis://localhost")
    key.socket = Pipe(b"$%d\r\n%s\r\n" % (len(value), value))  # type: ignore[assignment]
    assert key.read() == (value if asks else None)


def test_a_redis_that_talks_without_end_is_cut_off() -> None:
    key = RedisKey("redis://localhost")
    key.socket = Pipe(b"$999999999\r\n" + b"x" * (2 * REDIS_REPLY_BYTES_MAX))  # type: ignore[assignment]
    with pytest.raises(DataError, match="Redis sent"):
        for _ in range(100):
            key.read()


@pytest.mark.parametrize("url", ["http://x", "redis://", "redis://h/x", "nonsense"])
def test_what_is_no_address_of_redis_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match="no Redis address"):
        RedisKey(url)


def test_only_a_books_own_code_inside_a_callback_may_be_ended() -> None:
    seen: list[Any] = []

    class Thing(guard.Guarded):
        def on_quote(self, quote: Any) -> None:
            seen.append(running_book(sys._getframe()))

    thing = Thing()
    thing.on_quote(None)
    assert seen == [thing]
    assert running_book(sys._getframe()) is None
    assert running_book(None) is None
    assert time.time_ns() > NOW
