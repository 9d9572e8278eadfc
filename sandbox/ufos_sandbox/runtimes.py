"""Chooses where containers come from; runc unless another runtime is named, never a weaker one by itself."""

from ufos_nautilus.errors import SpecError
from ufos_sandbox.backend import Backend, DockerBackend
from ufos_sandbox.engine_api import connect

RUNTIMES = ("runc", "runsc", "bubblewrap")


def make_backend(runtime: str) -> Backend:
    """Return a backend for a runtime.

    Parameters
    ----------
    runtime : str
        ``"runc"`` (Docker's own), ``"runsc"`` (gVisor in Docker), ``"bubblewrap"`` (no engine, no image, no memory
        control group: weaker), or any other runtime that the engine knows by name.

    Raises
    ------
    SpecError
        The engine does not have it.
    SandboxUnavailableError
        There is no engine, or no bubblewrap.

    """
    if runtime == "bubblewrap":
        from ufos_sandbox.bubblewrap import BubblewrapBackend

        return BubblewrapBackend()
    api = connect()
    known = api.client.info().get("Runtimes") or {}
    if runtime != "runc" and runtime not in known:
        raise SpecError(
            f"the Docker engine has no runtime {runtime!r}",
            expected=f"one of: {', '.join(sorted(k for k in known if '.' not in k))}, bubblewrap",
            next_step="gVisor: https://gvisor.dev/docs/user_guide/install, then `runsc install` and restart dockerd",
        )
    return DockerBackend(api, runtime)
