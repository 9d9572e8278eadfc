"""A container whose start was cut short by the engine's death leaves processes that end once it is looked after."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ufos_sandbox.unfinished import children, end_unfinished

SHIM = "import subprocess, sys\nchild = subprocess.Popen(['sleep', '60'])\nprint('up', flush=True)\nchild.wait()"


@contextmanager
def shim(container_id: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like the shim of a container, with one child; both end with the block."""
    command = ["containerd-shim-of-a-test", "-c", SHIM, "-id", container_id]
    with subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        try:
            yield process
        finally:
            end_unfinished(container_id)


def test_shim_and_first_process_of_the_named_container_end_and_no_other():
    wanted, other = "a" * 63 + "1", "a" * 63 + "2"
    with shim(wanted) as ours, shim(other) as theirs:
        (below,) = children(ours.pid)
        handle = os.pidfd_open(below)
        assert end_unfinished(wanted)
        ours.wait(10)
        assert theirs.poll() is None
        assert select.select([handle], [], [], 10)[0], "the container's first process runs on"
        os.close(handle)
        assert not end_unfinished(wanted)
        assert end_unfinished(other)
