"""Files made to do harm, or to be refused: each by a name, made anew at each call, the same bytes every time.

Every ``Files`` says what an upload may be answered; whoever sends them (the tests here, an attack on a running system)
holds the answers against it.
"""

import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from PIL import Image

from tests.serving.photos import encoded, noise, png, quarters

__all__ = [
    "BOMBS",
    "BROKEN",
    "LABORIOUS",
    "LARGE_BUT_GOOD",
    "MAGIC",
    "NO_PHOTO",
    "ODD_BUT_WHOLE",
    "ODD_METADATA",
    "TOO_LARGE",
    "Files",
    "mutated",
]

Files = Mapping[str, Callable[[], bytes]]

_JPEG = encoded(quarters(), "JPEG")


def zipped() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", _JPEG)
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


def premultiplied(grey: Image.Image) -> bytes:
    """A TIFF of grey and transparency, of which the grey has been multiplied by it already: Pillow's mode La."""
    data = encoded(grey, "TIFF")
    extra = struct.pack("<HHI", 338, 3, 1)
    assert extra + b"\2\0\0\0" in data
    return data.replace(extra + b"\2\0\0\0", extra + b"\1\0\0\0")


def enlarged_jpeg() -> bytes:
    """A JPEG whose header says 65500×65500."""
    frame = _JPEG.index(b"\xff\xc0")
    return _JPEG[: frame + 5] + struct.pack(">HH", 65500, 65500) + _JPEG[frame + 9 :]


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with these segments, each by its marker, before its own."""
    packed = (b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content for marker, content in segments)
    return _JPEG[:2] + b"".join(packed) + _JPEG[2:]


def tags_of_all(entries: int = 1200, length: int = 15_000) -> bytes:
    """EXIF data in which each tag is said to hold all of them."""
    tags = b"".join(struct.pack("<HHII", 1 + number, 7, length - 60, 8) for number in range(entries))
    return (b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags).ljust(length, b"\0")


def stretched_jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header says more pixels than there are, and which goes on after its end."""
    frame = _JPEG.index(b"\xff\xc0")
    return _JPEG[: frame + 5] + struct.pack(">HH", height, width) + _JPEG[frame + 9 : -2] + b"\xff\xd0" * 100_000


def scans() -> bytes:
    data = encoded(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + data[-2:]


NO_PHOTO: Files = {
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
    "byte order mark": lambda: b"\xef\xbb\xbf" + _JPEG,
    "text before a photo": lambda: b"\r\n\r\n" + _JPEG,
    "base64": lambda: b"data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD",
}


BROKEN: Files = {
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
    "jpeg without its tables": lambda: _JPEG.replace(b"\xff\xdb", b"\xff\xfe"),
    "jpeg without pixels": lambda: _JPEG[: _JPEG.index(b"\xff\xda")] + b"\xff\xd9",
    "jpeg of too many scans": scans,
    "webp of no chunks": lambda: b"RIFF\x04\0\0\0WEBP",
    "heic of no items": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x0cmeta\0\0\0\0",
    "avif of no items": lambda: b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\0\x0cmeta\0\0\0\0",
    "text that unpacks to a gigabyte": lambda: png(
        8, 8, 8, 0, bytes(64), (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 1))
    ),
}

