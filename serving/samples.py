"""Photos for those who have none at hand: some of each class, from ``sample_data``."""

from collections.abc import Sequence
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

from starlette.datastructures import Headers, UploadFile

__all__ = ["Samples"]

_FOLDER = Path(__file__).parents[1] / "sample_data"
_MOST = 6
# Pages show them as they are.
_MOST_BYTES = 100_000


class Samples:
    """At most six JPEGs, each by its path ``class/name.jpg``, with what is on it in words; none for other classes."""

    def __init__(self, classes: Sequence[str], folder: Path = _FOLDER) -> None:
        by_class = [
            [path for path in sorted((folder / name).glob("*.jpg")) if path.stat().st_size <= _MOST_BYTES]
            for name in classes
        ]
        in_turn = [path for of_each in zip_longest(*by_class) for path in of_each if path is not None]
        self._paths = {path.relative_to(folder).as_posix(): path for path in in_turn[:_MOST]}

    def texts(self) -> dict[str, str]:
        return {name: path.stem.replace("-", " ") for name, path in self._paths.items()}

    def path(self, name: str) -> Path | None:
        return self._paths.get(name)

    def upload(self, name: str) -> UploadFile | None:
        """A sample as if it had been sent; None where there is no such."""
        path = self._paths.get(name)
        if path is None:
            return None
        data = path.read_bytes()
        headers = Headers({"Content-Type": "image/jpeg"})
        return UploadFile(BytesIO(data), size=len(data), filename=path.name, headers=headers)
