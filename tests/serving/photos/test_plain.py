"""Which photos are read where the model is, and that it makes no difference to what is answered."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from serving.photos.errors import PhotoError
from serving.photos.job import Job
from serving.photos.plain import plain, read_plain
from serving.photos.pool import Pool
from tests.serving.photos import SIDE, VIEW, encoded, noise, quarters, scenery
from tests.serving.photos.hostile import BOMBS, LABORIOUS, many_scans, mutated, with_segments

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

GOOD = encoded(scenery(480, 360), "JPEG")
JOB = Job(VIEW, max_pixels=50_000_000, at_least=SIDE, preview=200)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(1, 50_000_000)
    yield opened
    opened.close()


def exif() -> bytes:
    return struct.pack("<6s2sHIHHHIII", b"Exif", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0)


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        encoded(quarters().convert("L"), "JPEG"),
        encoded(scenery(480, 360), "JPEG", subsampling=0, optimize=True, comment=b"a comment"),
        encoded(scenery(480, 360), "JPEG", icc_profile=bytes(3144), restart_marker_blocks=2),
        with_segments((0xE1, exif())),
    ],
    ids=["as most are", "grey", "optimised", "with a profile", "turned"],
)
def test_small_photos_are_plain(data: bytes, pool: Pool) -> None:
    assert plain(data)
    here, there = read_plain(data, JOB), pool.read(data, JOB)
    assert np.array_equal(here.pixels, there.pixels)
    assert here.preview == there.preview


def in_scans_of_one_colour() -> bytes:
    """A frame of three components, whose first scan is of one."""
    scan = GOOD.index(b"\xff\xda")
    return GOOD[:scan] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + GOOD[scan + 14 :]


def of_12_bits() -> bytes:
    frame = GOOD.index(b"\xff\xc0")
    return GOOD[: frame + 4] + b"\x0c" + GOOD[frame + 5 :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:2],
        GOOD[: GOOD.index(b"\xff\xda")],
        encoded(scenery(480, 360), "PNG"),
        encoded(scenery(480, 360), "JPEG", progressive=True),
        encoded(quarters().convert("CMYK"), "JPEG"),
        encoded(noise(900, 900), "JPEG"),
        encoded(Image.new("L", (2300, 2300)), "JPEG"),
        with_segments((0xEE, bytes(17_000))),
        many_scans(480, 360, 3),
        in_scans_of_one_colour(),
        of_12_bits(),
        GOOD[:2] + GOOD[GOOD.index(b"\xff\xc0") :][:19] + GOOD[2:],
    ],
    ids=[
        *("nothing", "two bytes", "no scan", "PNG", "progressive", "four colours", "too long", "too many pixels"),
        *("much before the scan", "many scans", "a scan a colour", "12 bits", "two frames"),
    ],
)
def test_others_are_not(data: bytes) -> None:
    assert not plain(data)


@pytest.mark.parametrize("kind", LABORIOUS)
def test_as_much_work_as_can_be_made(kind: str, pool: Pool) -> None:
    data = LABORIOUS[kind]()

    assert plain(data)
    assert np.array_equal(read_plain(data, JOB).pixels, pool.read(data, JOB).pixels)


def test_no_bomb_is_plain() -> None:
    assert not [kind for kind, make in BOMBS.items() if plain(make())]


def test_what_changed_on_its_way_is_answered_as_elsewhere(pool: Pool) -> None:
    changed = [data for _, data in mutated({"photo": GOOD}, 400, seed=14) if plain(data)]

    assert len(changed) > 100
    assert [answer(read_plain, data) for data in changed] == [answer(pool.read, data) for data in changed]


def answer(read: object, data: bytes) -> bytes | str:
    try:
        return read(data, JOB).pixels.tobytes()  # type: ignore[operator, no-any-return]
    except PhotoError as error:
        return str(error)


def test_a_photo_that_trips_what_reads_it_is_refused_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PhotoError, match="The photo broke what was reading it"):
        read_plain(GOOD, None)  # type: ignore[arg-type]
    assert "AttributeError" in caplog.text
