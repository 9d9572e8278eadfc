"""The host's end of a container's stream holds its limits against whatever comes out."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ufos_nautilus.limits import (
    SANDBOX_FRAME_BYTES_MAX,
    SANDBOX_FRAMES_MAX,
    SANDBOX_MESSAGE_CHARS_MAX,
    SANDBOX_OUTPUT_BYTES_MAX,
)
from ufos_sandbox.messages import Number, ProtocolError, Ready, clean
from ufos_sandbox.stream import (
    CancelledError,
    DeadlineError,
    Stream,
    StreamEndError,
    TooMuchOutputError,
)

READY = {"ready": {"protocol": 1, "landlock": 7, "import_ms": 1.5}}


@pytest.fixture
def ends() -> Iterator[tuple[Stream, socket.socket]]:
    host, guest = socket.socketpair()
    stream = Stream(host, framed=False)
    yield stream, guest
    stream.close()
    guest.close()


def frame(value: Any) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack(">I", len(body)) + body


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_a_message_arrives_whole_though_it_comes_in_pieces(ends):
    stream, guest = ends
    data = frame(READY) + frame({"progress": 7})
    for byte in data:
        guest.send(bytes([byte]))
    assert stream.receive(soon()) == ("ready", Ready(protocol=1, landlock=7, import_ms=1.5))
    assert stream.receive(soon()) == ("progress", 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"progress":NaN}',
        b'{"progress":1e400}',
        b'{"progress":1.5}',
        b'{"progress":"1"}',
        b'{"progress":-1}',
        b'{"progress":true}',
        b'{"progress":1,"command":"x"}',
        b'{"progress":1,"refused":"x"}',
        b'{"progress":' + b"9" * 100_000 + b"}",
        b"[" * 500_000,
        b'{"result":{}}',
        b'{"error":{"phase":"other","type":"x","message":"x","line":1}}',
        b'{"error":{"phase":"run","type":"x","message":"x","line":-1}}',
        b"\x80\x04\x95",
        b"\xff\xfe",
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_what_is_no_message_is_refused(ends, body):
    stream, guest = ends
    sender = threading.Thread(target=guest.sendall, args=(frame(body),))
    sender.start()
    with pytest.raises(ProtocolError):
        stream.receive(soon())
    sender.join()


def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(ends):
    stream, guest = ends
    guest.send(struct.pack(">I", SANDBOX_FRAME_BYTES_MAX + 1))
    with pytest.raises(TooMuchOutputError):
        stream.receive(soon())


def test_a_flood_of_small_messages_is_cut(ends):
    stream, guest = ends
    sender = threading.Thread(target=guest.sendall, args=(frame({"progress": 1}) * (SANDBOX_FRAMES_MAX + 1),))
    sender.start()
    for _ in range(SANDBOX_FRAMES_MAX):
        stream.receive(soon())
    with pytest.raises(TooMuchOutputError):
        stream.receive(soon())
    sender.join()


def test_bytes_are_counted_over_all_messages(ends):
    stream, guest = ends
    body = json.dumps({"refused": "x" * 8_000}).encode()
    rounds = SANDBOX_OUTPUT_BYTES_MAX // len(body) + 2
    sender = threading.Thread(target=_send_quietly, args=(guest, frame(body) * rounds), daemon=True)
    sender.start()
    with pytest.raises(TooMuchOutputError):
        for _ in range(rounds):
            stream.receive(soon())


def _send_quietly(guest: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        guest.sendall(data)


def test_silence_ends_at_the_deadline(ends):
    stream, guest = ends
    guest.send(frame(READY)[:-1])
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        stream.receive(soon(0.05))
    assert time.monotonic() - started < 2


def test_a_caller_who_gives_up_is_heard_while_waiting(ends):
    stream, _ = ends
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        stream.receive(soon(), cancel)


def test_the_end_of_the_stream_is_told_apart_from_silence(ends):
    stream, guest = ends
    guest.close()
    with pytest.raises(StreamEndError):
        stream.receive(soon())


def test_the_engines_own_frames_are_taken_apart():
    host, guest = socket.socketpair()
    stream = Stream(host, framed=True)
    data = frame(READY)
    for kind, part in ((1, data[:3]), (2, b"a warning"), (1, data[3:])):
        guest.sendall(bytes([kind, 0, 0, 0]) + struct.pack(">I", len(part)) + part)
    kind, _ = stream.receive(soon())
    assert kind == "ready"
    assert stream.errors == b"a warning"
    guest.sendall(b"\x09\0\0\0\0\0\0\x01x")
    with pytest.raises(ProtocolError):
        stream.receive(soon())
    stream.close()
    guest.close()


def test_text_from_a_guest_loses_what_a_terminal_or_a_reader_could_trip_over():
    assert clean("\x1b[2Ja\x00b\u202ec\u200bd\n\te") == "[2Ja b c d e"
    assert len(clean("x" * 10_000)) == SANDBOX_MESSAGE_CHARS_MAX


@pytest.mark.parametrize("text", ["0", "-0.5", "0E-8", "5E-8", "123456789.123456789"])
def test_a_number_is_text_as_python_writes_a_decimal(text):
    assert msgspec.convert(text, Number) == text


@pytest.mark.parametrize("text", ["", "1\n", "1e5", "1E5", "1E-100", "NaN", "Infinity", "0x1", "1_000", "9" * 31])
def test_anything_else_is_no_number(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Number)
