"""Processes and ports of this machine: which processes belong to a lab, and which ports are free."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
ARRIVE_SECONDS = 0.5  # seconds for a connection to this machine


def is_free(port: int) -> bool:
    """Whether connections to `port` would reach a server that listens here.

    To bind the port is not enough: a Kubernetes on this machine takes its NodePorts by packet filter, and nothing
    listens there.
    """
    with socket.socket() as server:
        # as the servers themselves do; a port in TIME_WAIT counts as free, a port with a listener does not
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.settimeout(ARRIVE_SECONDS)
        try:
            server.bind((LOOPBACK, port))
            server.listen(1)
            with socket.create_connection((LOOPBACK, port), timeout=ARRIVE_SECONDS) as client:
                arrived, peer = server.accept()
                arrived.close()
                return bool(peer == client.getsockname())
        except OSError:
            return False


def commands() -> Iterator[tuple[int, list[str]]]:
    """Every process of this user and its command line, from /proc where there is one, else from ps."""
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():
        for entry in proc.iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):  # it ended meanwhile, or we may not read it
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                    if words[0] and entry.stat().st_uid == os.getuid():
                        yield int(entry.name), words
        return
    listing = subprocess.run(["ps", "-xww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        if command.strip():
            yield int(pid), command.split()
