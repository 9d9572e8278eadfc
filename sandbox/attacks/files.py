"""Attacks on files: foreign code reads Python's own libraries and nothing else, and writes nowhere."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.probes import question


@question("files")
def read_password_file():
    """Files outside the libraries can't be read, not even the container's own."""
    return open("/etc/passwd").read()


@question("files")
def list_the_root():
    """The root directory can't be listed."""
    return os.listdir("/")


@question("files")
def market_data_on_disk():
    """The slice is gone from disk before foreign code runs."""
    return [os.path.join(a, f) for a, _, files in os.walk("/tmp") for f in files] or open("/tmp/slice/data").read()


@question("files")
def write_to_tmp():
    """The scratch directory is shut once the data is loaded."""
    with open("/tmp/x", "w") as file:
        file.write("x")
    return "written"


@question("files")
def write_into_the_root():
    """The root file system is read-only."""
    with open("/x", "w") as file:
        file.write("x")
    return "written"


@question("files")
def change_the_libraries():
    """Libraries can't be changed for whoever comes next."""
    import ufos_nautilus

    with open(ufos_nautilus.__file__, "a") as file:
        file.write("import os")
    return "written"


@question("files")
def delete_the_libraries():
    """Libraries can't be deleted."""
    import ufos_nautilus

    os.unlink(ufos_nautilus.__file__)
    return "deleted"


@question("files")
def symbolic_link():
    """No link can be made that the host might follow."""
    os.symlink("/etc/passwd", "/tmp/result.json")
    return "made"


@question("files")
def hard_link():
    """No second name for a file can be made."""
    os.link("/usr/local/bin/python3", "/tmp/x")
    return "made"


@question("files")
def named_pipe():
    """No pipe can be left for the host to hang on."""
    os.mkfifo("/tmp/fifo")
    return "made"


@question("files")
def device_node():
    """No device can be made."""
    os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0))
    return "made"


@question("files")
def host_disk_device():
    """The host's disks are not there."""
    return open("/dev/vda", "rb").read(16)


@question("files")
def kernel_memory_device():
    """Memory devices are not there."""
    return [open(path, "rb").read(16) for path in ("/dev/mem", "/proc/kcore") if os.path.exists(path)] or open(
        "/dev/mem"
    )


@question("files")
def file_by_handle():
    """Files can't be opened around the name space."""
    handle = ctypes.create_string_buffer(b"\x08\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00")
    return syscall(304, -100, handle, 0)


@question("files")
def proc_self_environ():
    """The process file system can't be read."""
    return open("/proc/self/environ").read()


@question("files")
def proc_of_process_1():
    """Process 1, which holds the deadline, can't be looked into."""
    return open("/proc/1/environ").read() or open("/proc/1/cmdline").read()


@question("files")
def proc_memory_map():
    """The map of the own memory, which a search for market data would start from, can't be read."""
    return open("/proc/self/maps").read()


@question("files")
def proc_mountinfo():
    """Paths of the host's file system do not show in the list of mounts."""
    return open("/proc/self/mountinfo").read()


@question("files")
def proc_meminfo():
    """The host's memory figures can't be read from the process file system."""
    return open("/proc/meminfo").read()


@question("files")
def cgroup_path():
    """The container's place in the host's hierarchy can't be read."""
    return open("/proc/self/cgroup").read()


@question("files")
def sys_file_system():
    """The system file system can't be read."""
    return os.listdir("/sys/fs/cgroup") or os.listdir("/sys/class")


@question("files")
def write_core_pattern():
    """Kernel settings can't be written."""
    with open("/proc/sys/kernel/core_pattern", "w") as file:
        file.write("|/tmp/x")
    return "written"


@question("files")
def other_container_layers():
    """Docker's own directories are not there."""
    return os.listdir("/var/lib/docker")


@question("files")
def polars_reads_a_file():
    """A library's threads are bound as the main thread is."""
    import polars as pl

    return pl.read_csv("/etc/passwd").height
