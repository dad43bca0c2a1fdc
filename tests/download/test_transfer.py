"""What goes wrong on the way: breaks, stalls, lies, other versions, refusals."""

from collections import deque
from functools import partial
from pathlib import Path

import pytest

import download_models
from tests.download.conftest import CUSTOM, VGG16, Download, files
from tests.download.site import Answer, Request, Site, redirect, serve, status

MB = 1 << 20


def names(folder: Path) -> set[str]:
    return {file.name for file in files(folder)}


def test_goes_on_where_it_broke_off(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, until=4 * MB), partial(serve, until=6 * MB)]

    outcome = download()

    assert outcome.status == 0
    assert (dest / CUSTOM).read_bytes() == custom
    assert names(dest) == {CUSTOM, VGG16}
    # Each try begins with the last byte of the one before.
    assert site.asked == [(CUSTOM, None), (CUSTOM, "bytes=4194303-"), (CUSTOM, "bytes=6291454-")]
    assert outcome.err.count("The download stopped: IncompleteRead(") == 2


def test_the_next_run_goes_on(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, until=stop * MB) for stop in (1, 2, 3, 4)]

    outcome = download()

    assert outcome.status == 1
    assert names(dest) == {VGG16, f"{CUSTOM}.part", f"{CUSTOM}.version.part"}
    assert f"{CUSTOM} was not fetched from {site.url}: IncompleteRead(" in outcome.err
    assert outcome.err.endswith(
        "Check the network and run this again: it goes on where it stopped. The starter weights go on serving.\n"
    )
    assert len(site.asked) == 4
    assert download().status == 0
    assert site.asked[4:] == [(CUSTOM, "bytes=4194300-")]
    assert (dest / CUSTOM).read_bytes() == custom
    assert names(dest) == {CUSTOM, VGG16}


