"""How a gateway finds the parts by name, in a network whose names have to be asked for in full."""

import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Self

import pytest

from local.parts import ROOT
from tests.system import COMPARED, System, eventually

DOMAIN = "photos.svc.cluster.local"


class NameServer:
    """Answers 127.0.0.1 for the ``known`` names and that there is none of any other; ``asked`` are all it was asked."""

    def __init__(self, known: set[str]) -> None:
        self.asked: set[str] = set()
        self._known = known
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while query := self._socket.recvfrom(512):
            data, sender = query
            if not data:
                return
            labels, at = [], 12
            while size := data[at]:
                labels.append(data[at + 1 : at + 1 + size].decode())
                at += 1 + size
            name = ".".join(labels)
            self.asked.add(name)
            found = name in self._known
            head = data[:2] + (b"\x84\x00" if found else b"\x84\x03") + b"\x00\x01" + bytes([0, found]) + bytes(4)
            # The name again, an address (A, IN) that is good for 30 s.
            answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x7f\x00\x00\x01" if found else b""
            self._socket.sendto(head + data[12 : at + 5] + answer, sender)


def test_names_are_asked_for_in_full(tmp_path: Path, photo: bytes) -> None:
    variant = COMPARED[0]
    host = f"{variant.service.replace('_', '-')}.{DOMAIN}"
    with NameServer({host}) as names:
        system = System(
            tmp_path, [variant], HOSTS="dns", DOMAIN=DOMAIN, RESOLVER=names.address, EXPERIMENT_URL="", FIRST_WAIT_S="0"
        )
        try:
            for part in (variant.service, "nginx"):
                system.start(part)
            eventually(lambda: system.predict(photo).status_code == 200)
            eventually(lambda: names.asked == {host, f"experiment.{DOMAIN}"})
        finally:
            system.__exit__()


@pytest.mark.parametrize("domain", ["a b", "photos.", ".svc", "photos;", "http://photos"])
def test_a_domain_that_is_none_is_refused_in_words(tmp_path: Path, domain: str) -> None:
    refused = subprocess.run(
        ["sh", str(ROOT / "nginx" / "gateway.sh"), "first"],
        env={**os.environ, "RUN_DIR": str(tmp_path), "HOSTS": "dns", "DOMAIN": domain},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr == f"gateway: DOMAIN={domain} is no domain such as photos.svc.cluster.local.\n"
