"""Forms of one photo, read in one go: the same photo comes out as of any reader of forms, or none at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from serving.web.upload import only_file

PHOTO = b"\xff\xd8\xff \r\n--bound \r\n\r\n--\x00\xff"
NAMED = b'Content-Disposition: form-data; name="file"; filename="a lemon.jpg"\r\n'
TYPED = NAMED + b"Content-Type: image/jpeg\r\n"


def form(head: bytes = TYPED, data: bytes = PHOTO, end: bytes = b"--\r\n", boundary: bytes = b"boundary") -> bytes:
    return b"--" + boundary + b"\r\n" + head + b"\r\n" + data + b"\r\n--" + boundary + end


def kind(boundary: str = "boundary") -> str:
    return f"multipart/form-data; boundary={boundary}"


def by_starlette(content_type: str, body: bytes) -> tuple[str | None, str | None, int | None, bytes]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    async def parse() -> tuple[str | None, str | None, int | None, bytes]:
        parsed = await MultiPartParser(Headers({"Content-Type": content_type}), stream()).parse()  # type: ignore[arg-type]
        file = parsed["file"]
        assert isinstance(file, UploadFile)
        found = file.filename, file.content_type, file.size, await file.read()
        await file.close()
        return found

    return asyncio.run(parse())


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (kind(), form()),
        (kind(), form(NAMED)),
        (kind(), form(end=b"--")),
        (kind(), form(data=b"")),
        (kind(), form(data=b"\r\n" * 9)),
        (kind("----WebKitFormBoundaryAbc123"), form(boundary=b"----WebKitFormBoundaryAbc123")),
    ],
)
def test_it_is_what_any_reader_finds(content_type: str, body: bytes) -> None:
    found = only_file(content_type, body)

    assert found
    said = found.filename, found.content_type, found.size, asyncio.run(found.read())
    assert said == by_starlette(content_type, body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", form()),
        ("application/json", form()),
        ("multipart/form-data", form()),
        (kind('"boundary"'), form()),
        (kind() + "; charset=latin-1", form()),
        (kind("other"), form()),
        (kind(), b""),
        (kind(), b"before\r\n" + form()),
        (kind(), form()[:-9]),
        (kind(), form(end=b"")),
        (kind(), form(end=b"--\r\nafter")),
        (kind(), form(end=b"\r\n" + TYPED + b"\r\nsecond\r\n--boundary--\r\n")),
        (kind(), form(data=b"one\r\n--boundary-x\r\ntwo")),
        (kind(), form(NAMED.replace(b'"file"', b'"sample"'))),
        (kind(), form(NAMED.replace(b"lemon", "zitr\u00f6ne".encode()))),
        (kind(), form(NAMED.replace(b"lemon", b"%22"))),
        (kind(), form(NAMED.replace(b"a lemon", b"C:\\\\lemon"))),
        (kind(), form(NAMED.replace(b"a lemon.jpg", b""))),
        (kind(), form(NAMED.replace(b"lemon", b"l" * 256))),
        (kind(), form(NAMED.replace(b"form-data", b"attachment"))),
        (kind(), form(TYPED + b"X-More: 1\r\n")),
        (kind(), form(TYPED + TYPED)),
    ],
)
def test_anything_else_is_left_to_one_that_reads_all_forms(content_type: str, body: bytes) -> None:
    assert only_file(content_type, body) is None
