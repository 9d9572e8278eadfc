"""Attacks with processes, privileges and system calls."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.probes import question


@question("processes")
def subprocess_module():
    """No program can be started."""
    import subprocess

    return subprocess.run(["/usr/local/bin/python3", "-c", "print(1)"], capture_output=True).returncode == 0


@question("processes")
def shell():
    """There is no shell, and none could be started."""
    return os.system("true") == 0


@question("processes")
def fork():
    """No process can be made."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


@question("processes")
def fork_by_system_call():
    """No process can be made around the C library either."""
    return syscall(57) or syscall(58)


@question("processes")
def clone_into_new_user_namespace():
    """No name space can be made to become root in."""
    return syscall(56, 0x10000000 | 17, 0, 0, 0, 0)


@question("processes")
def clone3():
    """The newer call for the same, whose flags no filter can see, is absent."""
    arguments = (ctypes.c_uint64 * 11)()
    arguments[0] = 0x10000000
    return syscall(435, arguments, 88)


@question("processes")
def execute_python_again():
    """The process can't become another program, which would shed its locks."""
    os.execv("/usr/local/bin/python3", ["python3", "-c", "1"])


@question("processes")
def execute_from_memory():
    """No program can be run from memory."""
    return syscall(319, b"x", 0)


@question("processes")
def execveat():
    """The sibling of the call is shut too."""
    arguments = (ctypes.c_char_p * 2)(b"python3", None)
    return syscall(322, -100, b"/usr/local/bin/python3", arguments, None, 0)


@question("processes")
def trace_process_1():
    """Process 1 can't be traced."""
    return syscall(101, 16, 1, 0, 0) == 0


@question("processes")
def read_memory_of_process_1():
    """Memory of process 1 can't be read."""
    buffer = ctypes.create_string_buffer(16)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16)
    remote = (ctypes.c_uint64 * 2)(0x400000, 16)
    return syscall(310, 1, local, 1, remote, 1, 0)


@question("processes")
def kill_process_1():
    """The deadline's keeper can't be killed."""
    os.kill(1, 9)
    return "sent"


@question("processes")
def stop_process_1():
    """The deadline's keeper can't be stopped."""
    os.kill(1, 19)
    return "sent"


@question("processes")
def kill_everything():
    """No signal reaches any other process."""
    os.kill(-1, 9)
    return "sent"


@question("processes")
def signal_through_pidfd():
    """Nor through a handle of a process."""
    return syscall(434, 1, 0)


@question("processes")
def limits_of_process_1():
    """The limits of process 1 can't be changed."""
    new = (ctypes.c_uint64 * 2)(0, 0)
    return syscall(302, 1, 0, new, None) == 0


@question("processes")
def raise_own_limits():
    """The own processor limit can't be raised."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return resource.getrlimit(resource.RLIMIT_CPU)


@question("processes")
def become_root():
    """No other user can be taken on."""
    os.setuid(0)
    return os.getuid() == 0


@question("processes")
def become_another_group():
    """Nor another group."""
    os.setgid(0)
    return os.getgid() == 0


@question("processes")
def capabilities():
    """The process has no capability, neither effective nor possible."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    syscall(125, header, data)
    return any(data)


@question("processes")
def capability_bounding_set():
    """No capability could be regained."""
    return [n for n in range(41) if _libc.prctl(23, n, 0, 0, 0) == 1]


@question("processes")
def programs_with_extra_rights():
    """There is no program in the image that runs as another user."""
    return [p for p in os.listdir("/usr/local/bin") if os.stat(f"/usr/local/bin/{p}").st_mode & 0o6000]


@question("processes")
def tools_in_the_image():
    """There are no programs in the image but Python."""
    found = {n for d in ("/usr/local/bin", "/usr/bin", "/usr/sbin") if os.path.isdir(d) for n in os.listdir(d)}
    return {n for n in found if not n.startswith("python")}


@question("system calls")
def new_user_namespace():
    """No user name space."""
    return syscall(272, 0x10000000) == 0


@question("system calls")
def new_mount_namespace():
    """No mount name space."""
    return syscall(272, 0x00020000) == 0


@question("system calls")
def join_namespace():
    """No other name space can be joined."""
    return syscall(308, 0, 0) == 0


@question("system calls")
def mount_memory_file_system():
    """Nothing can be mounted."""
    return syscall(165, b"none", b"/tmp", b"tmpfs", 0, None) == 0


