"""A host process of its own that runs sandboxes until its input ends or it is killed: `python sandbox_host.py CATALOG`.

Reads one line of JSON for each run (code, params, truncations) and writes one line with the state it ended in.
"""

import json
import sys
from pathlib import Path

from ufos_sandbox.limits import Limits
from ufos_sandbox.samples import INSTRUMENT
from ufos_sandbox.sandbox import Sandbox
from ufos_sandbox.slices import DataRequest


def main() -> None:
    data = DataRequest(catalog=Path(sys.argv[1]), instruments=(INSTRUMENT,))
    with Sandbox(Limits(wall_s=10)) as sandbox:
        print("ready", flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            result = sandbox.run(asked["code"], data, asked["params"], truncations=asked["truncations"])
            told = {"state": result.state, "label": result.label, "message": result.failure and result.failure.message}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
