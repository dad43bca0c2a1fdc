"""How a photo becomes what a model sees; light to import, since the server needs no decoder."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Fit", "Half", "Interpolation", "View"]

Fit = Literal["crop", "squash", "pad"]
Half = Literal["even", "down"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


@dataclass(frozen=True)
class View:
    """A picture of ``height`` by ``width`` pixels, made of a photo of any shape.

    ``crop`` scales the shorter side to ``resize`` (without it, so that the photo covers the picture) and keeps the
    centre; ``squash`` scales each side by itself; ``pad`` scales the whole photo into the picture, the rest of which
    has the colour ``fill``. Where half a pixel is beside the centre, the crop begins as ``half`` rounds it.
    """

    height: int
    width: int
    resize: int | None = None
    fit: Fit = "crop"
    interpolation: Interpolation = "bilinear"
    fill: tuple[int, int, int] = (0, 0, 0)
    half: Half = "even"

    @property
    def side(self) -> int:
        """What the shorter side of a photo has to be, for nothing to be made larger."""
        return max(self.height, self.width, self.resize or 0)
