"""The system under attack, and how it is asked for other things than predictions."""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from attack.clients.uploads import Uploads
from attack.confined import Confined

__all__ = ["TIMEOUT_S", "Target"]

TIMEOUT_S = 60


@dataclass(frozen=True)
class Target:
    """The system under attack, whose uploads are counted; how often some attacks are tried."""

    system: Confined
    uploads: Uploads
    photo: bytes
    alternations: int = 40
    labels: int = 100

    @property
    def token(self) -> str:
        """The operator's first."""
        return (self.system.place.data / "token").read_text().strip()

    def facts(self) -> Any:
        """What the experiment says, to its operator."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.get(f"{self.system.url}/experiment.json", headers=headers, timeout=TIMEOUT_S).json()

    def raw(self, data: bytes) -> bytes:
        """What the system says to bytes that are no request of a well-behaved client."""
        parts = urlsplit(self.system.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer
