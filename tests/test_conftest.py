# SPDX-License-Identifier: Apache-2.0
"""The guards that all other tests rely on do guard."""

import socket
import subprocess
import sys

import numpy as np
import pytest

from endoforge.streams import stream


def test_connecting_to_another_machine_is_refused():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one,
        pytest.raises(RuntimeError, match="expected no network use"),
    ):
        one.connect(("192.0.2.1", 80))


def test_looking_up_another_machine_is_refused():
    with pytest.raises(RuntimeError, match="expected no network use"):
        socket.getaddrinfo("example.org", 80)


def test_connecting_within_this_machine_works():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_child_processes_are_refused_the_network_too():
    code = "import socket; socket.create_connection(('example.org', 80), timeout=5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "expected no network use" in done.stderr


def test_annotations_are_checked_during_the_tests():
    with pytest.raises(Exception, match="seed"):
        stream("seven", "anatomy")  # type: ignore[arg-type]


def test_plain_shapes_lets_a_functions_own_refusal_through(plain_shapes):
    with pytest.raises((TypeError, ValueError)):
        stream("seven", "anatomy")  # type: ignore[arg-type]


def test_an_int_is_welcome_where_a_float_is_asked_for():
    from endoforge.optics.light import LightSource

    light = LightSource((0, 0, 0), (0, 0, 1), 1, 1, (1, 1, 1))
    assert np.isfinite(light.intensity)
