"""A host process of its own that runs sandboxes until its input ends or it is killed: `python -m ... CATALOG`.

Reads one line of JSON for each run (code, params, truncations) and writes one line with the state it ended in.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from ufos_nautilus.errors import RunFailedError
from ufos_sandbox.image.build import image_name
from ufos_sandbox.limits import Limits
from ufos_sandbox.samples import INSTRUMENT
from ufos_sandbox.sandbox import Sandbox
from ufos_sandbox.slices import DataRequest

END_TIMEOUT_S = 60
WALL_S = 10.0


class Host:
    """The other end: starts such a process, asks it for runs, may kill it.

    Parameters
    ----------
    catalog : Path
        Market data of `ufos_sandbox.samples`.
    url : str, optional
        The engine it uses.

    """

    def __init__(self, catalog: Path, url: str | None = None) -> None:
        # Named here, so that an edit of the product's source in the meantime does not ask for an image of its own.
        environment = os.environ | {"UFOS_SANDBOX_IMAGE": image_name()} | ({"DOCKER_HOST": url} if url else {})
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", __name__, str(catalog)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        if self._line() != "ready\n":
            raise RunFailedError("the host process did not start", expected="its first line: ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, code: str, params: dict[str, Any], truncations: int = 0) -> None:
        """Have it run code; `answer` waits for the end."""
        pipe = self.process.stdin
        if pipe is not None:
            pipe.write(json.dumps({"code": code, "params": params, "truncations": truncations}) + "\n")
            pipe.flush()

    def answer(self) -> dict[str, Any]:
        """Return ``state``, ``label`` and ``message`` of the run that was asked for."""
        return json.loads(self._line())

    def kill(self) -> None:
        """End it on the spot, with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def close(self) -> None:
        """End it in good order."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
            self._end()

    def rss_mb(self) -> float:
        """Return the memory it holds, MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _line(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            said = self.process.stderr.read() if self.process.stderr is not None else ""
            raise RunFailedError(f"the host process ended: {said[-600:]}", expected="one line for each run")
        return line

    def _end(self) -> None:
        self.process.wait(END_TIMEOUT_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def main() -> None:
    """Run what is asked for, line by line."""
    data = DataRequest(catalog=Path(sys.argv[1]), instruments=(INSTRUMENT,))
    with Sandbox(Limits(wall_s=WALL_S)) as sandbox:
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            result = sandbox.run(asked["code"], data, asked["params"], truncations=asked["truncations"])
            told = {"state": result.state, "label": result.label, "message": result.failure and result.failure.message}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
