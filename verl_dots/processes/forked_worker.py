"""What Ray starts in place of a worker's Python: asks the warm process for a fork that runs the worker.

    python -S -E forked_worker.py SOCKET SCRIPT ARGUMENT ...

Standard library alone, so that it costs some milliseconds. The fork has this process's environment, folder and files.
Where the warm process does not answer (it has ended, hangs, or this is another machine) the worker is run here.
"""

import json
import os
import resource
import socket
import sys

WARM_SECONDS = 300.0  # it answers once it has imported all that it is to


def main() -> None:
    """Hand this worker over, or become it."""
    address, *command = sys.argv[1:]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = {"argv": command, "environ": dict(os.environ), "folder": os.getcwd(), "open_files": limits}
    request = json.dumps(asked).encode()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WARM_SECONDS)
            connection.connect(address)
            socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
            connection.sendall(request)
            if connection.recv(1) == b"1":
                return
    except OSError:
        pass
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    main()
