"""`ufos halt`: stop all trading now."""

import socket
import sys
import time
from typing import Annotated

import typer

from ufos_nautilus.cli.console import print_json
from ufos_nautilus.cli.switch_record import record
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.limits import HALT_REASON_CHARS_MAX
from ufos_nautilus.risk.switch import KEY_FILE, HaltRequest, SwitchHome, sign_datagram, switch_root

app = typer.Typer(add_completion=False)
POLL_S = 0.002


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    flatten: Annotated[bool, typer.Option("--flatten", help="Close all positions too, after the last cancel.")] = False,
    to: Annotated[str, typer.Option(help="HOST:PORT of a node elsewhere; signed with the key of this switch.")] = "",
    wait_s: Annotated[float, typer.Option(min=0, max=600, help="Seconds to wait for the node's confirmation.")] = 5.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Stop all trading: every resting order is cancelled, every new one denied, until a person runs `ufos resume`.

    The switch lives in UFOS_SWITCH, or in ~/.ufos/switch.
    """
    if len(reason) > HALT_REASON_CHARS_MAX:
        raise SpecError(f"a reason of {len(reason)} characters", expected=f"at most {HALT_REASON_CHARS_MAX}")
    if to and not (switch_root() / KEY_FILE).is_file():
        raise SpecError(
            f"there is no key in {switch_root()}", expected="the key of the node's switch",
            next_step=f"copy the node's file `{KEY_FILE}` there, mode 600",
        )  # fmt: skip
    home = SwitchHome(switch_root(), strict=bool(to))
    if home.open_to_others:
        print(f"warning: others may use {home.path}; chmod 700 {home.path}", file=sys.stderr)
    if to:
        _send(home, to, reason, flatten=flatten)
        said = {"sent_to": to, "confirmed": None}
        text = f"a signed datagram went to {to}; nobody confirms datagrams, so look at the node"
    else:
        said, text = _halt_here(home, reason, wait_s, flatten=flatten)
        # The halt comes first; its record can fail without undoing it.
        record(home, "halt", source="cli", reason=reason, flatten=flatten, node=said["node"], was=said["was_halted"])
    if json:
        print_json(said)
    else:
        print(text)
    if said["confirmed"] is False:
        raise RunFailedError(
            f"the node has not confirmed within {wait_s:g} s; the gate is closed, orders may still rest",
            next_step=f"end its process: kill -9 {said.get('pid')}",
        )


def _halt_here(home: SwitchHome, reason: str, wait_s: float, *, flatten: bool) -> tuple[dict[str, object], str]:
    flag = home.flag()
    before, asked_ns = flag.halted, time.time_ns()
    home.ask(HaltRequest("cli", reason, flatten, asked_ns), flag)
    node = home.node()
    if node is None:
        said: dict[str, object] = {"halted": True, "was_halted": before, "node": False, "confirmed": None}
        return said, f"halted: {home.path} says so to every node that starts; none runs now"
    home.wake()
    until = time.monotonic() + wait_s
    while not flag.confirmed_ns and time.monotonic() < until:
        time.sleep(POLL_S)
    confirmed = flag.confirmed_ns
    took = (confirmed - asked_ns) / 1e6 if confirmed else None
    said = {
        "halted": True, "was_halted": before, "node": True, "pid": node["pid"],
        "confirmed": bool(confirmed), "took_ms": took if not before else None,
    }  # fmt: skip
    if not confirmed:
        return said, "halted: the gate is closed"
    if before:
        return said, "it was halted already; every cancel had been asked for"
    return said, f"halted: every cancel was asked for after {took:.1f} ms"


def _send(home: SwitchHome, to: str, reason: str, *, flatten: bool) -> None:
    host, _, port = to.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise SpecError(f"{to!r} is no address", expected="HOST:PORT")
    datagram = sign_datagram(home.key(), reason, time.time_ns(), flatten=flatten)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, (host, int(port)))
    except OSError as error:
        raise SpecError(f"{to} can't be reached: {error}", expected="an address that takes datagrams") from None
