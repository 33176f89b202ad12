"""What records the hosts that a run asks for sees them."""

import os
import subprocess
import sys

from tests.connections import foreign, recording

PROGRAM = """
import socket
for host in ("127.0.0.1", "192.0.2.1"):
    with socket.socket() as one:
        one.settimeout(0.05)
        try:
            one.connect((host, 9))
        except OSError:
            pass
try:
    socket.getaddrinfo("nowhere.invalid", 80)
except OSError:
    pass
"""


def test_hosts_beside_this_machine_are_recorded(tmp_path):
    variables = recording(tmp_path / "connections")
    subprocess.run([sys.executable, "-c", PROGRAM], env=os.environ | variables, check=True, timeout=60)
    assert (tmp_path / "connections" / "hosts").read_text().split() == ["127.0.0.1", "192.0.2.1", "nowhere.invalid"]
    assert foreign(tmp_path / "connections") == {"192.0.2.1", "nowhere.invalid"}
