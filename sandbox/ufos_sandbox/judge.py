"""temp."""
from ufos_sandbox.outcome import *
from ufos_sandbox.attempt import Attempt
def judge(whole, part, code, truncations, run, progress):
    out = SandboxResult(whole.state, failure=whole.failure, guest=whole.result)
    if whole.loaded: out.rows = whole.loaded.rows
    return out
