"""A container whose start was cut short by the engine's death leaves processes that end once it is looked after."""

import subprocess
import sys
from pathlib import Path

from ufos_sandbox.unfinished import children, end_unfinished

SHIM = "import subprocess, sys\nchild = subprocess.Popen(['sleep', '60'])\nprint('up', flush=True)\nchild.wait()"


def shim(container_id: str) -> subprocess.Popen[bytes]:
    """A process that looks like the shim of a container, with one child."""
    command = ["containerd-shim-of-a-test", "-c", SHIM, "-id", container_id]
    process = subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_shim_and_first_process_of_the_named_container_end_and_no_other():
    wanted, other = "a" * 63 + "1", "a" * 63 + "2"
    with shim(wanted) as ours, shim(other) as theirs:
        below = children(ours.pid)
        assert len(below) == 1
        assert end_unfinished(wanted)
        ours.wait(10)
        assert theirs.poll() is None
        for pid in below:
            status = Path(f"/proc/{pid}/status")
            assert not status.exists() or "Z (zombie)" in status.read_text()
        assert not end_unfinished(wanted)
        assert end_unfinished(other)
