import socket

import pytest

from readability_triton.serving.errors import PortTakenError
from readability_triton.serving.ports import check_free, free_ports


def test_free_ports_differ_and_can_be_listened_on():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        check_free(port, "127.0.0.1")


def test_no_ports_are_no_ports():
    assert free_ports(0) == []


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 cannot be used: Address already in use"):
            check_free(port, "127.0.0.1")


def test_a_port_is_free_again_when_its_holder_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
    check_free(port, "127.0.0.1")


def test_an_address_that_this_machine_has_not_is_named():
    with pytest.raises(PortTakenError, match=r"on 192\.0\.2\.1 cannot be used"):
        check_free(8000, "192.0.2.1")
