"""Attacks over the network: nothing leaves, nothing comes in, not even to the machine itself."""

# pyright: reportUndefinedVariable=false

from ufos_sandbox.probes import question


@question("network")
def tcp_to_the_internet():
    """No connection to any address can be opened."""
    import socket

    return socket.create_connection(("1.1.1.1", 80), timeout=2)


@question("network")
def udp_to_the_internet():
    """No datagram can be sent."""
    import socket

    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("1.1.1.1", 53))


@question("network")
def name_lookup():
    """No name can be resolved."""
    import socket

    return socket.getaddrinfo("example.com", 80)


@question("network")
def metadata_service():
    """The address that clouds serve credentials from is not reachable."""
    import urllib.request

    return urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=2).read()


@question("network")
def service_on_the_host():
    """Services of the host are not reachable over Docker's bridge."""
    import socket

    return socket.create_connection(("172.17.0.1", 22), timeout=2)


@question("network")
def listen_on_loopback():
    """No port can be opened, not even on the loopback device."""
    import socket

    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server.getsockname()


@question("network")
def ipv6_socket():
    """There is no IPv6 either."""
    import socket

    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM)


@question("network")
def raw_socket():
    """No packets can be forged."""
    import socket

    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


@question("network")
def packet_socket():
    """No traffic can be read."""
    import socket

    return socket.socket(17, socket.SOCK_RAW)


@question("network")
def vsock_to_the_hypervisor():
    """The socket family that leads to a hypervisor, and that network namespaces do not cover, is shut."""
    import socket

    return socket.socket(40, socket.SOCK_STREAM)


@question("network")
def netlink_socket():
    """The kernel's tables of networks can't be asked."""
    import socket

    return socket.socket(16, socket.SOCK_RAW, 0)


@question("network")
def kernel_crypto_socket():
    """The kernel's cipher interface, a source of holes, is shut."""
    import socket

    return socket.socket(38, 5)


@question("network")
def abstract_unix_socket():
    """No socket without a file can be used to talk to another container."""
    import socket

    server = socket.socket(socket.AF_UNIX)
    server.bind("\0ufos")
    return server


@question("network")
def docker_socket():
    """Docker's socket is not there, and no socket could be opened to it."""
    import socket

    client = socket.socket(socket.AF_UNIX)
    client.connect("/var/run/docker.sock")
    return client


@question("network")
def pair_of_sockets():
    """Not even a pair of sockets within the process can be made."""
    import socket

    return socket.socketpair()


@question("network")
def socket_through_io_uring():
    """The asynchronous interface that goes around system-call filters can't be set up."""
    parameters = ctypes.create_string_buffer(120)
    return syscall(425, 8, parameters)
