"""The two locks a guest puts on itself, tried in processes of their own."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ufos_sandbox.guest import lock, wire

PRELUDE = """
import json, os, sys, threading
from ufos_sandbox.guest import lock

def tried(call):
    try:
        return repr(call())
    except BaseException as error:
        return type(error).__name__

out = {}
"""
POSTLUDE = "\nprint(json.dumps(out))\n"
needs_landlock = pytest.mark.skipif(lock.landlock_version() == 0, reason="this kernel has no Landlock")
needs_known_machine = pytest.mark.skipif(
    platform.machine() not in lock.NUMBERS, reason="system-call numbers of this machine are not known"
)


def run(code: str, tmp_path: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code + POSTLUDE, str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_landlock
def test_files_outside_the_given_directories_can_not_be_touched(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    out = run(
        """
root = sys.argv[1]
out["version"] = lock.restrict_files(["/usr", "/lib", sys.base_prefix], [root + "/inside"])
out["inside"] = tried(lambda: open(root + "/inside/a").read())
out["write inside"] = tried(lambda: open(root + "/inside/c", "w").write("c"))
out["outside"] = tried(lambda: open(root + "/b").read())
out["list"] = tried(lambda: os.listdir("/etc"))
out["write outside"] = tried(lambda: open(root + "/d", "w").write("d"))
found = []
thread = threading.Thread(target=lambda: found.append(tried(lambda: open(root + "/b").read())))
thread.start(); thread.join()
out["new thread"] = found[0]
lock.restrict_files(["/usr"])
out["again"] = tried(lambda: open(root + "/inside/a").read())
""",
        tmp_path,
    )
    assert int(out.pop("version")) > 0
    assert out.pop("inside") == "'a'"
    assert out.pop("write inside") == "1"
    assert set(out.values()) == {"PermissionError"}


@needs_known_machine
def test_no_process_no_program_and_no_socket_can_be_made_and_threads_still_start(tmp_path):
    out = run(
        """
import socket, subprocess
started = []
early = threading.Event()
late = []
waiting = threading.Thread(target=lambda: (early.wait(), late.append(tried(os.fork))))
waiting.start()
lock.forbid_calls()
early.set(); waiting.join()
out["older thread forks"] = late[0]
out["fork"] = tried(os.fork)
out["program"] = tried(lambda: subprocess.run(["/bin/true"]))
out["exec"] = tried(lambda: os.execv("/bin/true", ["true"]))
out["socket"] = tried(lambda: socket.socket())
out["pair"] = tried(lambda: socket.socketpair())
out["kill"] = tried(lambda: os.kill(os.getppid(), 0))
thread = threading.Thread(target=lambda: started.append("yes"))
thread.start(); thread.join()
out["thread"] = started[0]
""",
        tmp_path,
    )
    assert out.pop("thread") == "yes"
    assert set(out.values()) == {"PermissionError"}, out


def test_a_message_is_framed_and_not_a_number_is_refused():
    assert wire.encode({"a": 1}) == b"\x00\x00\x00\x07" + b'{"a":1}'
    with pytest.raises(ValueError):
        wire.encode({"a": float("nan")})


def test_the_guest_needs_nothing_but_the_standard_library_until_the_engine_is_imported():
    code = (
        "import sys, ufos_sandbox.guest.__main__, ufos_sandbox.guest.worker\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=30, env=_paths())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['__mp_main__', 'ufos_sandbox']" or "ufos_sandbox']" in done.stdout


def test_the_host_side_never_imports_the_engine():
    """The MCP server imports it, and must not load the engine."""
    code = (
        "import sys, ufos_sandbox.sandbox, ufos_sandbox.probes, ufos_sandbox.doctor, ufos_sandbox.bubblewrap\n"
        "assert 'nautilus_trader' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_guest_imports_no_tables_and_no_ledger_and_foreign_code_still_gets_the_real_ones():
    """Otherwise a cold container takes a third of a second longer."""
    code = (
        "import sys\n"
        "from ufos_sandbox.guest import lean\n"
        "lean.prepare()\n"
        "import ufos_sandbox.guest.session\n"
        "lean.finish()\n"
        "absent = ('polars', 'ufos_nautilus.ledger', 'ufos_nautilus.crossing', 'ufos_nautilus.engine.spec')\n"
        "assert not set(absent) & set(sys.modules)\n"
        "import polars\n"
        "from ufos_nautilus.crossing.residual import DeskQuote\n"
        "from ufos_strategies.market_maker import MarketMaker\n"
        "assert polars.DataFrame({'a': [1]}).height == 1 and DeskQuote.__dataclass_fields__ and MarketMaker.Config"
    )
    environment = os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}  # as in the image
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, env=environment)
    assert done.returncode == 0, done.stderr


def _paths() -> dict[str, str]:
    import ufos_sandbox

    return {"PYTHONPATH": str(Path(ufos_sandbox.__file__).parents[1])}
