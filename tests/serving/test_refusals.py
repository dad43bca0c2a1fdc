"""What is no photo, and what was made to do harm: each is answered in a sentence, and the next good photo as ever."""

import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import EpsImagePlugin, Image

from tests.serving.apps import GOOD, send, serving
from tests.serving.photos import encoded, noise, png, quarters

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One app for all of them: what the first does to it, the last would notice."""
    with serving(tmp_path_factory.mktemp("artifacts")) as client:
        yield client


def zipped() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", GOOD)
    return file.getvalue()


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of 8×8 grey pixels; ``entries`` (tag, type, count, value) come on top or instead."""
    tags = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}
    tags |= {278: (3, 1, 8), 279: (4, 1, 64)} | {tag: (kind, count, value) for tag, kind, count, value in entries}
    tags[273] = tags.get(273, (4, 1, 8 + 2 + 12 * (len(tags) + (273 not in tags)) + 4))
    ifd = b"".join(struct.pack("<HHII", tag, *rest) for tag, rest in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + ifd + struct.pack("<I", following) + bytes(range(64))


def bitmap(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info + bytes(64)


def gif(width: int, height: int, frames: bytes = b"") -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frames + b";"


def webp(width: int, height: int) -> bytes:
    """A film of one frame of 8×8 pixels on a canvas as large as it says."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    def three(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(3, "little") for number in numbers)

    small = encoded(quarters(8, 8), "WEBP", lossless=True)[12:]
    chunks = chunk(b"VP8X", b"\x02\0\0\0" + three(width - 1, height - 1)) + chunk(b"ANIM", bytes(6))
    chunks += chunk(b"ANMF", three(0, 0, 7, 7, 100) + b"\0" + small)
    return chunk(b"RIFF", b"WEBP" + chunks)


def enlarged_jpeg() -> bytes:
    """A JPEG whose header says 65500×65500."""
    frame = GOOD.index(b"\xff\xc0")
    return GOOD[: frame + 5] + struct.pack(">HH", 65500, 65500) + GOOD[frame + 9 :]


def scans() -> bytes:
    data = encoded(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


NO_PHOTO: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\xff",
    "zeros": lambda: bytes(10_000),
    "text": lambda: b"This is a photo of a lemon.",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "svg with prolog": lambda: b'<?xml version="1.0"?><!DOCTYPE svg SYSTEM "file:///etc/passwd"><svg/>',
    "html": lambda: b"<!doctype html><title>404</title>",
    "json": lambda: b'{"file": "photo.jpg"}',
    "pdf": lambda: b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n%%EOF",
    "eps": lambda: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/etc/passwd) run\nshowpage\n%%EOF\n"
    ),
    "eps with preview": lambda: (
        b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIII", 30, 99, 0, 0, 0, 0) + b"\xff\xff%!PS-Adobe"
    ),
    "psd": lambda: b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(200),
    "ico": lambda: encoded(quarters(32, 32), "ICO"),
    "icns": lambda: encoded(quarters(32, 32), "ICNS"),
    "jpeg 2000": lambda: encoded(quarters(32, 32), "JPEG2000"),
    "tga": lambda: encoded(quarters(32, 32), "TGA"),
    "ppm": lambda: encoded(quarters(32, 32), "PPM"),
    "pcx": lambda: encoded(quarters(32, 32), "PCX"),
    "zip": zipped,
    "mp4": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(1000),
    "elf": lambda: b"\x7fELF\x02\x01\x01" + bytes(1000),
    "byte order mark": lambda: b"\xef\xbb\xbf" + GOOD,
    "text before a photo": lambda: b"\r\n\r\n" + GOOD,
    "base64": lambda: b"data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD",
}


BROKEN: dict[str, Callable[[], bytes]] = {
    "gif of no frames": lambda: gif(8, 8),
    "gif of no frames and no end": lambda: gif(8, 8)[:-1],
    "gif of no size": lambda: gif(0, 0),
    "png of no size": lambda: png(0, 0, 8, 2, b""),
    "png without pixels": lambda: png(8, 8, 8, 2, b""),
    "png of too few pixels": lambda: png(80, 80, 8, 2, bytes(80 * 3)),
    "png with a wrong checksum": lambda: png(8, 8, 8, 0, bytes(64))[:29] + bytes(4) + png(8, 8, 8, 0, bytes(64))[33:],
    "png of an unknown kind": lambda: png(8, 8, 3, 5, bytes(64)),
    "png without a palette": lambda: png(8, 8, 8, 3, bytes(64)).replace(b"IDAT", b"IDAX"),
    "bmp of no size": lambda: bitmap(0, 0),
    "bmp without pixels": lambda: bitmap(100, 100),
    "tiff of no tags": lambda: b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "tiff that begins nowhere": lambda: b"II*\0\xff\xff\xff\x7f",
    "tiff that begins in itself": lambda: b"II*\0\0\0\0\0",
    "tiff whose pixels lie beyond its end": lambda: tiff((273, 4, 1, 0x7FFFFFFF)),
    "tiff of no size": lambda: tiff((256, 3, 1, 0)),
    "tiff of an unknown compression": lambda: tiff((259, 3, 1, 12345)),
    "jpeg of two bytes": lambda: b"\xff\xd8",
    "jpeg of nothing but an end": lambda: b"\xff\xd8\xff\xd9",
    "jpeg without its tables": lambda: GOOD.replace(b"\xff\xdb", b"\xff\xfe"),
    "jpeg without pixels": lambda: GOOD[: GOOD.index(b"\xff\xda")] + b"\xff\xd9",
    "jpeg of too many scans": scans,
    "webp of no chunks": lambda: b"RIFF\x04\0\0\0WEBP",
    "heic of no items": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x0cmeta\0\0\0\0",
    "avif of no items": lambda: b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\0\x0cmeta\0\0\0\0",
    "text that unpacks to a gigabyte": lambda: png(
        8, 8, 8, 0, bytes(64), (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 1))
    ),
}

TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "png that says it is vast": lambda: png(100_000, 100_000, 8, 2, b""),
    "png that is": lambda: png(20_000, 20_000, 1, 0, bytes(2500 * 20_000)),
    "png as long as can be": lambda: png(2**31 - 1, 1, 8, 0, b""),
    "gif": lambda: gif(65535, 65535, b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"),
    "bmp": lambda: bitmap(60_000, 60_000),
    "bmp upside down": lambda: bitmap(60_000, -60_000),
    "tiff": lambda: tiff((256, 4, 1, 100_000), (257, 4, 1, 100_000)),
    "jpeg": enlarged_jpeg,
    "webp": lambda: webp(16383, 16383),
}

MAGIC = {
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "exif": b"\xff\xd8\xff\xe1\0\x20Exif\0\0MM\0\x2a\0\0\0\x08",
    "png": b"\x89PNG\r\n\x1a\n",
    "png header": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "gif87": b"GIF87a",
    "gif89": b"GIF89a",
    "webp": b"RIFF\x90\x01\0\0WEBP",
    "webp lossy": b"RIFF\x90\x01\0\0WEBPVP8 \x80\x01\0\0",
    "webp lossless": b"RIFF\x90\x01\0\0WEBPVP8L\x80\x01\0\0\x2f",
    "bmp": b"BM",
    "tiff little": b"II*\0\x08\0\0\0",
    "tiff big": b"MM\0*\0\0\0\x08",
    "bigtiff": b"II+\0\x08\0\0\0",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    "psd": b"8BPS",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "ico": b"\0\0\x01\0\x01\0",
    "zip": b"PK\x03\x04",
}


def refused(client: TestClient, data: bytes, *statuses: int) -> str:
    """The sentence it is refused with, once it is known to be one, and the app to be as well as before."""
    answer = send(client, data)
    assert answer.status_code in statuses, answer.text
    assert list(answer.json()) == ["detail"]
    sentence: str = answer.json()["detail"]
    assert re.fullmatch(r"(The|A) [^/\\<>\n]+\.", sentence)
    assert not re.search(r"Error|Exception|Traceback|PIL|0x|\.py|None", sentence)
    assert send(client).json()["likely_class"] == "lemon"
    return sentence


@pytest.mark.parametrize("kind", NO_PHOTO)
def test_no_photo(kind: str, client: TestClient) -> None:
    sentence = refused(client, NO_PHOTO[kind](), 400)

    if kind != "empty":
        assert sentence.startswith("The file is not a photo this service reads (JPEG, PNG, WebP")
    else:
        assert sentence == "The file is empty."


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_photo(kind: str, client: TestClient) -> None:
    refused(client, BROKEN[kind](), 400)


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_more_pixels_than_are_taken(kind: str, client: TestClient) -> None:
    sentence = refused(client, TOO_LARGE[kind](), 413)

    assert re.fullmatch(r"The photo has \d+×\d+ pixels; at most 50 million are accepted\.", sentence)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.98])
def test_a_photo_that_ends_too_soon(format_: str, share: float, client: TestClient) -> None:
    whole = encoded(noise(80, 60), format_)
    assert send(client, whole).status_code == 200

    refused(client, whole[: int(len(whole) * share)], 400)


def test_a_progressive_photo_that_ends_too_soon(client: TestClient) -> None:
    whole = encoded(noise(800, 600), "JPEG", progressive=True)

    refused(client, whole[: len(whole) // 2], 400)


@pytest.mark.parametrize("kind", MAGIC)
def test_noise_that_begins_like_a_photo(kind: str, client: TestClient) -> None:
    for seed in range(3):
        refused(client, MAGIC[kind] + random.Random(seed).randbytes(400), 400, 413)


@pytest.mark.parametrize("kind", ["eps", "eps with preview"])
def test_postscript_is_never_run(kind: str, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Image.Image:
        pytest.fail("Ghostscript was asked")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)

    refused(client, NO_PHOTO[kind](), 400)


ODD_BUT_WHOLE: dict[str, Callable[[], bytes]] = {
    "tiff whose pages go round in a circle": lambda: tiff(following=8),
    "tiff whose next page lies beyond its end": lambda: tiff(following=0x7FFFFFFF),
    "tiff whose tags are its own pages": lambda: tiff((330, 4, 1, 8), (34665, 4, 1, 8), (34853, 4, 1, 8)),
    "tiff with a tag that never ends": lambda: tiff((258, 3, 0xFFFFFFFF, 8)),
    "webp film on a larger canvas": lambda: webp(100, 100),
    "jpeg with rubbish after it": lambda: GOOD + random.Random(1).randbytes(5000),
    "jpeg with a page after it": lambda: GOOD + b"<script>alert(1)</script>",
    "png of one pixel": lambda: png(1, 1, 8, 0, b"\x80"),
    "png as long as a road": lambda: png(1, 1_000_000, 8, 0, bytes(1_000_000)),
    "webp under the name of a jpeg": lambda: encoded(quarters(), "WEBP"),
}


@pytest.mark.parametrize("kind", ODD_BUT_WHOLE)
def test_what_is_odd_but_whole_is_answered(kind: str, client: TestClient) -> None:
    assert send(client, ODD_BUT_WHOLE[kind]()).json()["likely_class"] == "lemon"