@pytest.mark.parametrize("checks_version", [True, False], ids=["If-Range", "no If-Range"])
def test_a_file_that_changed_is_not_spliced(
    site: Site, dest: Path, download: Download, custom: bytes, checks_version: bool
) -> None:
    other = bytes(custom[: len(custom) // 2][::-1]) + custom[len(custom) // 2 :]

    def changes(request: Request) -> None:
        site.files[CUSTOM] = custom
        site.validators["ETag"] = '"2"'
        serve(request, checks_version=checks_version)

    site.files[CUSTOM] = other
    site.plan += [partial(serve, until=4 * MB), changes]

    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom
    assert [wanted for _, wanted in site.asked] == [None, "bytes=4194303-", None][: 2 if checks_version else 3]


def test_a_part_of_a_longer_version_is_replaced(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    (dest / f"{CUSTOM}.part").write_bytes(custom + b"more")
    (dest / f"{CUSTOM}.version.part").write_text('"0"')

    assert download().status == 0
    assert len(site.asked) == 1
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_server_without_ranges_starts_again(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, until=4 * MB), partial(serve, ranges=False)]

    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("validators", "wanted"),
    [
        ({"ETag": 'W/"1"', "Last-Modified": "Mon, 01 Mar 2021 10:00:00 GMT"}, "bytes=4194303-"),
        ({"ETag": 'W/"1"'}, None),
        ({}, None),
    ],
    ids=["date", "weak ETag", "nothing"],
)
def test_resumes_only_what_can_be_told_apart(
    site: Site, dest: Path, download: Download, validators: dict[str, str], wanted: str | None
) -> None:
    site.validators = validators
    site.plan += [partial(serve, until=4 * MB)]

    assert download().status == 0
    assert site.asked[1:] == [(CUSTOM, wanted)]
    assert (dest / CUSTOM).read_bytes() == site.files[CUSTOM]


def test_a_part_that_is_too_long_is_thrown_away(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    (dest / f"{CUSTOM}.part").write_bytes(custom + b"more")
    (dest / f"{CUSTOM}.version.part").write_text('"1"')

    outcome = download()

    assert outcome.status == 0
    assert "the server answered 416" in outcome.err
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(custom) + 3}-", None]
    assert (dest / CUSTOM).read_bytes() == custom


@pytest.mark.parametrize("content_range", ["bytes 0-9/*", "bytes 5-{end}/{total}", "all of it"])
def test_a_piece_that_does_not_fit_is_thrown_away(
    site: Site, dest: Path, download: Download, custom: bytes, content_range: str
) -> None:
    site.plan += [partial(serve, until=4 * MB), partial(serve, content_range=content_range)]

    outcome = download()

    assert outcome.status == 0
    assert "a piece that does not fit the one before" in outcome.err
    assert [wanted for _, wanted in site.asked] == [None, "bytes=4194303-", None]
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_server_that_stalls_is_asked_again(
    site: Site, dest: Path, download: Download, custom: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_models, "TIMEOUT_S", (5, 0.3))
    site.plan += [partial(serve, until=4 * MB, hang=True)]

    outcome = download()

    assert outcome.status == 0
    assert "The download stopped: timed out." in outcome.err
    assert site.asked[1:] == [(CUSTOM, "bytes=4194303-")]
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_server_that_says_nothing_is_given_up(
    site: Site, dest: Path, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(request: Request) -> None:
        site.release.wait(10)

    monkeypatch.setattr(download_models, "TIMEOUT_S", (5, 0.1))
    site.plan += [silent] * 4

    outcome = download()

    assert outcome.status == 1
    assert f"{CUSTOM} was not fetched from {site.url}: timed out. Check the network" in outcome.err
    assert len(site.asked) == 4
    assert CUSTOM not in names(dest)


def test_a_length_that_is_too_long_is_asked_about(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, claim=100)]

    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_length_that_stays_too_long_is_a_failure(site: Site, dest: Path, download: Download) -> None:
    site.plan += [partial(serve, claim=100)] * 4

    assert download().status == 1
    assert CUSTOM not in names(dest)


def test_a_length_that_is_too_short_is_noticed(site: Site, dest: Path, download: Download) -> None:
    site.plan += [partial(serve, claim=-100)]

    outcome = download()

    assert outcome.status == 1
    assert "it is no PyTorch file, or a part of one (it begins with b'PK" in outcome.err
    assert names(dest) == {VGG16}


def test_a_range_past_the_end_starts_again(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    site.plan += [partial(serve, until=4 * MB), partial(serve, content_range="bytes {start}-{end}/5000000")]

    outcome = download()

    assert outcome.status == 0
    assert f"{len(custom):,} bytes came of 5,000,000" in outcome.err
    assert [wanted for _, wanted in site.asked] == [None, "bytes=4194303-", None]


def test_a_piece_shorter_than_asked_for_is_completed(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    def piece(request: Request) -> None:
        whole, site.files[CUSTOM] = site.files[CUSTOM], custom[: 6 * MB]
        serve(request, content_range=f"bytes {{start}}-{{end}}/{len(custom)}")
        site.files[CUSTOM] = whole

    site.plan += [partial(serve, until=4 * MB), piece]

    outcome = download()

    assert outcome.status == 0
    assert f"6,291,456 bytes came of {len(custom):,}" in outcome.err
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_file_of_unknown_length(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    def chunked(request: Request) -> None:
        request.head(200, {"Transfer-Encoding": "chunked"})
        request.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(custom), custom))

    site.plan += [chunked]

    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom


def test_a_file_is_asked_for_as_it_is(site: Site, download: Download) -> None:
    def compressed(request: Request) -> None:
        if "gzip" in request.headers["Accept-Encoding"]:
            request.head(406, {"Content-Length": "0"})
        else:
            serve(request)

    site.plan += [compressed]

    assert download().status == 0


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again(
    site: Site, dest: Path, download: Download, custom: bytes, code: int
) -> None:
    site.plan += [status(code)] * 3

    assert download().status == 0
    assert (dest / CUSTOM).read_bytes() == custom


@pytest.mark.parametrize(("code", "tries"), [(204, 1), (304, 1), (401, 1), (403, 1), (404, 1), (500, 4)])
def test_a_refusal_is_told(site: Site, dest: Path, download: Download, code: int, tries: int) -> None:
    site.plan += [status(code)] * tries

    outcome = download()

    assert outcome.status == 1
    assert f"{CUSTOM} was not fetched from {site.url}: the server answered {code} " in outcome.err
    assert outcome.err.endswith(
        "Try again later, or give another address with --base-url. The starter weights go on serving.\n"
    )
    assert len(site.asked) == tries
    assert names(dest) == {VGG16}


def test_a_redirect_is_followed(site: Site, dest: Path, download: Download, custom: bytes) -> None:
    elsewhere = redirect(f"{site.url}/{CUSTOM}?region=eu")
    site.plan += [elsewhere, partial(serve, until=4 * MB), elsewhere]

    assert download().status == 0
    assert site.asked[3:] == [(CUSTOM, "bytes=4194303-")]
    assert (dest / CUSTOM).read_bytes() == custom


@pytest.mark.parametrize(
    ("to", "words"), [(f"/models/{CUSTOM}", "Exceeded 30 redirects"), ("http://[", "Invalid IPv6 URL")]
)
def test_redirects_to_nowhere(site: Site, dest: Path, download: Download, to: str, words: str) -> None:
    answers: list[Answer] = [redirect(to)] * 31
    site.plan = deque(answers)

    outcome = download()

    assert outcome.status == 1
    assert words in outcome.err
    assert names(dest) == {VGG16}


@pytest.mark.parametrize(
    "address",
    ["no scheme", "http://", "file:///models", "http://[", "http://two..dots", "http://127.0.0.1:port", "http://ho st"],
)
def test_an_address_that_is_none(dest: Path, download: Download, address: str) -> None:
    outcome = download("--base-url", address)

    assert outcome.status == 1
    assert f"{CUSTOM} was not fetched from {address}: " in outcome.err
    assert "Check the address (--base-url)" in outcome.err
    assert names(dest) == {VGG16}


def test_a_server_that_is_not_there(site: Site, dest: Path, download: Download) -> None:
    outcome = download("--base-url", "http://127.0.0.1:9")

    assert outcome.status == 1
    assert outcome.err.count("Connection refused") == 4
    assert "Check the network" in outcome.err


def test_no_secure_connection(site: Site, dest: Path, download: Download) -> None:
    outcome = download("--base-url", site.url.replace("http", "https"))

    assert outcome.status == 1
    assert "SSL" in outcome.err
    assert "this machine's clock and certificates" in outcome.err
    assert "Next try" not in outcome.err
