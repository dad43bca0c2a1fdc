"""Photos as another camera might have taken them: random views of an album, a batch at a time.

Everything is drawn from one ``torch.Generator``, so a seed fixes the views.
"""

import io
import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional

from training.album import CANVAS, Album
from training.photos import SIDE

__all__ = ["Augmenter", "mix"]

_GROUNDS = 384
_LAYERS = 6


class Augmenter:
    """Draws views of the photos in ``album``; ``strength`` scales all that light and lens do to them."""

    def __init__(self, album: Album, seed: int, strength: float = 1.0) -> None:
        self.album = album
        self.strength = strength
        self.random = Generator().manual_seed(seed)
        self._grounds = torch.cat([_ground(album, self.random) for _ in range(_GROUNDS)])
        self._cut_outs = {
            int(label): torch.nonzero((album.labels == label) & album.isolated).flatten()
            for label in set(album.labels.tolist())
        }

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """``count`` views, classes equally likely: uint8 ``(count, 150, 150, 3)``, and their labels ``(count,)``."""
        chosen = torch.multinomial(self.album.weights, count, replacement=True, generator=self.random)
        views = self._place(chosen)
        views = _light(views, self.random, self.strength)
        views = _lens(views, self.random, self.strength)
        views = views.clamp(0, 255).round().byte().permute(0, 2, 3, 1).contiguous()
        return _compress(views, self.random), self.album.labels[chosen]

    def _place(self, chosen: Tensor) -> Tensor:
        """How the fruit lies in the picture: float ``(N, 3, 150, 150)``, 0 to 255."""
        count = len(chosen)
        kind = torch.rand(count, generator=self.random)
        framed = kind < 0.12
        pasted = (kind > 0.5) & self.album.isolated[chosen]
        extent = self.album.extent[chosen]
        window = _crops(extent, self.random)
        whole = (1.2 * self._uniform((count, 1), 0.75, 1.15)).expand(-1, 2) * extent.amax(1, keepdim=True) / extent
        window[framed, :2] = 0.5
        window[framed, 2:] = whole[framed]
        rgb, _, inside = _sample(self.album, chosen, window, _turns(count, self.random), framed)
        margin = torch.where(self._uniform((count, 1), 0, 1) < 0.7, 255.0, self._uniform((count, 3), 0, 255))
        views = torch.where((inside < 0.5) & framed.view(-1, 1, 1, 1), margin.view(-1, 3, 1, 1), rgb)
        rows = pasted.nonzero().flatten()
        if len(rows):
            views[rows] = self._paste(chosen[rows])
        return views

    def _paste(self, chosen: Tensor) -> Tensor:
        """Fruit cut out of its white ground, one or several of a kind, on another ground."""
        count = len(chosen)
        views = self._grounds[torch.randint(_GROUNDS, (count,), generator=self.random)].float()
        layers = torch.randint(1, _LAYERS + 1, (count,), generator=self.random)
        layers[self._uniform((count,), 0, 1) < 0.45] = 1
        labels = self.album.labels[chosen]
        for layer in range(_LAYERS):
            rows = (layers > layer).nonzero().flatten()
            if not len(rows):
                break
            picked = chosen[rows].clone()
            if layer:
                for place, label in enumerate(labels[rows].tolist()):
                    others = self._cut_outs[label]
                    if torch.rand((), generator=self.random) < 0.6:
                        picked[place] = others[torch.randint(len(others), (), generator=self.random)]
            extent = self.album.extent[picked]
            size = self._uniform((len(rows), 1), 0.35, 1.1) / layers[rows].view(-1, 1).float() ** 0.3
            window = torch.empty(len(rows), 4)
            window[:, 2:] = extent.amax(1, keepdim=True) / extent / size
            window[:, :2] = 0.5 + self._uniform((len(rows), 2), -0.5, 0.5) * (1 - 0.6 * size) * window[:, 2:]
            turned = _turns(len(rows), self.random, wide=True)
            rgb, mask, _ = _sample(self.album, picked, window, turned, torch.ones(len(rows), dtype=torch.bool))
            shade = functional.avg_pool2d(mask.roll((5, 3), (2, 3)), 11, 1, 5) * 0.35
            views[rows] = torch.lerp(views[rows] * (1 - shade), rgb, mask)
        return views

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return torch.empty(shape).uniform_(low, high, generator=self.random)


def _uniform(random: Generator, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=random)


def _crops(extent: Tensor, random: Generator) -> Tensor:
    """Windows ``(N, 4)`` on the photos: centre and size, in units of the photo. Some reach beyond it, up to twice."""
    count = len(extent)
    # Square in pixels, as the centre crop of a photo is, of the shorter side times `zoom`.
    zoom = torch.exp(_uniform(random, (count, 1), math.log(0.45), math.log(1.15)))
    zoom = torch.where(_uniform(random, (count, 1), 0, 1) < 0.15, _uniform(random, (count, 1), 1.1, 2.4), zoom)
    aspect = torch.exp(_uniform(random, (count, 1), -0.25, 0.25))
    size = zoom * extent.amin(1, keepdim=True) / extent * torch.cat([aspect, 1 / aspect], 1)
    room = (1 - size).clamp(min=0.1)
    return torch.cat([0.5 + room * _uniform(random, (count, 2), -0.5, 0.5), size], 1)


