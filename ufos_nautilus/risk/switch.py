"""Where the kill switch lives on a machine: the flag, the shared key, who runs, and what was asked for."""

import hmac
import json
import os
import secrets
import signal
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import HALT_DATAGRAM_BYTES_MAX, HALT_NONCES_MAX, HALT_REASON_CHARS_MAX
from ufos_nautilus.risk.halt_flag import FLAG_FILE, HaltFlag

KEY_FILE, NODE_FILE, REQUEST_FILE, RESUME_FILE = "key", "node.json", "request.json", "resume.json"
HALT_FILE = "halt"
"""Halts by being there."""
KEY_BYTES = 32
DATAGRAM_AGE_NS = 30_000_000_000
"""A datagram older or newer than this is refused, so clocks of sender and node must agree that well."""
NONCE_CHARS = 32
MAC_CHARS = 64
HALT_SIGNAL = signal.SIGUSR1
"""What wakes a node's main thread, even one that is busy in a book."""


def switch_root() -> Path:
    """Return the switch's directory: the environment's UFOS_SWITCH, or ``.ufos/switch`` in the home directory."""
    named = os.environ.get("UFOS_SWITCH")
    return Path(named) if named else Path.home() / ".ufos" / "switch"


class HaltRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asked for a halt, why, whether positions are to be closed, and when (UNIX nanoseconds)."""

    source: str
    reason: str
    flatten: bool
    ts_ns: int


class SwitchHome:
    """The directory of a kill switch, private to its user.

    Parameters
    ----------
    path : Path
        Made with mode 0700 where it is absent.
    strict : bool
        False takes a directory that others may use too: whoever only halts is not turned away.

    Raises
    ------
    DataError
        If others may read or write it.

    """

    def __init__(self, path: Path, *, strict: bool = True) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777
        self.open_to_others = bool(mode & 0o077)
        if strict and self.open_to_others:
            raise DataError(f"{path} has mode {mode:o}", expected="700", next_step=f"chmod 700 {path}")

    def flag(self) -> HaltFlag:
        """Return the flag, which is a file here."""
        return HaltFlag(self.path / FLAG_FILE)

    def key(self) -> bytes:
        """Return the key that datagrams are signed with, made at first use."""
        path = self.path / KEY_FILE
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(KEY_BYTES))
        if (mode := path.stat().st_mode & 0o777) & 0o077:
            raise DataError(f"{path} has mode {mode:o}", expected="600", next_step=f"chmod 600 {path}")
        try:
            key = bytes.fromhex(path.read_text("ascii"))
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise DataError(f"{path} holds no key", expected=f"{KEY_BYTES} bytes as hex", next_step=f"rm {path}")
        return key

    def ask(self, request: HaltRequest, flag: HaltFlag) -> None:
        """Say who halts and why, and raise the flag; the first request of a halt is the one that is kept."""
        if not flag.halted or not (self.path / REQUEST_FILE).exists():
            self._write(REQUEST_FILE, msgspec.to_builtins(request))
        flag.halt()

    def asked(self) -> HaltRequest | None:
        """Return what was asked for, or None where that is nothing or can't be read."""
        try:
            return msgspec.json.decode((self.path / REQUEST_FILE).read_bytes(), type=HaltRequest)
        except (OSError, msgspec.MsgspecError):
            return None

    def resume(self, who: str, flag: HaltFlag) -> None:
        """Drop what was asked for and the file that asked, and lower the flag; only a person may call for this."""
        for name in (REQUEST_FILE, HALT_FILE):
            (self.path / name).unlink(missing_ok=True)
        self._write(RESUME_FILE, {"who": who})
        flag.lower()

    def resumed_by(self) -> str:
        """Return who resumed last."""
        try:
            return str(json.loads((self.path / RESUME_FILE).read_text("ascii"))["who"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def enter(self, pid: int, port: int) -> None:
        """Say which process the switch stops and where it listens."""
        self._write(NODE_FILE, {"pid": pid, "started": process_started(pid), "port": port})

    def leave(self) -> None:
        """Say that no process runs any more."""
        (self.path / NODE_FILE).unlink(missing_ok=True)

    def node(self) -> dict[str, Any] | None:
        """Return pid and port of the process that runs, or None where there is none."""
        try:
            found = json.loads((self.path / NODE_FILE).read_text("ascii"))
            alive = process_started(found["pid"]) == found["started"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if alive else None

    def wake(self) -> bool:
        """Wake the node's main thread; False where no node runs."""
        node = self.node()
        if node is None:
            return False
        try:
            os.kill(node["pid"], HALT_SIGNAL)
        except ProcessLookupError:
            return False
        return True

    def _write(self, name: str, data: object) -> None:
        temporary = self.path / f".{name}.{os.getpid()}"
        temporary.write_text(json.dumps(data), "ascii")
        temporary.rename(self.path / name)


def process_started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot: a pid that was given to another one differs in it."""
    return Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[19]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    ts_ns: int
    nonce: str
    flatten: bool
    reason: str


def sign_datagram(key: bytes, reason: str, now_ns: int, *, flatten: bool = False, nonce: str = "") -> bytes:
    """Return a datagram that halts: JSON and its HMAC-SHA256.

    Parameters
    ----------
    key : bytes
        Shared with the node.
    reason : str
        Why.
    now_ns : int
        UNIX nanoseconds.
    flatten : bool
        Close positions too.
    nonce : str
        32 hex digits; random unless given.

    """
    body = msgspec.json.encode(_Body(now_ns, nonce or secrets.token_hex(NONCE_CHARS // 2), flatten, reason))
    datagram = body + b"\n" + hmac.new(key, body, "sha256").hexdigest().encode()
    if len(datagram) > HALT_DATAGRAM_BYTES_MAX:
        raise LimitExceededError(
            f"a datagram of {len(datagram)} bytes", expected=f"at most {HALT_DATAGRAM_BYTES_MAX}: a shorter reason"
        )
    return datagram


class DatagramReader:
    """Tells datagrams that may halt from all others.

    Parameters
    ----------
    key : bytes
        Shared with whoever may halt.

    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._seen: OrderedDict[str, int] = OrderedDict()

    def read(self, datagram: bytes, now_ns: int) -> HaltRequest | str:
        """Return what a datagram asks for, or why it is refused; nothing of it is looked at before its signature."""
        if len(datagram) > HALT_DATAGRAM_BYTES_MAX:
            return "too long"
        body, _, mac = datagram.rpartition(b"\n")
        if len(mac) != MAC_CHARS or not hmac.compare_digest(
            mac, hmac.new(self._key, body, "sha256").hexdigest().encode()
        ):
            return "signed with another key"
        try:
            said = msgspec.json.decode(body, type=_Body)
        except msgspec.MsgspecError:
            return "no request"
        if abs(now_ns - said.ts_ns) > DATAGRAM_AGE_NS:
            return f"its time is {(now_ns - said.ts_ns) / 1e9:.1f} s from now"
        while self._seen and now_ns - next(iter(self._seen.values())) > 2 * DATAGRAM_AGE_NS:
            self._seen.popitem(last=False)
        if said.nonce in self._seen:
            return "it came before"
        if len(self._seen) >= HALT_NONCES_MAX:
            return "too many datagrams within a minute"
        self._seen[said.nonce] = now_ns
        return HaltRequest("udp", said.reason[:HALT_REASON_CHARS_MAX], said.flatten, now_ns)