TOO_LARGE: Files = {
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


ODD_BUT_WHOLE: Files = {
    "tiff whose pages go round in a circle": lambda: tiff(following=8),
    "tiff whose next page lies beyond its end": lambda: tiff(following=0x7FFFFFFF),
    "tiff whose tags are its own pages": lambda: tiff((330, 4, 1, 8), (34665, 4, 1, 8), (34853, 4, 1, 8)),
    "tiff with a tag that never ends": lambda: tiff((258, 3, 0xFFFFFFFF, 8)),
    "tiff of grey that is multiplied by its transparency": lambda: premultiplied(
        Image.merge("LA", (Image.new("L", (99, 88), 60), Image.new("L", (99, 88), 128)))
    ),
    "webp film on a larger canvas": lambda: webp(100, 100),
    "jpeg with rubbish after it": lambda: _JPEG + random.Random(1).randbytes(5000),
    "jpeg with a page after it": lambda: _JPEG + b"<script>alert(1)</script>",
    "png of one pixel": lambda: png(1, 1, 8, 0, b"\x80"),
    "webp under the name of a jpeg": lambda: encoded(quarters(), "WEBP"),
}


def gif_of_43_bytes() -> bytes:
    """Pillow would make a picture of the whole canvas as soon as it opened it, and of what is to be disposed of."""
    control = b"!\xf9\x04\x08\0\0\0\0"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x44\x01\0"
    return gif(65535, 65535, control + frame)


def tiff_of_one_tile_for_all(count: int = 4096, length: int = 850_000, counts: bool = True) -> bytes:
    """16×16 tiles that are all the same JPEG, most of which are tables that a decoder goes through each time."""
    picture = encoded(quarters(16, 16), "JPEG")
    table = picture[picture.index(b"\xff\xdb") :][:69]
    tile = b"\xff\xd8" + table * (length // len(table)) + picture[2:]
    side = 16 * round(count**0.5)
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 7), (262, 3, 1, 6), (277, 3, 1, 3)]
    tags += [(322, 4, 1, 16), (323, 4, 1, 16), (324, 4, count, 8), (325, 4, count, 8 + 4 * count)]
    if not counts:
        tags.pop()
    start = 8 + 8 * count
    arrays = struct.pack(f"<{count}I", *[start] * count) + struct.pack(f"<{count}I", *[len(tile)] * count)
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", start + len(tile)) + arrays + tile + ifd


def tiff_of_one_strip_for_all(compression: int, rows: int = 4000) -> bytes:
    """Strips that are all the same megabyte, of which each pixel row needs but a few bytes."""
    strip = zlib.compress(noise(1000, 333).tobytes(), 0)[:1_000_000]
    tags = [(256, 4, 1, 4000), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    tags += [(273, 4, rows, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, rows, 8 + 4 * rows)]
    start = 8 + 8 * rows
    arrays = struct.pack(f"<{rows}I", *[start] * rows) + struct.pack(f"<{rows}I", *[len(strip)] * rows)
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", start + len(strip)) + arrays + strip + ifd


def directory(entries: int, length: int) -> bytes:
    """EXIF or TIFF data whose tags, all the same bytes, come to far more than they are."""
    ifd = struct.pack("<H", entries)
    ifd += b"".join(struct.pack("<HHII", 40_000 + index % 20_000, 7, length, 8) for index in range(entries))
    return b"II*\0" + struct.pack("<I", 8 + length) + bytes(length) + ifd + bytes(4)


def tiff_of_tags_of_all(entries: int = 9000, length: int = 5_000_000) -> bytes:
    return directory(entries, length)


def heif_grid(tiles: int = 5000, length: int = 2_000_000, shared: str = "iloc", brand: bytes = b"heic") -> bytes:
    """A grid whose tiles are one and the same two megabytes."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)

    def full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
        return box(kind, bytes([version, 0, 0, 0]), *parts)

    type_ = brand.replace(b"heic", b"hvc1").replace(b"avif", b"av01")
    count = tiles if shared == "iloc" else 1
    named = range(2, 2 + count)
    infos = [full(b"infe", struct.pack(">HH4s", 1, 0, b"grid"), b"\0", version=2)]
    infos += [full(b"infe", struct.pack(">HH4s", item, 0, type_), b"\0", version=2) for item in named]
    where = struct.pack(">BBH", 0x44, 0, 1 + count) + struct.pack(">HHHII", 1, 0, 1, 0, 8)
    where += b"".join(struct.pack(">HHHII", item, 0, 1, 40, length) for item in named)
    parts = list(named) if shared == "iloc" else [2] * tiles
    meta = full(
        b"meta",
        full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        full(b"pitm", b"\0\1"),
        full(b"iinf", struct.pack(">H", len(infos)), *infos),
        full(b"iloc", where),
        full(b"iref", box(b"dimg", struct.pack(f">HH{tiles}H", 1, tiles, *parts))),
        box(b"iprp", box(b"ipco", full(b"ispe", struct.pack(">II", 4096, 4096)))),
    )
    return box(b"ftyp", brand, bytes(4), b"mif1") + meta + box(b"mdat", bytes(length))


def heif_that_says(width: int, height: int, format_: str = "HEIF") -> bytes:
    """A good one, but for its size."""
    data = encoded(quarters(64, 64), format_)
    return data.replace(
        b"ispe" + bytes(4) + struct.pack(">II", 64, 64), b"ispe" + bytes(4) + struct.pack(">II", width, height)
    )


def commented_png(length: int, *chunks: tuple[bytes, bytes]) -> bytes:
    return png(8, 8, 8, 0, bytes(64), (b"tEXt", b"comment\0" + b"x" * length), *chunks)


def commented_gif(length: int) -> bytes:
    data = encoded(quarters(), "GIF")
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:start] + b"!\xfe" + (b"\xff" + b"x" * 255) * (length // 255) + b"\0" + data[start:]


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes time and again."""
    data = encoded(quarters(width, height), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def large(width: int, height: int, format_: str, mode: str = "RGB", **options: object) -> bytes:
    """A photo that is as large as it says, of one colour."""
    return encoded(Image.new(mode, (width, height)), format_, **options)


def rle_bitmap() -> bytes:
    """A BMP that says ten million times to go on at the next pixel but none."""
    info = struct.pack("<IiiHHIIiiII", 40, 2000, 2000, 1, 8, 1, 9_000_000, 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 62) + info + bytes(8) + b"\0\2\0\0" * 2_400_000


BOMBS: Files = {
    "gif of 43 bytes": gif_of_43_bytes,
    "gif whose frame reaches beyond its canvas": lambda: gif(
        8, 8, b"," + struct.pack("<HHHHB", 65000, 65000, 500, 500, 0) + b"\x02\x02\x44\x01\0"
    ),
    "gif of a million comments": lambda: gif(8, 8, b"!\xfe\x01x\0" * 1_000_000),
    "gif of one comment in a million pieces": lambda: gif(8, 8, b"!\xfe" + b"\x01x" * 4_000_000 + b"\0"),
    "tiff of one tile for all": tiff_of_one_tile_for_all,
    "tiff of one tile for all that does not say how long": lambda: tiff_of_one_tile_for_all(counts=False),
    "tiff of one lzw strip for all": lambda: tiff_of_one_strip_for_all(5),
    "tiff of one deflated strip for all": lambda: tiff_of_one_strip_for_all(8),
    "tiff of a million tiles": lambda: tiff((256, 4, 1, 7000), (257, 4, 1, 7000), (322, 4, 1, 4), (323, 4, 1, 4)),
    "tiff whose tags are all of it": tiff_of_tags_of_all,
    "tiff of a length said twice": lambda: (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 4)
        + b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (256, 257, 256, 257))
    ),
    "png of one pixel by fifty million": lambda: png(1, 50_000_000, 8, 0, b""),
    "png of fifty million pixels by one": lambda: png(50_000_000, 1, 8, 0, bytes(50_000_000)),
    "png of a million chunks": lambda: png(8, 8, 8, 0, bytes(64), *[(b"prVt", b"")] * 800_000),
    "png whose profile unpacks to a gigabyte": lambda: png(
        8, 8, 8, 0, bytes(64), (b"iCCP", b"x\0\0" + zlib.compress(bytes(300_000_000), 1))
    ),
    "png of texts that unpack to a gigabyte": lambda: png(
        8, 8, 8, 0, bytes(64), *[(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9))] * 1000
    ),
    "jpeg of a million segments": lambda: b"\xff\xd8" + b"\xff\xec\0\2" * 2_000_000 + _JPEG[2:],
    "jpeg of a hundred scans of 48 million pixels": lambda: many_scans(8000, 6000, 90),
    "webp of the largest canvas": lambda: webp(16383, 16383),
    "bmp of a million commands": rle_bitmap,
    "heic whose tiles are all of it": heif_grid,
    "heic whose tiles are one": lambda: heif_grid(shared="iref"),
    "avif whose tiles are all of it": lambda: heif_grid(brand=b"avif"),
    "heic that says it is vast": lambda: heif_that_says(60_000, 60_000),
    "avif that says it is vast": lambda: heif_that_says(60_000, 60_000, "AVIF"),
}
"""What would take gigabytes or minutes; refused, and soon."""

ODD_METADATA: Files = {
    "png whose EXIF data are all of it": lambda: png(8, 8, 8, 0, bytes(64), (b"eXIf", directory(9000, 5_000_000))),
    "png with a comment of 65 KB": lambda: commented_png(66_000),
    "png with a comment of 1 MB": lambda: commented_png(1_000_000),
    "gif with a comment of 65 KB": lambda: commented_gif(66_000),
    "jpeg with a comment": lambda: encoded(quarters(), "JPEG", comment=b"secret place" * 5000),
    "jpeg with a profile and a place": lambda: encoded(
        quarters(), "JPEG", icc_profile=b"secret place" * 9000, xmp=b"secret place", exif=b"Exif\0\0secret place"
    ),
    "png with everything": lambda: png(
        *(8, 8, 8, 0, bytes(64)),
        *((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"secret place" * 9000), (b"tEXt", b"exif\0secret place")),
        *((b"pHYs", struct.pack(">IIB", 2**31 - 1, 1, 1)), (b"eXIf", b"secret place"), (b"tEXt", b"dpi\0secret place")),
    ),
    "tiff with a profile and a place": lambda: encoded(
        quarters(), "TIFF", tiffinfo={270: "secret place" * 9000, 700: b"secret place", 34675: b"secret place"}
    ),
    "webp with a profile and a place": lambda: encoded(
        quarters(), "WEBP", icc_profile=b"secret place", exif=b"secret place", xmp=b"secret place"
    ),
}
"""Good photos that carry more than pixels."""

LABORIOUS: Files = {
    "one colour": lambda: large(2236, 2236, "JPEG", quality=1),
    "a restart after each block": lambda: large(2236, 2236, "JPEG", quality=1, restart_marker_blocks=1),
    "noise": lambda: encoded(noise(1000, 1000), "JPEG", quality=1, subsampling=0),
    "as wide as can be": lambda: large(20_000, 250, "JPEG", subsampling=0),
    "tags that all hold all": lambda: with_segments((0xE1, tags_of_all())),
    "comments of nothing": lambda: with_segments(*[(0xFE, b"")] * 3700),
    "tables time and again": lambda: with_segments(*[(0xDB, b"\0" + b"\1" * 64)] * 220),
    "less than it says": lambda: stretched_jpeg(2236, 2236),
}
"""JPEGs that are read where the model is, and make as much work there as they can."""


LARGE_BUT_GOOD: Files = {
    "png": lambda: large(7000, 7000, "PNG", compress_level=1),
    "png with transparency": lambda: large(7000, 7000, "PNG", "RGBA", compress_level=1),
    "png of 16 bits": lambda: large(7000, 7000, "PNG", "I;16", compress_level=1),
    "webp": lambda: large(7000, 7000, "WEBP", method=0),
    "gif": lambda: large(7000, 7000, "GIF", "P"),
    "tiff": lambda: large(7000, 7000, "TIFF", compression="tiff_lzw"),
    "float tiff": lambda: large(7000, 7000, "TIFF", "F", compression="tiff_adobe_deflate"),
    "heic": lambda: large(7000, 7000, "HEIF"),
    "avif": lambda: large(7000, 7000, "AVIF", speed=10),
    "jpeg": lambda: large(7000, 7000, "JPEG"),
    "progressive jpeg": lambda: large(7000, 7000, "JPEG", progressive=True),
    "as wide as can be": lambda: large(20_000, 2500, "PNG", "1"),
    "as high as can be": lambda: large(1, 20_000, "PNG", "1"),
}
"""Nearly as many pixels as are served."""


def mutated(photos: Mapping[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """``count`` variations on good ``photos``, by name: bytes changed, cut out, doubled, numbers at their ends."""
    chance = random.Random(seed)
    names = sorted(photos)
    for number in range(count):
        name = names[number % len(names)]
        data = bytearray(photos[name])
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            # Headers are where the decisions are.
            at = chance.randrange(min(len(data), chance.choice((64, 512, len(data)))))
            match chance.randrange(5):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    data[at] ^= 1 << chance.randrange(8)
                case 2:
                    data[at : at + 4] = chance.choice(
                        (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff")
                    )
                case 3:
                    del data[at : at + chance.randrange(1, 64)]
                case 4:
                    data[at:at] = data[at : at + chance.randrange(1, 64)]
        yield f"{name} {number}", bytes(data)