@question("system calls")
def unmount():
    """Nothing can be unmounted."""
    return syscall(166, b"/tmp", 2) == 0


@question("system calls")
def new_mount_interface():
    """The newer mount calls are shut too."""
    return syscall(428, -100, b"/", 1) >= 0 or syscall(430, b"tmpfs", 0) >= 0


@question("system calls")
def change_root():
    """The root can't be changed."""
    os.chroot("/tmp")
    return "changed"


@question("system calls")
def pivot_root():
    """Nor swapped."""
    return syscall(155, b"/tmp", b"/tmp") == 0


@question("system calls")
def rename_host():
    """The host's name can't be set."""
    return syscall(170, b"x", 1) == 0


@question("system calls")
def set_the_clock():
    """The clock can't be set."""
    import time

    time.clock_settime(time.CLOCK_REALTIME, 0)
    return "set"


@question("system calls")
def load_kernel_module():
    """No module can be loaded."""
    return syscall(313, 0, b"", 0) == 0 or syscall(175, b"", 0, b"") == 0


@question("system calls")
def replace_the_kernel():
    """No kernel can be loaded, nothing restarted."""
    return syscall(246, 0, 0, 0, 0) == 0 or syscall(169, 0xFEE1DEAD, 672274793, 0, 0) == 0


@question("system calls")
def bpf():
    """No program can be given to the kernel."""
    attributes = ctypes.create_string_buffer(128)
    return syscall(321, 0, attributes, 128) >= 0


@question("system calls")
def performance_counters():
    """Counters that leak what others do are shut."""
    attributes = ctypes.create_string_buffer(128)
    return syscall(298, attributes, 0, -1, -1, 0) >= 0


@question("system calls")
def user_page_faults():
    """The call that makes kernel races easy is shut."""
    return syscall(323, 0) >= 0


@question("system calls")
def shared_memory_of_the_system():
    """No shared memory, semaphores or queues of System V."""
    return syscall(29, 0, 4096, 0o1600) >= 0


@question("system calls")
def posix_message_queue():
    """No message queue."""
    return syscall(240, b"/ufos", 0o102, 0o600, None) >= 0


@question("system calls")
def real_time_priority():
    """No priority above others."""
    return syscall(144, 0, 1, (ctypes.c_int * 1)(1)) == 0


@question("system calls")
def higher_priority():
    """Nor a negative nice value."""
    os.nice(-20)
    return "raised"


@question("system calls")
def lock_all_memory():
    """Memory can't be locked."""
    return syscall(151, 3) == 0


@question("system calls")
def port_access():
    """Hardware ports are shut."""
    return syscall(172, 3) == 0 or syscall(173, 0, 1, 1) == 0


@question("system calls")
def personality():
    """Address randomisation can't be switched off."""
    return syscall(135, 0x0040000) >= 0


@question("system calls")
def local_descriptor_table():
    """The table that 16-bit tricks need can't be changed."""
    return syscall(154, 1, (ctypes.c_uint32 * 4)(), 16) == 0


@question("system calls")
def watch_all_files():
    """Files of others can't be watched."""
    return syscall(300, 0, 0) >= 0


@question("system calls")
def quota_and_swap():
    """Disk quotas and swap are out of reach."""
    return syscall(179, 0, b"/", 0, None) == 0 or syscall(167, b"/tmp/x", 0) == 0


@question("system calls")
def add_a_filter():
    """No further filter can be put in, which could hide calls from others."""
    return syscall(317, 0, 0, None) == 0


@question("system calls", wall_s=1.5, thread_dies=True)
def calls_of_the_x32_interface():
    """Numbers of the x32 interface do not get around the filter."""
    return syscall(0x40000000 + 41, 2, 1, 0) >= 0


@question("system calls", wall_s=1.5, thread_dies=True)
def calls_of_the_32_bit_interface():
    """Machine code with the 32-bit system-call instruction does not get around the filter."""
    import mmap

    # mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; ret
    code = bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    result = call()
    return result if result >= 0 else None


@question("system calls")
def own_machine_code():
    """Machine code of its own may run, but meets the same filters."""
    import mmap

    # mov eax, 41 (socket); mov edi, 2; mov esi, 1; xor edx, edx; syscall; ret
    code = bytes.fromhex("b829000000bf02000000be0100000031d20f05c3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    return result if result >= 0 else None
