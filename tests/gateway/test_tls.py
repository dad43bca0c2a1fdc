"""TLS at nginx, and the settings that it needs."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.parts import ROOT, Place, lay_out
from tests.conftest import require
from tests.system import System, eventually, free_port

TIMEOUT_S = 60


def certify(folder: Path, name: str = "localhost") -> None:
    """Makes a certificate that is its own authority, under the names that certbot gives."""
    require("OPENSSL", shutil.which("openssl") is not None, "openssl")
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, int, int]]:
    """nginx and its companion alone, the ports of TLS and of plain HTTP."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "tls").mkdir()
    certify(folder / "tls")
    # A renewed one is newer by a second at least, by which nginx knows it.
    for file in (folder / "tls").iterdir():
        os.utime(file, (0, 0))
    tls, plain = free_port(), free_port()
    system = System(
        folder,
        TLS_CERT=str(folder / "tls"),
        PUBLIC_URL=f"https://localhost:{tls}",
        LISTEN_TLS=f"127.0.0.1:{tls}",
        LISTEN_REDIRECT=f"127.0.0.1:{plain}",
        FIRST_WAIT_S="0",
    )
    try:
        system.start("nginx")
        system.start("gateway")
        eventually(lambda: requests.get(f"{system.url}/healthz", timeout=5).status_code == 503)
        yield system, tls, plain
    finally:
        system.__exit__()


def context(system: System) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(Path(system.settings["TLS_CERT"]) / "fullchain.pem"))


def handshake(port: int, how: ssl.SSLContext) -> ssl.SSLSocket:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain:
        return how.wrap_socket(plain, server_hostname="localhost")


def test_it_speaks_tls_and_says_that_it_always_will(secure: tuple[System, int, int]) -> None:
    system, tls, _ = secure
    answer = requests.get(
        f"https://localhost:{tls}/healthz", verify=str(Path(system.settings["TLS_CERT"]) / "fullchain.pem"), timeout=10
    )
    assert answer.status_code == 503
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    how = context(system)
    how.set_alpn_protocols(["h2"])
    with handshake(tls, how) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocols_and_ciphers_are_not_spoken(secure: tuple[System, int, int]) -> None:
    system, tls, _ = secure
    for version, ciphers in ((ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "AES128-SHA256")):
        how = context(system)
        how.minimum_version, how.maximum_version = ssl.TLSVersion.TLSv1, version
        how.set_ciphers(ciphers)
        with pytest.raises(OSError, match=r"(?i)alert|unsupported|reset|eof"):
            handshake(tls, how)


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_plain_http_is_sent_to_where_people_find_it(secure: tuple[System, int, int], host: str) -> None:
    system, tls, plain = secure
    answer = requests.get(
        f"http://127.0.0.1:{plain}/experiment?id=1", headers={"Host": host}, allow_redirects=False, timeout=TIMEOUT_S
    )
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://localhost:{tls}/experiment?id=1")
    mistaken = requests.get(f"http://127.0.0.1:{tls}/", timeout=TIMEOUT_S)
    assert mistaken.status_code == 400
    assert mistaken.json() == {"detail": "This port speaks TLS: the address begins with https."}
    assert requests.get(f"{system.url}/healthz", timeout=TIMEOUT_S).status_code == 503


def test_a_renewed_certificate_is_taken_up(secure: tuple[System, int, int]) -> None:
    system, tls, _ = secure
    before = ssl.get_server_certificate(("127.0.0.1", tls))
    certify(Path(system.settings["TLS_CERT"]))
    eventually(lambda: ssl.get_server_certificate(("127.0.0.1", tls)) != before)


def first(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Puts in place what a gateway starts with."""
    place = Place("127.0.0.1:0", str(folder / "run"), folder, experiment_port=1)
    lay_out(place)
    return subprocess.run(
        ["sh", str(ROOT / "nginx" / "gateway.sh"), "first"],
        env={**os.environ, **place.gateway, "FIRST_WAIT_S": "0", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "limited"),
    [
        ({}, False),
        ({"ADDRESS": "0.0.0.0"}, True),
        ({"ADDRESS": "0.0.0.0", "ACCESS": "open"}, False),
        ({"ACCESS": "token"}, True),
        ({"ACCESS": "token", "PREDICTIONS_PER_MINUTE": "0"}, False),
        ({"PREDICTIONS_PER_MINUTE": "5"}, True),
    ],
)
def test_where_others_reach_it_they_are_limited(tmp_path: Path, settings: dict[str, str], limited: bool) -> None:
    assert first(tmp_path, **settings).returncode == 0
    assert ("limit_req zone=predictions" in (tmp_path / "run" / "routes.conf").read_text()) == limited


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ACCESS": "closed"}, "ACCESS=closed is neither open nor token."),
        ({"FORCED": "yes"}, "FORCED=yes is neither anyone nor operator."),
        ({"UPLOADS": "many"}, "UPLOADS=many is no whole number."),
        ({"LOGINS_PER_MINUTE": "0"}, "LOGINS_PER_MINUTE and UPLOADS are more than 0."),
        ({"TRUSTED_PROXIES": "proxy; deny all"}, "TRUSTED_PROXIES=proxy; deny all is no list of addresses"),
        ({"PUBLIC_URL": "photos.example.org"}, "PUBLIC_URL=photos.example.org is no address"),
        ({"TLS_CERT": "/none"}, "With TLS_CERT, PUBLIC_URL says where people are sent"),
        ({"TLS_CERT": "/none", "PUBLIC_URL": "https://a"}, "TLS_CERT and TLS_KEY: /none cannot be read by user"),
    ],
)
def test_a_setting_that_cannot_be_is_said_in_one_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    ended = first(tmp_path, **settings)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
