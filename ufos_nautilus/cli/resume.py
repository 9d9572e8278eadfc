"""`ufos resume`: let trading go on, which only a person at a terminal can say."""

import getpass
import os
import secrets
import sys
from datetime import UTC, datetime

import typer

from ufos_nautilus.cli.switch_record import record
from ufos_nautilus.errors import SpecError
from ufos_nautilus.risk.switch import HALT_FILE, SwitchHome, switch_root

app = typer.Typer(add_completion=False)


@app.command()
def resume() -> None:
    """Lower the flag after a halt: asks for a typed confirmation, at a terminal, from whoever sits there."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SpecError(
            "this is no terminal", expected="a person who types the confirmation", next_step="run it in a terminal"
        )
    home = SwitchHome(switch_root())
    flag = home.flag()
    waits = (home.path / HALT_FILE).exists()
    if not flag.halted and not waits:
        print("trading is not halted")
        return
    if waits:
        print(f"the file {home.path / HALT_FILE} halts every node that sees it; resuming removes it")
    asked = home.asked()
    if asked is not None:
        at = datetime.fromtimestamp(asked.ts_ns / 1e9, UTC).isoformat(timespec="seconds")
        print(f"halted by {asked.source} at {at}: {asked.reason or 'no reason given'}")
    # New every time, so that no text kept somewhere is an answer.
    phrase = f"resume trading {secrets.token_hex(2)}"
    print(f"To let orders pass again, type: {phrase}")
    if input("> ").strip() != phrase:
        raise SpecError("that is not what was asked for", expected=phrase, next_step="nothing was changed")
    try:
        who = getpass.getuser()
    except OSError:
        who = f"uid {os.getuid()}"
    who += f" at {os.ttyname(sys.stdin.fileno())}"
    home.resume(who, flag)
    record(home, "resume", who=who, halted_by=asked.source if asked else "", reason=asked.reason if asked else "")
    print("trading goes on")