def _turns(count: int, random: Generator, wide: bool = False) -> Tensor:
    """Rotation, flip and perspective as ``(N, 3, 3)``, acting on coordinates from -1 to 1."""
    angle = _uniform(random, (count,), -0.45, 0.45)
    loose = _uniform(random, (count,), 0, 1) < (0.6 if wide else 0.12)
    angle = torch.where(loose, _uniform(random, (count,), -math.pi, math.pi), angle)
    flip = torch.where(_uniform(random, (count,), 0, 1) < 0.5, -1.0, 1.0)
    tilt = _uniform(random, (count, 2), -0.18, 0.18)
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros(count), torch.ones(count)
    turn = torch.stack([cos * flip, -sin, zero, sin * flip, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
    lean = torch.stack([one, zero, zero, zero, one, zero, tilt[:, 0], tilt[:, 1], one], 1).view(-1, 3, 3)
    return turn @ lean


def _sample(album: Album, chosen: Tensor, window: Tensor, turn: Tensor, bare: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """RGB, mask and whether a pixel lies within the photo, ``(N, 3 | 1 | 1, 150, 150)``.

    Beyond its edges a photo is continued by mirroring, except where ``bare``.
    """
    axis = torch.linspace(-1 + 1 / SIDE, 1 - 1 / SIDE, SIDE)
    plane = torch.stack([axis.expand(SIDE, -1), axis.view(-1, 1).expand(-1, SIDE), torch.ones(SIDE, SIDE)], -1)
    x, y, depth = (plane.view(1, -1, 3) @ turn.transpose(1, 2)).unbind(-1)
    u = window[:, :1] + window[:, 2:3] / 2 * x / depth
    v = window[:, 1:2] + window[:, 3:] / 2 * y / depth
    inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    # 2 |w/2 - round(w/2)| is a triangle wave: the coordinate, mirrored at 0 and 1.
    u, v = (torch.where(bare.view(-1, 1), w.clamp(-1, 2), 2 * (w / 2 - (w / 2).round()).abs()) for w in (u, v))
    edge = 1 - 1.5 / CANVAS
    grid = torch.stack([(2 * u - 1) * album.extent[chosen, :1], (2 * v - 1) * album.extent[chosen, 1:]], -1) * edge
    canvas = album.canvas[chosen].float()
    drawn = functional.grid_sample(canvas, grid.view(-1, SIDE, SIDE, 2), align_corners=False, padding_mode="zeros")
    return drawn[:, :3], drawn[:, 3:] / 255, inside.view(-1, 1, SIDE, SIDE).float()


def _ground(album: Album, random: Generator) -> Tensor:
    """Something to lie on, uint8 ``(1, 3, 150, 150)``: table, cloth, wood, a plate, or a photo out of focus."""

    def number(low: float, high: float) -> float:
        return float(_uniform(random, (), low, high))

    def noise(rows: int, columns: int, channels: int = 1) -> Tensor:
        field = torch.randn(1, channels, rows, columns, generator=random)
        return functional.interpolate(field, (SIDE, SIDE), mode="bilinear", align_corners=False)

    if number(0, 1) < 0.3:
        index = int(torch.randint(len(album.labels), (), generator=random))
        cells = int(number(3, 14))
        small = functional.adaptive_avg_pool2d(album.canvas[index : index + 1, :3, 40:-40, 40:-40].float(), cells)
        ground = functional.interpolate(small, (SIDE, SIDE), mode="bicubic", align_corners=False)
    else:
        grey = _uniform(random, (1, 1, 1, 1), 10, 245)
        ground = (grey + number(0, 60) * torch.randn(1, 3, 1, 1, generator=random)).expand(-1, -1, SIDE, SIDE)
        grain = (
            noise(int(number(2, 5)), int(number(20, 75))) if number(0, 1) < 0.5 else noise(*(int(number(2, 75)),) * 2)
        )
        ground = ground + number(0, 25) * grain + number(0, 30) * noise(2, 2) + number(0, 12) * noise(SIDE, SIDE)
        if number(0, 1) < 0.5:
            ground = ground.transpose(2, 3)
    if number(0, 1) < 0.4:
        axis = torch.linspace(-1, 1, SIDE)
        x, y = (axis - number(-0.25, 0.25)) / number(0.6, 1.2), (axis - number(-0.25, 0.25)) / number(0.5, 1.1)
        radius = (x.view(1, -1) ** 2 + y.view(-1, 1) ** 2).sqrt()
        colour = number(120, 250) + number(0, 35) * torch.randn(1, 3, 1, 1, generator=random)
        rim = 1 - 0.2 * number(0, 1) * torch.exp(-(((radius - number(0.6, 0.8)) / 0.05) ** 2))
        plate = colour * rim + number(0, 12) * noise(3, 3)
        ground = torch.lerp(ground, plate, ((1 - radius) * 30).clamp(0, 1))
    return ground.clamp(0, 255).byte()


def _light(views: Tensor, random: Generator, strength: float) -> Tensor:
    """Exposure, white balance, contrast, gamma, saturation, a little hue, and shadows across the picture."""
    count = len(views)

    def each(low: float, high: float, channels: int = 1) -> Tensor:
        return strength * _uniform(random, (count, channels, 1, 1), low, high)

    x = (views / 255).clamp(1e-4, 1)
    x = x ** torch.exp(each(-0.45, 0.45))
    gains = each(-0.13, 0.13, 3)
    warmth = each(-0.16, 0.16)
    gains = gains + torch.cat([warmth, torch.zeros_like(warmth), -warmth], 1)
    x = x * torch.exp(gains + each(-0.4, 0.2))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(each(-0.4, 0.3))
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    saturation = torch.exp(each(-0.6, 0.45))
    saturation[torch.rand(count, generator=random) < 0.04 * strength] = 0
    x = grey + (x - grey) * saturation
    x = _hue(x, each(-0.1, 0.1))
    shadow = functional.interpolate(
        torch.randn(count, 1, 3, 3, generator=random), (SIDE, SIDE), mode="bicubic", align_corners=False
    )
    x = x * torch.exp(shadow * each(-0.25, 0.25))
    return x * 255


def _hue(x: Tensor, angle: Tensor) -> Tensor:
    """Turns colours about the grey axis by ``angle`` radians (Rodrigues' formula)."""
    axis = 3**-0.5
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    cross = torch.cat([blue - green, red - blue, green - red], 1) * axis
    along = x.mean(1, keepdim=True)
    return x * angle.cos() + cross * angle.sin() + along * (1 - angle.cos())


def _lens(views: Tensor, random: Generator, strength: float) -> Tensor:
    """Focus, sharpening, coarse sensors, noise, and something in the way.

    Training photos are small and were enlarged; those of a phone are large and were reduced, thus sharper. So
    sharpening is as frequent here as blurring.
    """
    count = len(views)

    def chosen(share: float) -> Tensor:
        return (torch.rand(count, generator=random) < share * strength).nonzero().flatten()

    def number(low: float, high: float) -> float:
        return float(_uniform(random, (), low, high))

    rows = chosen(0.2)
    if len(rows):
        views[rows] = _blur(views[rows], number(0.6, 2.6))
    rows = chosen(0.45)
    if len(rows):
        amount = _uniform(random, (len(rows), 1, 1, 1), 0.3, 2.5)
        views[rows] = views[rows] + amount * (views[rows] - _blur(views[rows], number(0.7, 1.8)))
    rows = chosen(0.15)
    if len(rows):
        side = int(number(45, 120))
        small = functional.interpolate(views[rows], (side, side), mode="bilinear", antialias=True)
        views[rows] = functional.interpolate(small, (SIDE, SIDE), mode="bilinear", align_corners=False)
    rows = chosen(0.3)
    if len(rows):
        grain = _uniform(random, (len(rows), 1, 1, 1), 1, 14)
        views[rows] += grain * torch.randn(len(rows), 3, SIDE, SIDE, generator=random)
    for row in chosen(0.15).tolist():
        height, width = (int(number(15, 70)) for _ in range(2))
        top, left = int(number(0, SIDE - height)), int(number(0, SIDE - width))
        views[row, :, top : top + height, left : left + width] = _uniform(random, (3, 1, 1), 0, 255)
    return views


def _blur(views: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(2 * sigma)
    kernel = torch.exp(-((torch.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, -1, -1, -1)
    padded = functional.pad(views, (reach,) * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)


def _compress(views: Tensor, random: Generator) -> Tensor:
    """Some views through JPEG."""
    for row in (torch.rand(len(views), generator=random) < 0.25).nonzero().flatten().tolist():
        packed = io.BytesIO()
        quality = int(_uniform(random, (), 18, 90))
        Image.fromarray(views[row].numpy()).save(packed, "JPEG", quality=quality)
        views[row] = torch.from_numpy(np.array(Image.open(packed)))
    return views


def mix(views: Tensor, targets: Tensor, random: Generator, share: float) -> tuple[Tensor, Tensor]:
    """Blends a ``share`` of a batch with its neighbours: mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019).

    ``views`` float ``(N, 3, H, W)``, ``targets`` ``(N, classes)`` probabilities.
    """
    if float(torch.rand((), generator=random)) >= share:
        return views, targets
    part = float(_uniform(random, (), 0.0, 0.5))
    order = torch.randperm(len(views), generator=random)
    blend: Callable[[Tensor, Tensor], Tensor] = lambda a, b: torch.lerp(a, b, part)  # noqa: E731
    if float(torch.rand((), generator=random)) < 0.5:
        mixed = blend(views, views[order])
    else:
        height, width = (max(1, round(side * part**0.5)) for side in views.shape[-2:])
        top = int(torch.randint(views.shape[-2] - height + 1, (), generator=random))
        left = int(torch.randint(views.shape[-1] - width + 1, (), generator=random))
        mixed = views.clone()
        area = (..., slice(top, top + height), slice(left, left + width))
        mixed[area] = views[order][area]
    return mixed, blend(targets, targets[order])
