"""What run.sbatch asks of Ray: an address for its head, and whether all nodes of the job have joined.

python recipes/slurm/cluster.py address          # this node's IP and two free ports, on the interface INTERFACE
python recipes/slurm/cluster.py wait n1 n2       # until both are in the cluster at RAY_ADDRESS, JOIN_SECONDS at most
"""

import os
import socket
import sys
import time
from collections.abc import Sequence

import psutil
import ray
from ray.util import get_node_ip_address

POLL_SECONDS = 1.0
MARK = "slurm-"  # node.sh names each node by a resource


def node_ip(interface: str | None) -> str:
    """The IPv4 address of an interface, by default of that which leads out.

    Raises:
        ValueError: there is no such interface, or it has no IPv4 address.
    """
    if not interface:
        return get_node_ip_address()
    found = psutil.net_if_addrs()
    for address in found.get(interface, []):
        if address.family == socket.AF_INET:
            return address.address
    raise ValueError(f"INTERFACE={interface} has no IPv4 address here; the interfaces are {', '.join(sorted(found))}")


def free_ports(count: int) -> list[int]:
    """Distinct ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def missing(names: Sequence[str], nodes: Sequence[dict]) -> list[str]:
    """Those of `names` that are not among the living `nodes`, as ray.nodes() tells them."""
    joined = {resource for node in nodes if node["Alive"] for resource in node["Resources"]}
    return [name for name in names if MARK + name not in joined]


def answers(address: str) -> bool:
    """Whether somebody listens at IP:PORT."""
    ip, _, port = address.rpartition(":")
    try:
        socket.create_connection((ip, int(port)), timeout=POLL_SECONDS).close()
    except OSError:
        return False
    return True


def wait(names: Sequence[str], address: str, seconds: float) -> str:
    """Wait until all nodes are there, and tell what the cluster has.

    Raises:
        TimeoutError: the head does not answer, or a node has not joined in time.
    """
    deadline = time.monotonic() + seconds
    while not answers(address):  # first: ray.init has a patience of its own, of many minutes
        if time.monotonic() > deadline:
            raise TimeoutError(f"Ray's head at {address} did not answer within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    ray.init(address, log_to_driver=False, logging_level="ERROR", _node_ip_address=os.environ.get("NODE_IP"))
    while absent := missing(names, ray.nodes()):
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{len(names) - len(absent)} of {len(names)} nodes joined Ray within {seconds:.0f} s, without "
                f"{', '.join(absent)}; see ray-node*.log in the run folder, and if they do not reach {address}, name "
                "the network between the nodes: INTERFACE=ib0 sbatch ..."
            )
        time.sleep(POLL_SECONDS)
    resources = ray.cluster_resources()
    return (
        f"{len(names)} node(s) in the Ray cluster at {address} with {resources.get('CPU', 0):.0f} CPUs and "
        f"{resources.get('GPU', 0):.0f} GPUs to schedule on"
    )


def main() -> None:
    """Answer one of the two questions."""
    try:
        if sys.argv[1:] == ["address"]:
            print(node_ip(os.environ.get("INTERFACE")), *free_ports(2))
        elif len(sys.argv) > 2 and sys.argv[1] == "wait":
            print(wait(sys.argv[2:], os.environ["RAY_ADDRESS"], float(os.environ.get("JOIN_SECONDS", "300"))))
        else:
            sys.exit(__doc__)
    except (TimeoutError, ValueError) as error:
        sys.exit(f"cluster.py: {error}")


if __name__ == "__main__":
    main()
