"""Trains the starter weights: ``python -m training.train vgg16 PHOTOS --backbone FILE``, then ``… custom PHOTOS``.

``PHOTOS`` holds a folder for each class. ``vgg16`` starts from VGG-16's convolutions trained on ImageNet: first its
head learns on top of them as they are, then its last two blocks follow (linear probing, then fine-tuning: A. Kumar et
al., 2022). ``custom`` starts from nothing and learns the answers of a trained ``vgg16`` on the same views
(distillation: G. Hinton et al., 2015; "consistent teaching": L. Beyer et al., 2022). What is kept is a running average
of the weights. A starter of ``vgg16`` may itself be the backbone: then it learns on.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from app_vgg16.app.model import FruitVGG16
from training import _memory, starter
from training._torchvision import imagenet_features
from training.album import open_album
from training.augment import Augmenter, mix
from training.photos import CLASSES, MEAN, STD, find, normalise
from training.split import split
from training.trainee import Trainee, in_blocks

__all__ = ["custom", "main", "vgg16"]

_RANKS = (128, 64)
_BLOCKS = ((17, 24, 1.5e-3), (24, 31, 2e-3))  # the fourth and the fifth: from and to in `features`, and their rate
_SMOOTHING = 0.05
_TEMPERATURE = 2.0
_PROBE_EPOCHS = 12
_GENTLE = 0.5  # the small network has no room to learn all that light can do


def vgg16(views: Augmenter, state: dict[str, Tensor], bank: int, steps: int, batch: int = 64) -> nn.Module:
    """Fine-tunes VGG-16 from ``state`` (``features.*``, and ``classifier.*`` where it has been trained before).

    The head alone learns from the feature maps of ``bank`` views; then ``steps`` batches of fresh views train it
    together with the last two blocks.
    """
    model = FruitVGG16(ranks=_RANKS, pooled=False)
    _start_head(model)
    model.load_state_dict(state, strict=False)
    starter.channels_last(model)
    layers = list(model.features)
    model.features.requires_grad_(False)
    head = list(model.classifier.parameters())
    if bank:
        maps, answers = _answered(views, None, bank, model.features)
        steps_on_maps = max(1, _PROBE_EPOCHS * bank // batch)

        def mapped() -> tuple[Tensor, Tensor]:
            rows = torch.randint(len(maps), (batch,), generator=views.random)
            return mix(maps[rows].float(), answers[rows], views.random, 0.3)

        top = nn.Sequential(nn.Flatten(), model.classifier)
        kept = _fit("head", top, mapped, _relative([(head, 5e-3)]), steps_on_maps)
        top.load_state_dict(kept.state_dict())
    rates = [([p for layer in layers[start:end] for p in layer.parameters()], rate) for start, end, rate in _BLOCKS]
    for parameters, _ in rates:
        for parameter in parameters:
            parameter.requires_grad_(True)

    def fresh() -> tuple[Tensor, Tensor]:
        photos, labels = views.draw(batch)
        return mix(normalise(photos), _smooth(labels), views.random, 0.3)

    return _fit("vgg16", model, fresh, _relative([*rates, (head, 3e-3)]), steps)


def _start_head(model: FruitVGG16) -> None:
    """Each thin pair of layers starts as an orthogonal projection and its expansion, at a scale for the features."""
    for module in model.classifier.modules():
        if isinstance(module, nn.Linear):
            if module.bias is None:
                nn.init.orthogonal_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    first = model.classifier[0]
    assert isinstance(first, nn.Sequential)
    assert isinstance(first[0], nn.Linear)
    with torch.no_grad():
        first[0].weight /= 10  # the root mean square of the last feature map is about 20


def custom(views: Augmenter, teacher: nn.Module | None, bank: int, steps: int, batch: int = 64) -> nn.Module:
    """Trains the small network on ``bank`` views; with a ``teacher``, on its answers to them.

    The views are drawn and answered once; each time one is used it is shifted, flipped and mixed anew.
    """
    photos, answers = _answered(views, teacher, bank)
    blocks = in_blocks(photos)
    random = views.random
    model = Trainee()

    def batches() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(blocks), (batch,), generator=random)
        return mix(_shifted(blocks, rows, random), answers[rows], random, 0.3)

    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    kept = _fit("custom", model, batches, optimiser, steps)
    assert isinstance(kept, Trainee)
    net = kept.folded()
    if teacher is not None:
        with torch.no_grad():  # the answers learnt were softened
            for parameter in net.fc3.parameters():
                parameter.mul_(_TEMPERATURE)
    return net


def _fit(
    name: str,
    model: nn.Module,
    batches: Callable[[], tuple[Tensor, Tensor]],
    optimiser: torch.optim.Optimizer,
    steps: int,
) -> nn.Module:
    """Trains ``model``, its rates warmed up and then a cosine to 0; returns its average over about the last tenth."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    decay = get_ema_multi_avg_fn(max(0.0, 1 - 10 / steps))  # type: ignore[no-untyped-call]
    average = AveragedModel(model, multi_avg_fn=decay, use_buffers=True)
    model.train()
    losses: list[float] = []
    begin = time.monotonic()
    for step in range(1, steps + 1):
        inputs, targets = batches()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs).float()
        loss = functional.cross_entropy(logits, targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        losses.append(float(loss.detach()))
        if step % max(1, steps // 20) == 0 or step == steps:
            mean = sum(losses) / len(losses)
            print(f"{name} step {step}/{steps} loss {mean:.3f} {time.monotonic() - begin:.0f} s", flush=True)
            losses.clear()
    kept: nn.Module = average.module
    return kept.eval()


def _relative(rates: list[tuple[list[nn.Parameter], float]]) -> torch.optim.Optimizer:
    """AdamW with rates relative to the size of the weights they move (Adafactor: N. Shazeer and M. Stern, 2018)."""
    groups = [{"params": [p], "lr": _size(p) * rate} for parameters, rate in rates for p in parameters]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.02)


def _size(parameter: nn.Parameter) -> float:
    """Its root mean square; for a bias at least what it comes to after a few steps."""
    return max(float(parameter.detach().square().mean().sqrt()), 1e-2 if parameter.ndim == 1 else 1e-6)


def _rate(step: int, steps: int) -> float:
    warm = max(1, min(100, steps // 10))
    return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


def _smooth(labels: Tensor) -> Tensor:
    """Labels as probabilities that leave a little to the other classes (C. Szegedy et al., 2016)."""
    return functional.one_hot(labels, len(CLASSES)).float() * (1 - _SMOOTHING) + _SMOOTHING / len(CLASSES)


def _answered(
    views: Augmenter, teacher: nn.Module | None, count: int, seen_by: nn.Module | None = None
) -> tuple[Tensor, Tensor]:
    """``count`` views, or what ``seen_by`` makes of them, and the probabilities to learn for each.

    These are the label's, smoothed, or with a ``teacher`` mostly its own, softened.
    """
    kept, answers = [], []
    for start in range(0, count, 64):
        photos, labels = views.draw(min(64, count - start))
        answer = _smooth(labels)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            if teacher is not None:
                logits = teacher(normalise(photos)).float()
                answer = 0.2 * answer + 0.8 * functional.softmax(logits / _TEMPERATURE, 1)
            kept.append(photos if seen_by is None else seen_by(normalise(photos)).half())
        answers.append(answer)
    return torch.cat(kept), torch.cat(answers)


def _shifted(blocks: Tensor, rows: Tensor, random: Generator) -> Tensor:
    """Some photos, normalised, in blocks as ``Trainee`` takes them; each moved by up to 12 pixels, half flipped.

    ``blocks`` is uint8 ``(N, 75, 75, 12)``, channels in the order of ``pixel_unshuffle``.
    """
    count, side, reach = len(rows), blocks.shape[1], 6
    down, right = torch.randint(-reach, reach + 1, (2, count, 1), generator=random)
    ys, xs = ((torch.arange(side) + move).clamp(0, side - 1) for move in (down, right))
    half = count // 2
    xs[:half] = xs[:half].flip(1)
    moved = blocks[rows.view(-1, 1, 1), ys.unsqueeze(2), xs.unsqueeze(1)]
    # Within a block, too, left and right change places.
    moved[:half] = moved[:half].unflatten(3, (6, 2)).flip(4).flatten(3)  # type: ignore[no-untyped-call]
    mean, std = (torch.tensor(values).repeat_interleave(4).view(12, 1, 1) * 255 for values in (MEAN, STD))
    return moved.permute(0, 3, 1, 2).float().sub_(mean).div_(std)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", choices=("vgg16", "custom"))
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos for each class")
    parser.add_argument("--backbone", type=Path, help="vgg16: weights to start from (default: torchvision's)")
    parser.add_argument("--teacher", type=Path, help="custom: weights of vgg16 to learn from")
    parser.add_argument("--bank", type=int, help="views drawn once: 8000 for the head of vgg16, 10000 for custom")
    parser.add_argument("--steps", type=int, help="batches; default: 700 for vgg16, 5000 for custom")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--without", metavar="SOURCE", help="leave out the photos of a source, to test on them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: the variant's artifacts")
    given = parser.parse_args(arguments)
    _memory.keep()
    torch.manual_seed(given.seed)
    training = [photo for photo in split(find(given.photos))[0] if photo.source != given.without]
    views = Augmenter(open_album(training), given.seed, 1.0 if given.variant == "vgg16" else _GENTLE)
    if given.variant == "vgg16":
        state = {k: v.float() for k, v in load_file(given.backbone).items()} if given.backbone else imagenet_features()
        bank = 8000 if given.bank is None else given.bank
        model = vgg16(views, state, bank, given.steps or 700, given.batch)
    else:
        teacher = starter.read("vgg16", given.teacher) if given.teacher else None
        model = custom(views, teacher, given.bank or 10_000, given.steps or 5000, given.batch)
    starter.write(model, given.out or starter.path(given.variant), {"trained_on": f"{len(training)} photos"})


if __name__ == "__main__":
    main()
