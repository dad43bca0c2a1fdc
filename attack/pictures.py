"""Photos that an attack is made of."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.serving.photos import encoded, scenery
from tests.serving.photos.hostile import Files

__all__ = ["good_photos", "made", "pillows_pictures"]

_MOST_BYTES = 10_000_000  # what nginx lets through


def made(*files: Files) -> Iterator[tuple[str, bytes]]:
    """The files that tests make, by name; those that are too large for an upload are left out."""
    for each in files:
        for name, make in each.items():
            if len(data := make()) < _MOST_BYTES:
                yield name, data


def good_photos() -> dict[str, bytes]:
    """A photo in each format and way of packing that is read, to be changed on its way."""
    photo = scenery(160, 120)
    photos = {name: encoded(photo, name) for name in ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "WEBP")}
    photos["progressive JPEG"] = encoded(photo, "JPEG", progressive=True)
    photos["lossless WebP"] = encoded(photo, "WEBP", lossless=True)
    for way in ("raw", "jpeg", "tiff_lzw", "tiff_adobe_deflate"):
        photos[f"TIFF {way}"] = encoded(photo, "TIFF", compression=way)
    return photos


def pillows_pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The test pictures in the source distribution of the Pillow that is installed, fetched from the package index.

    Raises ``OSError`` where it cannot be had.
    """
    name = f"pillow=={version('pillow')}"
    with TemporaryDirectory(dir=folder) as fetched:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pillow", name]
        done = subprocess.run([*fetch, "--dest", fetched], check=False, capture_output=True, text=True)
        archives = list(Path(fetched).glob("*.tar.gz"))
        if done.returncode or not archives:
            raise OSError(f"the source distribution {name} cannot be fetched")
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                if "/Tests/images/" in member.name and member.isfile() and member.size < _MOST_BYTES:
                    file = archive.extractfile(member)
                    assert file
                    yield member.name.partition("/Tests/images/")[2], file.read()
