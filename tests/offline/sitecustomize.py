# SPDX-License-Identifier: Apache-2.0
"""Refuses connections to other machines, in the tests and in every Python process they start.

Python loads a module of this name by itself when the folder is on ``PYTHONPATH``.
"""

import ipaddress
import socket
from typing import Any


class NetworkUseError(RuntimeError):
    """Something tried to reach another machine; Endoforge works offline."""


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a socket file
        return True
    host = address[0]
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


class OfflineSocket(socket.socket):
    """A socket that only reaches this machine."""

    def connect(self, address: Any) -> None:
        if not _is_local(address):
            raise NetworkUseError(f"expected no network use, but something connects to {address!r}")
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        if not _is_local(address):
            raise NetworkUseError(f"expected no network use, but something connects to {address!r}")
        return super().connect_ex(address)


_getaddrinfo = socket.getaddrinfo


def _local_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None and not _is_local((name,)):
        raise NetworkUseError(f"expected no network use, but something looks up {name!r}")
    return _getaddrinfo(host, *args, **kwargs)


socket.socket = OfflineSocket  # type: ignore[misc]
socket.getaddrinfo = _local_getaddrinfo
