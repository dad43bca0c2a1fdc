"""What is no photo, and what was made to do harm: each is answered in a sentence, and the next good photo as ever."""

import base64
import random
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import EpsImagePlugin, Image

from tests.classes import LEMON
from tests.serving.apps import predictor_of, send, serving
from tests.serving.photos import encoded, noise, scenery
from tests.serving.photos.hostile import (
    BOMBS,
    BROKEN,
    LARGE_BUT_GOOD,
    MAGIC,
    NO_PHOTO,
    ODD_BUT_WHOLE,
    ODD_METADATA,
    TOO_LARGE,
    mutated,
)

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One app for all of them: what the first does to it, the last would notice."""
    with serving(tmp_path_factory.mktemp("artifacts")) as client:
        yield client


def refused(client: TestClient, data: bytes, *statuses: int) -> str:
    """The sentence it is refused with, once it is known to be one, and the app to be as well as before."""
    answer = send(client, data)
    assert answer.status_code in statuses, answer.text
    assert list(answer.json()) == ["detail"]
    sentence: str = answer.json()["detail"]
    assert re.fullmatch(r"(The|A) [^/\\<>\n]+\.", sentence)
    assert not re.search(r"Error|Exception|Traceback|PIL|0x|\.py|None", sentence)
    assert send(client).json()["likely_class"] == LEMON
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


@pytest.mark.parametrize("kind", ODD_BUT_WHOLE)
def test_what_is_odd_but_whole_is_answered(kind: str, client: TestClient) -> None:
    assert send(client, ODD_BUT_WHOLE[kind]()).json()["likely_class"] == LEMON


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_does_not_go_off(kind: str, client: TestClient) -> None:
    refused(client, BOMBS[kind](), 400, 413)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_no_photo_above_took_more_memory_than_a_worker_may(client: TestClient) -> None:
    for pid in [*predictor_of(client)._pool.pids]:
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert int(peak) < 300_000


@pytest.mark.parametrize("kind", ODD_METADATA)
def test_metadata_stay_in_the_upload(kind: str, client: TestClient) -> None:
    data = ODD_METADATA[kind]()

    assert send(client, data).json()["likely_class"] == LEMON
    page = send(client, data, "/result/")

    assert page.status_code == 200
    shown = base64.b64decode(re.findall('src="data:image/jpeg;base64,([^"]+)"', page.text)[0])
    assert b"secret" not in shown
    assert set(Image.open(BytesIO(shown)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize("kind", ODD_METADATA)
def test_a_kept_photo_holds_none_either(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kept")
    with serving(tmp_path_factory.mktemp("artifacts"), keep_images=folder) as keeping:
        assert send(keeping, ODD_METADATA[kind](), headers={"X-Request-ID": "mine"}).status_code == 200

    kept = (folder / "mine.jpg").read_bytes()
    assert b"secret" not in kept
    assert set(Image.open(BytesIO(kept)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


# The others take as long again; an attack on a running system sends them, too.
@pytest.mark.parametrize("kind", ["png with transparency", "png of 16 bits", "as wide as can be", "as high as can be"])
def test_a_large_photo_is_answered(kind: str, client: TestClient) -> None:
    assert send(client, LARGE_BUT_GOOD[kind]()).json()["likely_class"] == LEMON


def test_photos_that_changed_on_their_way(client: TestClient) -> None:
    photos = {name: encoded(scenery(160, 120), name) for name in ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "WEBP")}
    photos["progressive"] = encoded(scenery(160, 120), "JPEG", progressive=True)
    photos |= {
        f"TIFF {way}": encoded(scenery(160, 120), "TIFF", compression=way) for way in ("raw", "jpeg", "tiff_lzw")
    }

    answers = {name: send(client, data, "/result/") for name, data in mutated(photos, 330, seed=12)}

    assert {answer.status_code for answer in answers.values()} == {200, 400, 413}
    assert sum(answer.status_code == 200 for answer in answers.values()) > 60
    assert send(client).json()["likely_class"] == LEMON
