"""Attacks on secrets and on what tells the host apart."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.probes import question


@question("secrets")
def environment_variables():
    """The environment holds nothing but the image's own settings."""
    known = {"PATH", "LANG", "HOME", "HOSTNAME", "LC_CTYPE", "TOKIO_WORKER_THREADS", "POLARS_MAX_THREADS"}
    own = ("PYTHON", "PYDANTIC_", "RAYON_", "UFOS_WARM_SPEC")
    return {k: v for k, v in os.environ.items() if k not in known and not k.startswith(own)}


@question("secrets")
def credential_files():
    """No home directory, cloud or tool credentials are there."""
    paths = ("~/.aws/credentials", "~/.ssh/id_rsa", "~/.netrc", "~/.docker/config.json", "/run/secrets", "/root")
    return [path for path in paths if os.path.exists(os.path.expanduser(path)) and os.listdir("/run/secrets")]


@question("secrets")
def kernel_keyring():
    """Keys of the host's kernel can't be asked for."""
    return syscall(250, 0, -3, 1)


@question("secrets")
def add_a_key():
    """No key can be put into the kernel."""
    return syscall(248, b"user", b"ufos", b"x", 1, -3)


@question("secrets")
def command_line_of_process_1():
    """The command line of process 1 can't be read by way of the file system."""
    return open("/proc/1/cmdline").read()


@question("secrets")
def processes_of_the_host():
    """Process numbers start anew in the container: those of the host do not exist in it."""
    found = []
    for pid in range(100, 60_000):
        try:
            os.getpriority(os.PRIO_PROCESS, pid)
            found.append(pid)
        except OSError:
            continue
    return found


@question("secrets")
def kernel_log():
    """The kernel's messages can't be read."""
    buffer = ctypes.create_string_buffer(4096)
    return syscall(103, 3, buffer, 4096)


@question("secrets")
def host_name():
    """The host's name does not show."""
    import socket

    return socket.gethostname() not in ("sandbox", "localhost")


@question("secrets", accepted="the kernel answers uname() also where it is emulated; C library and loaders need it")
def kernel_release():
    """The host's kernel release is known to leak; it names no user, no data and no address."""
    return os.uname().release


@question(
    "secrets", accepted="sysinfo() is what allocators size themselves by; it tells total memory, load and uptime only"
)
def memory_and_load():
    """The host's total memory and load are known to leak; they name no user, no data and no address."""
    buffer = (ctypes.c_ulong * 16)()
    syscall(99, buffer)
    return {"uptime_s": buffer[0], "load": buffer[1], "total_bytes": buffer[4]}
