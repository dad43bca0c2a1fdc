"""The small network in the form it is trained in, several times faster to train and folded back without a change.

- A 5×5 convolution followed by a 2×2 max-pool equals a 3×3 convolution over 2×2 blocks of pixels (space to depth) that
  yields the four members of each pool as channels, and a maximum over these. Few wide channels suit a CPU's matrix
  units; many narrow ones do not.
- Batch normalisation (S. Ioffe and C. Szegedy, 2015) before each ReLU, and beside the first linear layer a second one
  over a coarse map, make it learn in fewer steps; both are linear once trained, so that they fold into the layers that
  they accompany (as in RepVGG: X. Ding et al., 2021).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from app_custom.app.model import FruitCNN

__all__ = ["Trainee", "in_blocks"]

_MAP = 34  # side of the second convolution's map after its pool
_CELLS = 5  # side of the coarse map


class Trainee(nn.Module):
    """A ``FruitCNN`` with all that helps to train it."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.net = FruitCNN()
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm2d(6, affine=False),
                nn.BatchNorm2d(16, affine=False),
                nn.BatchNorm1d(120, affine=False),
                nn.BatchNorm1d(84, affine=False),
            ]
        )
        self.coarse = nn.Linear(16 * _CELLS * _CELLS, 120, bias=False)
        self.dropout = dropout
        with torch.no_grad():
            self.net.fc1.weight *= 0.1  # the coarse map leads

    def forward(self, blocks: Tensor) -> Tensor:
        """Normalised photos as ``pixel_unshuffle(photos, 2)``, ``(N, 12, 75, 75)``, to logits ``(N, classes)``."""
        net = self.net
        x = functional.relu(self.norms[0](_conv_pool(blocks, net.conv1.weight)) + _bias(net.conv1).view(-1, 1, 1))
        even = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]  # the pool never reaches the last row and column
        x = _conv_pool(functional.pixel_unshuffle(even, 2), net.conv2.weight)
        x = functional.relu(self.norms[1](x) + _bias(net.conv2).view(-1, 1, 1))
        coarse = functional.adaptive_avg_pool2d(x.float(), _CELLS)
        x = functional.dropout(torch.flatten(x.contiguous(), 1), self.dropout, self.training)
        x = functional.linear(x, net.fc1.weight) + self.coarse(torch.flatten(coarse, 1))
        x = functional.relu(self.norms[2](x) + _bias(net.fc1))
        x = functional.dropout(x, self.dropout, self.training)
        x = functional.relu(self.norms[3](functional.linear(x, net.fc2.weight)) + _bias(net.fc2))
        return net.fc3(x)  # type: ignore[no-any-return]

    @torch.no_grad()
    def folded(self) -> FruitCNN:
        """The network alone, which answers as this one does in evaluation mode."""
        net = FruitCNN()
        net.load_state_dict(self.net.state_dict())
        cells = functional.adaptive_avg_pool2d(torch.eye(_MAP * _MAP).view(-1, 1, _MAP, _MAP), _CELLS).flatten(1)
        net.fc1.weight += (self.coarse.weight.view(120, 16, -1) @ cells.T).view_as(net.fc1.weight)
        layers: tuple[nn.Conv2d | nn.Linear, ...] = (net.conv1, net.conv2, net.fc1, net.fc2)
        for layer, norm in zip(layers, self.norms, strict=True):
            assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = (norm.running_var + norm.eps).rsqrt()
            layer.weight *= scale.view(-1, *[1] * (layer.weight.ndim - 1))
            _bias(layer).sub_(norm.running_mean * scale)
        return net.eval()


def in_blocks(photos: Tensor) -> Tensor:
    """uint8 photos ``(N, H, W, 3)`` to blocks ``(N, H/2, W/2, 12)``, channels in the order of ``pixel_unshuffle``."""
    count, height, width, _ = photos.shape
    split = photos.view(count, height // 2, 2, width // 2, 2, 3).permute(0, 1, 3, 5, 2, 4)
    return split.reshape(count, height // 2, width // 2, 12)


def _conv_pool(blocks: Tensor, weight: Tensor) -> Tensor:
    """``max_pool2d(conv2d(photos, weight), 2)`` of photos in 2×2 blocks.

    ``(N, 4·I, H, W)`` and ``(O, I, 5, 5)`` to ``(N, O, H - 2, W - 2)``.
    """
    blocks = blocks.contiguous(memory_format=torch.channels_last)
    members = functional.conv2d(blocks, _blocks(weight).contiguous(memory_format=torch.channels_last))
    return members.view(len(members), 4, -1, *members.shape[2:]).max(1).values


def _blocks(weight: Tensor) -> Tensor:
    """``(O, I, 5, 5)`` to ``(4·O, 4·I, 3, 3)``: the outputs for each place in the pool, shifted by that place."""
    shifted = torch.stack([functional.pad(weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)])
    places, outputs, inputs = shifted.shape[:3]
    split = shifted.reshape(places, outputs, inputs, 3, 2, 3, 2).permute(0, 1, 2, 4, 6, 3, 5)
    return split.reshape(places * outputs, inputs * 4, 3, 3)


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias
