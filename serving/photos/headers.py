"""What a file says of itself, looked at before a decoder is: nothing is allocated here but what is counted.

A codec believes its file. A GIF of 43 bytes may ask for 4 GB, and a TIFF name one megabyte a thousand times over. Here
sizes, parts and their lengths are held against what is served and against the file. What cannot be made out is left to
the decoder, which says so in its own time, within its own limits.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from .errors import PhotoError, TooManyPixelsError

__all__ = ["MAX_SIDE", "check", "check_size"]

MAX_SIDE = 20_000
# A baseline JPEG has one scan and a progressive one about ten; each costs a pass over all pixels.
_MAX_SCANS = 100
_MAX_PASSED = 1_000_000_000
# Segments, chunks and boxes of good files are a few hundred, tiles and strips a few thousand.
_MAX_PARTS = 10_000
_MAX_TILES = 65_536

# Markers that a length follows, and the end; not a stuffed zero, a restart or a fill byte.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_JPEG_FRAMES = frozenset(bytes([code]) for code in range(0xC0, 0xD0) if code not in (0xC4, 0xC8, 0xCC))
_JPEG_SEQUENTIAL = frozenset((b"\xc0", b"\xc1", b"\xc9"))
_JPEG_SCAN = b"\xda"
# Of a BMP's compressions, those that Pillow goes over in Python, which takes as long as so many pixels elsewhere.
_RUN_LENGTHS, _PIXELS_PER_RUN = (1, 2), 20
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_UINTS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _COMPRESSION, _STRIP_ROWS, _STRIP_LENGTHS, _TILE_WIDTH, _TILE_HEIGHT, _TILE_LENGTHS = _TIFF_TAGS = (
    *(256, 257, 259, 278, 279),
    *(322, 323, 325),
)


def check(data: bytes, max_pixels: int) -> int:
    """How many pixels a decoder goes over; 0 for what is scaled while it is decoded, or is not understood.

    Raises ``TooManyPixelsError`` above ``max_pixels`` or ``MAX_SIDE``, ``PhotoError`` for one of too many parts.
    """
    held = 0
    # A header that breaks off, counts beyond its end or makes no sense is the decoder's to complain about.
    with suppress(struct.error, LookupError, ArithmeticError, ValueError):
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data, max_pixels)
        for width, height in _sizes(data):
            check_size(width, height, max_pixels)
            held = max(held, width * height)
        if data[:2] == b"BM" and data[30] in _RUN_LENGTHS:
            held = max(held, _PIXELS_PER_RUN * len(data))
    return held


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ``TooManyPixelsError`` for a photo larger than is served."""
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"The photo has {width}×{height} pixels; at most {max_pixels / 1e6:g} million are accepted."
        )
    if max(width, height) > MAX_SIDE:
        raise TooManyPixelsError(f"The photo has {width}×{height} pixels; a side may have at most {MAX_SIDE}.")


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Every size that the file announces for what a decoder will read."""
    match data[:4]:
        case b"\x89PNG":
            yield from _png(data)
        case b"GIF8":
            yield from _gif(data)
        case b"RIFF":
            yield from _webp(data)
        case b"II*\0" | b"II\0*" | b"MM\0*" | b"MM*\0" | b"II+\0" | b"MM\0+":
            yield from _tiff(data)
        case start if start[:2] == b"BM":
            yield from _bmp(data)
        case _ if data[4:8] == b"ftyp":
            yield from _heif(data)


def _bounded(parts: int, most: int = _MAX_PARTS) -> None:
    if parts > most:
        raise PhotoError("The photo is built of too many parts to be read safely.")


def _within(length: int, data: bytes) -> None:
    if length > len(data):
        raise PhotoError("The photo is broken: its parts add up to more than the whole.")


def _png(data: bytes) -> Iterator[tuple[int, int]]:
    yield struct.unpack_from(">II", data, 16)
    at = 8
    for parts in range(len(data)):
        _bounded(parts)
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        at += 12 + length


def _gif(data: bytes) -> Iterator[tuple[int, int]]:
    """The canvas, and how far the first frame reaches: nothing after it is read."""
    yield struct.unpack_from("<HH", data, 6)
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    for parts in range(len(data)):
        _bounded(parts, _MAX_PARTS // 2)
        if data[at] == 0x2C:
            left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
            yield left + width, top + height
            return
        if data[at] == 0x21:
            at += 2
            blocks = 0
            while data[at]:
                at += 1 + data[at]
                blocks += 1
                _bounded(blocks, _MAX_PARTS // 2)
        at += 1


def _webp(data: bytes) -> Iterator[tuple[int, int]]:
    match data[12:16]:
        case b"VP8X":
            yield 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", data, 21)
            yield 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            yield width & 0x3FFF, height & 0x3FFF


def _bmp(data: bytes) -> Iterator[tuple[int, int]]:
    old = struct.unpack_from("<I", data, 14) == (12,)
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    yield abs(width), abs(height)


def _jpeg(data: bytes, max_pixels: int) -> int:
    """What ``check`` returns; scans of thumbnails within the photo or of films after it are none of its own."""
    pixels = scans = components = 0
    in_one_go = False
    for marker, at in _segments(data):
        if marker in _JPEG_FRAMES:
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            check_size(width, height, max_pixels)
            pixels = max(pixels, width * height)
            in_one_go = marker in _JPEG_SEQUENTIAL
        elif marker == _JPEG_SCAN:
            if in_one_go and data[at + 2] == components:
                return 0  # whatever follows is not looked at
            scans += 1
            if scans > _MAX_SCANS or scans * pixels > _MAX_PASSED:
                raise PhotoError("The photo is built of too many scans to be read safely.")
    return pixels


def _segments(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The segments of a JPEG: marker, and where the length stands."""
    at = 2
    for parts in range(len(data)):
        _bounded(parts)
        marker = _JPEG_MARKER.search(data, at)
        if not marker or marker[1] == b"\xd9":
            return
        yield marker[1], marker.end()
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _tiff(data: bytes) -> Iterator[tuple[int, int]]:
    """The first page's size; its tiles or strips are counted, and what its tags hold is added up."""
    order = "<" if data[0] == 0x49 else ">"
    big = 0x2B in data[2:4]
    word, entry = ("Q", struct.Struct(order + "HHQ")) if big else ("I", struct.Struct(order + "HHI"))
    inline = struct.calcsize(word)
    (at,) = struct.unpack_from(order + word, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    _bounded(count)
    at += 8 if big else 2
    numbers: dict[int, tuple[int, ...]] = {}
    held = 0
    for index in range(count):
        start = at + index * (entry.size + inline)
        tag, kind, items = entry.unpack_from(data, start)
        length = _TIFF_BYTES.get(kind, 1) * items
        start += entry.size
        if length > inline:
            (start,) = struct.unpack_from(order + word, data, start)
            if start + length > len(data):
                continue  # Pillow passes over it, too
            held += length
            _within(held, data)
        if kind in _TIFF_UINTS and tag in _TIFF_TAGS:
            _bounded(items, _MAX_TILES)
            if tag in numbers:  # which of the two would a decoder take?
                raise PhotoError("The photo is broken: it says the same thing twice.")
            numbers[tag] = struct.unpack_from(f"{order}{items}{_TIFF_UINTS[kind]}", data, start)
    (width, *_), (height, *_) = numbers[_WIDTH], numbers[_HEIGHT]
    yield width, height
    across = numbers.get(_TILE_WIDTH, (width,))[0]
    down = numbers.get(_TILE_HEIGHT, numbers.get(_STRIP_ROWS, (height,)))[0]
    tiles = ((width - 1) // across + 1) * ((height - 1) // down + 1)
    _bounded(tiles, _MAX_TILES)
    if numbers.get(_COMPRESSION, (1,))[0] == 1:
        return  # each part is as long as its pixels are, whatever is said of it
    lengths = numbers.get(_TILE_LENGTHS, numbers.get(_STRIP_LENGTHS))
    if lengths is None and tiles > 1:
        raise PhotoError("The photo is broken: it does not say how long its parts are.")
    _within(sum(lengths or ()), data)


def _heif(data: bytes) -> Iterator[tuple[int, int]]:
    """The size of every image in the file; what makes up a grid or an overlay is added up, each time it is named."""
    for _, meta, end in _boxes(data, 0, len(data), b"meta"):
        found = {kind: (start, stop) for kind, start, stop in _boxes(data, meta + 4, end)}
        for _, start, stop in _boxes(data, *found[b"iprp"], b"ipco"):
            for _, size, _ in _boxes(data, start, stop, b"ispe"):
                yield struct.unpack_from(">II", data, size + 4)
        lengths = _heif_items(data, *found[b"iloc"])
        _within(sum(lengths.values()), data)
        if b"iref" in found:
            start, stop = found[b"iref"]
            wide = "I" if data[start] else "H"
            for _, at, _ in _boxes(data, start + 4, stop, b"dimg"):
                _, count = struct.unpack_from(f">{wide}H", data, at)
                _bounded(count)
                parts = struct.unpack_from(f">{count}{wide}", data, at + struct.calcsize(f">{wide}H"))
                _within(sum(lengths[part] for part in parts), data)


def _boxes(data: bytes, at: int, end: int, only: bytes = b"") -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a stretch: kind, where the content starts, where it ends."""
    for parts in range(len(data)):
        if at + 8 > end:
            return
        _bounded(parts)
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = at + length if length else end
        if stop < start or stop > end:
            return
        if not only or kind == only:
            yield kind, start, stop
        at = stop


def _heif_items(data: bytes, at: int, end: int) -> Counter[int]:
    """How many bytes each item has (ISO/IEC 14496-12, 8.11.3)."""
    version = data[at]
    offset, length, base, index = (data[at + 4 + half // 2] >> (4 - 4 * (half % 2)) & 15 for half in range(4))
    index = index if version else 0
    wide = 4 if version > 1 else 2
    at += 6
    items, at = int.from_bytes(data[at : at + wide]), at + wide
    _bounded(items)
    lengths: Counter[int] = Counter()
    parts = 0
    for _ in range(items):
        item = int.from_bytes(data[at : at + wide])
        at += wide + (2 if version else 0) + 2 + base
        extents, at = int.from_bytes(data[at : at + 2]), at + 2
        parts += extents
        _bounded(parts)
        for _ in range(extents):
            at += index + offset
            # An extent of no length is the whole file.
            lengths[item] += int.from_bytes(data[at : at + length]) or len(data)
            at += length
        if at > end:
            break
    return lengths
