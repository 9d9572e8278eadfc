"""`ufos resume`: let trading go on, which only a person at a terminal can say."""

import getpass
import os
import secrets
import sys
from datetime import UTC, datetime

import typer

from ufos_nautilus.errors import SpecError
from ufos_nautilus.risk.switch import SwitchHome, switch_root

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
    if not flag.halted:
        print("trading is not halted")
        return
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
    home.resume(f"{who} at {os.ttyname(sys.stdin.fileno())}", flag)
    print("trading goes on")
