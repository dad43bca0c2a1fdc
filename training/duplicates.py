"""Photos of the same picture, also cropped, warped or mirrored, and frames of one scene: they belong together.

Two photos are the same where 16×16 pixels of them hardly differ, or where enough of their SIFT features (D. Lowe, 2004)
lie alike in both: the descriptors nearest to a photo's own name a few candidates, and RANSAC (M. Fischler, R. Bolles,
1981) must find one affine map that takes many features of one to the other's.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import cv2
import joblib
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.cluster.hierarchy import DisjointSet

from training import bank

__all__ = ["groups"]

_THUMB = (16, 16)  # pixels
_THUMB_DISTANCE = 5  # the mean over its pixels, of 255
_SIDE = 256  # pixels, of the longer side
_FEATURES = 150
_NEAR = 220.0  # between SIFT descriptors, whose length is 512
_INLIERS = 12
_STRETCH = 4.0  # at most, either way
_COVERED = 0.1  # of the smaller photo's area, by the box around what fits; a logo in a corner is not the same picture

Features = tuple[NDArray[np.float32], NDArray[np.float32]]  # places (N, 2) and descriptors (N, 128)


def groups(paths: Sequence[Path]) -> list[int]:
    """A number for each photo; those with the same one show the same picture or scene. Kept, since it takes minutes."""
    facts = [(path.parent.name, path.name, path.stat().st_size) for path in paths]
    file = bank.CACHE / f"groups-{joblib.hash(facts)}.json"
    if not file.exists():
        images = [_image(path) for path in paths]
        features = [_features(image) for image in track(images, f"features, {len(images)}")]
        same = (pair for pair in _candidates(features) if _same(*(features[place] for place in pair)))
        sets = DisjointSet(range(len(paths)))
        for pair in chain(_alike(images), same):
            sets.merge(*pair)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([sets[place] for place in range(len(paths))]))
    return list(json.loads(file.read_text()))


def _image(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path} is not a photo that OpenCV can read")
    scale = _SIDE / max(image.shape)
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _alike(images: Sequence[NDArray[np.uint8]]) -> Iterator[tuple[int, int]]:
    """Pairs whose thumbnails hardly differ, one of them perhaps mirrored."""
    thumbs = np.stack([cv2.resize(image, _THUMB, interpolation=cv2.INTER_AREA) for image in images]).astype(np.int16)
    for left, thumb in enumerate(thumbs):
        apart = [np.abs(thumbs[left + 1 :] - seen).mean((1, 2, 3)) for seen in (thumb, thumb[:, ::-1])]
        yield from ((left, left + 1 + int(near)) for near in np.flatnonzero(np.minimum(*apart) <= _THUMB_DISTANCE))


def _features(image: NDArray[np.uint8]) -> Features:
    points, descriptors = cv2.SIFT.create(_FEATURES).detectAndCompute(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), None)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    return places, np.empty((0, 128), np.float32) if descriptors is None else descriptors.astype(np.float32)


def _candidates(features: Sequence[Features]) -> Iterator[tuple[int, int]]:
    """Pairs of photos that share near descriptors."""
    owner = np.repeat(np.arange(len(features)), [len(places) for places, _ in features])
    cv2.setRNGSeed(0)
    matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 24})
    matcher.add([np.concatenate([descriptors for _, descriptors in features])])
    for photo, (_, descriptors) in enumerate(track(features, "duplicates")):
        found = matcher.knnMatch(descriptors, k=6) if len(descriptors) else []
        near = ({int(owner[match.trainIdx]) for match in matches if match.distance < _NEAR} for matches in found)
        votes = Counter(other for others in near for other in others if other != photo)
        yield from ((photo, other) for other, count in votes.most_common(8) if count >= 3)


def _same(left: Features, right: Features) -> bool:
    """Whether one affine map takes many features of ``left`` to their matches in ``right``."""
    near = cv2.BFMatcher().knnMatch(left[1], right[1], k=2)
    matched = {b.trainIdx: b.queryIdx for b, *c in near if c and b.distance < 0.8 * c[0].distance}
    if len(matched) < _INLIERS:
        return False
    there, here = left[0][list(matched.values())], right[0][list(matched)]
    cv2.setRNGSeed(0)
    affine, fits = cv2.estimateAffine2D(there, here, ransacReprojThreshold=4.0)
    if affine is None or fits.sum() < _INLIERS:
        return False
    stretches = np.linalg.svd(affine[:, :2], compute_uv=False)
    # The photo that is a crop of the other is covered by what fits.
    covered = max(float(np.prod(np.ptp(places[fits.ravel() == 1], axis=0))) for places in (there, here))
    return bool(stretches.max() < _STRETCH and stretches.min() > 1 / _STRETCH and covered > _COVERED * _SIDE**2)
