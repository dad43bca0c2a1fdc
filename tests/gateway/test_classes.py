"""Classes are any text: through headers, ledger, labels, logs and pages, and nothing of them is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.system import System, eventually

CLASSES = ("crack/chip", "Kratzer groß", "キズ")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("classes"), classes=CLASSES) as started:
        yield started


def report(system: System) -> Any:
    return requests.get(f"{system.url}/experiment.json", timeout=10).json()


def test_a_label_counts_whatever_its_letters(system: System, samples: Path) -> None:
    answered = {}
    for photo in sorted(samples.rglob("*.jpg")):
        answer = system.predict(photo, **{"X-Variant": "vgg16"})
        answered[answer.headers["X-Request-ID"]] = answer.json()["likely_class"]
    assert set(answered.values()) == set(CLASSES)
    for request_id, said in answered.items():
        (line,) = system.ledger_of(request_id)
        assert line["predicted_class"] == said
    # Somebody who reads the log sees the words, not their codes.
    eventually(lambda: all(name in system.log("gateway") for name in CLASSES))

    for photo in sorted(samples.rglob("*.jpg"))[:6]:
        answer = system.predict(photo).json()
        label = {"request_id": answer["request_id"], "true_label": CLASSES[2]}
        assert requests.post(f"{system.url}/feedback", json=label, timeout=60).status_code == 201
    confusion = eventually(lambda: (found := report(system)["confusion"]) and found)
    assert {label for rows in confusion.values() for label in rows} == {"キズ"}
    assert sum(n for rows in confusion.values() for n in rows["キズ"].values()) == 6
    assert {answer for rows in confusion.values() for answer in rows["キズ"]} <= set(CLASSES)


def test_folders_of_photos_are_labels_also_with_a_slash(system: System, samples: Path, tmp_path: Path) -> None:
    photos = sorted(samples.rglob("*.jpg"))
    for name, photo in zip(CLASSES, photos, strict=False):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / photo.name).write_bytes(photo.read_bytes() + name.encode())
    replayed = system.abtest("replay", str(tmp_path), "--label-from-folder")

    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    eventually(lambda: {label for rows in report(system)["confusion"].values() for label in rows} == set(CLASSES))


def test_pages_say_them(system: System, samples: Path) -> None:
    assert "Crack/chip, Kratzer groß or キズ?" in requests.get(system.url, timeout=10).text
    page = system.predict(next(samples.rglob("*.jpg")), "/result/")
    assert page.status_code == 200
    assert all(f'value="{name}"' in page.text for name in CLASSES)
    assert all(name in requests.get(f"{system.url}/experiment", timeout=10).text for name in CLASSES)
