"""Which hosts the processes of a run connect to or look up, told by Python's audit events in each of them."""

import os
import socket
from pathlib import Path

import psutil

from tests.launches import ROOT

RECORDER = """
import sys

def record(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        import socket
        if arguments[0].type == socket.SOCK_DGRAM:
            return  # asks the kernel which address this machine would send from; nothing is sent
        host = arguments[1][0]
    else:
        return
    with open({file!r}, "a") as log:
        log.write(f"{{host.decode() if isinstance(host, bytes) else host}}\\n")

sys.addaudithook(record)
"""


# Where Ray's head asks in which cloud it runs, at every start: addresses of the machine's own network, answered or not.
CLOUD = {"169.254.169.254", "metadata.google.internal"}


def recording(folder: Path) -> dict[str, str]:
    """Variables with which every Python process of a run records the hosts that it asks for, in `hosts` of a folder."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(RECORDER.format(file=str(folder / "hosts")))
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])}


def foreign(folder: Path) -> set[str]:
    """Hosts that were recorded and are not this machine."""
    own = {"None", "", "localhost", "0.0.0.0", "::", socket.gethostname(), socket.getfqdn()}
    own |= {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    return {
        host for host in (folder / "hosts").read_text().splitlines() if host not in own | CLOUD and host[:4] != "127."
    }
