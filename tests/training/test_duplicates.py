from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from training.duplicates import groups


def _picture(seed: int) -> Image.Image:
    """Blobs of many sizes, as a photo has."""
    dice = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(dice.integers(0, 255, (side, side, 3), dtype=np.uint8)).resize((320, 320)), float)
        for side in (5, 12, 40)
    ]
    return Image.fromarray(np.mean(layers, 0).astype(np.uint8))


def test_copies_crops_and_warps_are_one_group_and_others_are_not(tmp_path: Path) -> None:
    one, two = _picture(1), _picture(2)
    pictures = {
        "one": one,
        "small": one.resize((120, 120)),
        "mirrored": ImageOps.mirror(one),
        "crop": one.crop((60, 90, 230, 260)),
        "warp": one.resize((320, 220)),
        "turned": one.rotate(12, fillcolor="white"),
        "two": two,
        "crop of two": two.crop((0, 0, 200, 200)),
        "three": _picture(3),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in pictures]
    found = groups(paths)
    assert len(set(found[:6])) == 1
    assert found[6] == found[7]
    assert len({found[0], found[6], found[8]}) == 3
    assert groups(paths) == found


def test_what_is_no_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(ValueError, match=r"broken\.jpg is not a photo"):
        groups([tmp_path / "broken.jpg"])
