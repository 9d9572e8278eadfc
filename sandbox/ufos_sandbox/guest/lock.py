"""The two locks a guest puts on itself: Landlock for files, a second system-call filter before foreign code."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION_FLAG: Final = 1
LANDLOCK_PATH_BENEATH: Final = 1
ACCESS_BITS_BY_ABI: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""File-system rights that a version of Landlock knows; later versions know as many as the last."""
NET_BITS: Final = 0b11
SCOPE_BITS: Final = 0b11
READ_FILE, READ_DIR, EXECUTE = 1 << 2, 1 << 3, 1 << 0
READ: Final = READ_FILE | READ_DIR
READ_ONLY_ROOTS: Final = ("/usr", "/lib", "/lib64")
SCRATCH: Final = "/tmp"  # noqa: S108 - the container's own memory file system

PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_THP_DISABLE = 38, 4, 41
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
ALLOW, ERRNO_EPERM, ERRNO_ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
CLONE_THREAD: Final = 0x00010000

# name -> number by machine; -1 where the machine has no such call
NUMBERS: Final[dict[str, dict[str, int]]] = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "shutdown": 48, "bind": 49,
        "listen": 50, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62,
        "setuid": 105, "setgid": 106, "setsid": 112, "setgroups": 116, "capset": 126, "rt_sigqueueinfo": 129,
        "prlimit64": 302, "execveat": 322, "clone3": 435, "sched_setaffinity": 203, "seccomp": 317,
        "ptrace": 101, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "setns": 308, "memfd_create": 319, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "accept": 202, "sendto": 206, "sendmsg": 211, "shutdown": 210, "bind": 200,
        "listen": 201, "socketpair": 199, "clone": 220, "fork": -1, "vfork": -1, "execve": 221, "kill": 129,
        "setuid": 146, "setgid": 144, "setsid": 157, "setgroups": 159, "capset": 91, "rt_sigqueueinfo": 138,
        "prlimit64": 261, "execveat": 281, "clone3": 435, "sched_setaffinity": 122, "seccomp": 277,
        "ptrace": 117, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241,
        "setns": 268, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
    },
}  # fmt: skip
AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SECCOMP_CALL: Final = {"x86_64": 317, "aarch64": 277}


def landlock_version() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    return max(0, _libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), LANDLOCK_VERSION_FLAG))


def restrict_files(read: Iterable[str], write: Iterable[str] = ()) -> int:
    """Let this thread, and the threads it starts from now on, touch no file but these; TCP and signals out are shut.

    Parameters
    ----------
    read, write : iterable of str
        Directories below which files may be read, or read and written.

    Returns
    -------
    int
        Landlock version in force, 0 where the kernel has none and nothing was restricted.

    """
    version = landlock_version()
    if not version:
        return 0
    handled = (1 << ACCESS_BITS_BY_ABI.get(version, 16)) - 1
    attributes = [handled]
    if version >= 4:
        attributes.append(NET_BITS)
    if version >= 6:
        attributes.append(SCOPE_BITS)
    packed = struct.pack(f"{len(attributes)}Q", *attributes)
    ruleset = _checked("landlock_create_ruleset", _libc.syscall(LANDLOCK_CREATE, packed, len(packed), 0))
    try:
        for path in read:
            _add_rule(ruleset, path, READ & handled)
        for path in write:
            _add_rule(ruleset, path, handled & ~EXECUTE)
        no_new_privileges()
        _checked("landlock_restrict_self", _libc.syscall(LANDLOCK_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return version


def _add_rule(ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", access, fd)
        _checked("landlock_add_rule", _libc.syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH_BENEATH, rule, 0))
    finally:
        os.close(fd)


def no_new_privileges() -> None:
    """Give up privileges that a new program could bring."""
    _checked("prctl", _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def hide_from_siblings() -> None:
    """Make this process unreadable for others of the same user."""
    _checked("prctl", _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))


def small_pages() -> None:
    """Take memory by small pages: a short life touches a part of each large one, and all of it would be cleared.

    On a virtual machine whose host takes free memory back, that made loading up to five times as long.
    """
    _libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def forbid_calls() -> None:
    """Deny all threads new processes, new programs, sockets, signals to others and more filters; threads still start.

    The container's own filter is an allow-list and stays in force beneath this one; what else is denied here, keys and
    rings among it, is for the runtime that has no such list.
    """
    numbers = NUMBERS[platform.machine()]
    gone = {name: number for name, number in numbers.items() if number >= 0 and name not in ("clone", "clone3")}
    program = [
        (0x20, 0, 0, 4),  # load the architecture
        (0x15, 1, 0, AUDIT_ARCH[platform.machine()]),
        (0x06, 0, 0, ERRNO_EPERM),
        (0x20, 0, 0, 0),  # load the call's number
        # the C library falls back from clone3 to clone, whose flags a filter can see
        (0x15, 0, 1, numbers["clone3"]),
        (0x06, 0, 0, ERRNO_ENOSYS),
        (0x15, 0, 4, numbers["clone"]),
        (0x20, 0, 0, 16),  # load the low half of the flags
        (0x45, 1, 0, CLONE_THREAD),
        (0x06, 0, 0, ERRNO_EPERM),
        (0x06, 0, 0, ALLOW),
    ]
    for number in sorted(gone.values()):
        program += [(0x15, 0, 1, number), (0x06, 0, 0, ERRNO_EPERM)]
    program.append((0x06, 0, 0, ALLOW))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("HL", len(program), ctypes.addressof(buffer))
    no_new_privileges()
    call = SECCOMP_CALL[platform.machine()]
    done = _libc.syscall(call, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header)
    _checked("seccomp", done)


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
