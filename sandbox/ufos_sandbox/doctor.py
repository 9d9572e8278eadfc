"""Looks at everything a sandbox needs and names the fix for what is missing."""

import os
import platform
import shutil
from dataclasses import dataclass
from typing import Any

from ufos_sandbox.backend import DockerBackend, EngineFailedError, ImageMissingError, StartFailedError
from ufos_sandbox.engine_api import Api, SandboxUnavailableError, connect
from ufos_sandbox.image.build import image_name
from ufos_sandbox.limits import Limits
from ufos_sandbox.pool import Pool

LANDLOCK_WANTED = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"check": self.name, "ok": self.ok, "found": self.found, "fix": self.fix, "required": self.required}


def diagnose() -> list[Check]:
    """Check engine, limits, image, a real container and the optional runtimes; later checks need the earlier ones."""
    checks = [_machine()]
    try:
        api = connect()
    except SandboxUnavailableError as error:
        return [*checks, Check("engine", False, error.problem, error.next_step), *_optional({})]
    with api:
        return [*checks, *_of_engine(api)]


def _of_engine(api: Api) -> list[Check]:
    info = api.client.info()
    version = f"Docker {info.get('ServerVersion', '?')}, {info.get('OSType', '?')}/{info.get('Architecture', '?')}"
    checks = [Check("engine", True, version), *_limits(info), *_image(api)]
    leftovers = api.own_containers()
    checks.append(
        Check("containers", True, f"{len(leftovers)} of the product", "ufos sandbox reap" if leftovers else "", False)
    )
    return [*checks, *_optional(info.get("Runtimes") or {})]


def _machine() -> Check:
    machine, cores = platform.machine(), os.cpu_count() or 1
    ok = platform.system() == "Linux" and machine in ("x86_64", "aarch64")
    return Check("machine", ok, f"{platform.system()} {machine}, {cores} processors", "" if ok else "a Linux machine")


def _limits(info: dict[str, Any]) -> list[Check]:
    wanted = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processor"}
    out = []
    for key, what in wanted.items():
        ok = bool(info.get(key))
        fix = "" if ok else "enable control groups for it (kernel command line, or systemd's Delegate= when rootless)"
        out.append(Check(f"limit: {what}", ok, "enforced" if ok else "not enforced", fix))
    seccomp = any("seccomp" in str(o) for o in info.get("SecurityOptions") or [])
    out.append(
        Check("system-call filter", seccomp, "yes" if seccomp else "no", "" if seccomp else "a kernel with seccomp")
    )
    return out


def _image(api: Api) -> list[Check]:
    name = image_name()
    if not api.image_id(name):
        return [Check("image", False, f"{name} is missing", "ufos sandbox build")]
    checks = [Check("image", True, name)]
    pool = Pool(DockerBackend(api), Limits(), 0)
    try:
        container, _ = pool.acquire()
    except (ImageMissingError, EngineFailedError, StartFailedError, SandboxUnavailableError) as error:
        return [*checks, Check("container", False, str(error)[:300], "docker logs and `journalctl -u docker` say more")]
    container.discard()
    ready = container.ready
    checks.append(Check("container", True, f"ready in {container.start_ms:.0f} ms"))
    version = ready.landlock if ready is not None else 0
    fix = "" if version >= LANDLOCK_WANTED else "a kernel with CONFIG_SECURITY_LANDLOCK and landlock in `lsm=`"
    checks.append(Check("file lock", not fix, f"Landlock version {version}" if version else "no Landlock", fix, False))
    return checks


def _optional(runtimes: dict[str, Any]) -> list[Check]:
    gvisor = "runsc" in runtimes
    bubblewrap = shutil.which("bwrap")
    return [
        Check("gVisor", gvisor, "yes" if gvisor else "no", "" if gvisor else "optional: install runsc", False),
        Check(
            "bubblewrap",
            bool(bubblewrap),
            bubblewrap or "no",
            "" if bubblewrap else "optional, weaker: apt-get install bubblewrap",
            False,
        ),
    ]
