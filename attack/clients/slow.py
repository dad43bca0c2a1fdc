"""Clients that take their time: over their headers, over their photo, over the answer; and some that leave."""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from attack.clients.uploads import form

__all__ = ["SLOW", "Crowd", "crowd", "leavers"]

_STEP_S = 0.5
_RECEIVE_BYTES = 4096


@dataclass
class Crowd:
    """What became of slow clients: how many the system has sent away by itself, and how many got a whole answer."""

    kind: str
    clients: int
    seconds: float
    closed: int = 0
    bytes_read: int = 0


def _request(data: bytes, path: str) -> bytes:
    body = form(data)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: multipart/form-data; boundary=attack-boundary\r\n\r\n" + body


def headers(photo: bytes) -> tuple[bytes, int]:
    """A request of which one byte comes at a time, and how many bytes come at once."""
    return _request(photo, "/predict"), 0


def bodies(photo: bytes) -> tuple[bytes, int]:
    """The headers at once, and nearly ten megabytes a byte at a time."""
    request = _request(photo + bytes(9_000_000), "/predict")
    return request, request.index(b"\r\n\r\n") + 1000


def readers(photo: bytes) -> tuple[bytes, int]:
    """All of it at once, for an answer of a few megabytes that nobody reads."""
    request = _request(photo + bytes(3_000_000), "/predict?include_image=true")
    return request, len(request)


SLOW: dict[str, Callable[[bytes], tuple[bytes, int]]] = {
    "slow headers": headers,
    "slow bodies": bodies,
    "slow readers": readers,
}


def crowd(url: str, kind: str, photo: bytes, clients: int, seconds: float) -> Crowd:
    """So many clients of a kind for so many seconds."""
    found = Crowd(kind, clients, seconds)
    request, at_once = SLOW[kind](photo)
    with selectors.DefaultSelector() as selector:
        for number in range(clients):
            with suppress(OSError):
                selector.register(_connected(url, number), selectors.EVENT_READ, [memoryview(request), at_once])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and selector.get_map():
            for key in list(selector.get_map().values()):
                if not _advance(key, found):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            time.sleep(_STEP_S)
        for key in list(selector.get_map().values()):
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
    return found


def _advance(key: selectors.SelectorKey, found: Crowd) -> bool:
    """A byte more, or what is due at once; false where the other side is gone."""
    connection: socket.socket = key.fileobj  # type: ignore[assignment]
    unsent, at_once = key.data
    try:
        if unsent:
            sent = connection.send(unsent[: max(at_once, 1)])
            key.data[0], key.data[1] = unsent[sent:], max(at_once - sent, 0)
    except BlockingIOError:
        pass
    except OSError:
        found.closed += 1
        return False
    try:
        data = connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        data = b""
    found.bytes_read += len(data)
    found.closed += not data
    return bool(data)


def _connected(url: str, number: int) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    connection.bind((f"127.2.{number // 250}.{1 + number % 250}", 0))
    connection.settimeout(30)
    connection.connect((parts.hostname, parts.port))
    connection.setblocking(False)
    return connection


def leavers(url: str, data: bytes, clients: int) -> None:
    """So many clients that send a photo and are gone before there is an answer."""
    request = _request(data, "/predict")
    for number in range(clients):
        connection = _connected(url, number)
        connection.settimeout(30)
        with connection, suppress(OSError):
            connection.sendall(request)
            time.sleep(0.05)
