"""What recipes/slurm/cluster.py tells of a machine and of a cluster's nodes."""

import socket

import psutil
import pytest

from recipes.slurm.cluster import free_ports, missing, node_ip, wait


def test_the_address_of_an_interface():
    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(address.family == socket.AF_INET and address.address == "127.0.0.1" for address in addresses)
    )
    assert node_ip(loopback) == "127.0.0.1"


def test_an_unknown_interface_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"INTERFACE=ib7 has no IPv4 address here; the interfaces are .*lo"):
        node_ip("ib7")


def test_ports_are_distinct_and_can_be_listened_on():
    ports = free_ports(3)
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("", port))


def test_nodes_that_died_or_never_came_are_missing():
    nodes = [
        {"Alive": True, "Resources": {"CPU": 16.0, "slurm-n1": 1.0}},
        {"Alive": False, "Resources": {"slurm-n2": 1.0}},
        {"Alive": True, "Resources": {"CPU": 16.0}},
    ]
    assert missing(["n1", "n2", "n3"], nodes) == ["n2", "n3"]
    assert missing(["n1"], nodes) == []


def test_no_head_is_waited_for_no_longer_than_said():
    (port,) = free_ports(1)
    with pytest.raises(TimeoutError, match=f"Ray's head at 127.0.0.1:{port} did not answer within 0 s"):
        wait(["n1"], f"127.0.0.1:{port}", 0)
