"""The loop: batches drawn at random, AdamW, a running average of the weights, and a checkpoint to go on from."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.bank import prepared

__all__ = ["History", "Lesson", "learn"]

History = list[tuple[int, float, float]]
"""Step, mean loss since the entry before, and accuracy on photos that do not train."""

_LOOKS = 10


@dataclass(frozen=True)
class Lesson:
    """``inputs`` ``(N, …)`` are drawn by ``shares`` ``(N,)``; their ``targets`` are ``(N, classes)`` probabilities.

    Each time one is used, ``altered`` may change it.
    """

    inputs: NDArray[Any]
    targets: Tensor
    shares: Tensor
    altered: Callable[[Tensor], Tensor]
    steps: int
    batch: int
    rate: float


def learn(
    network: nn.Module,
    learnt: set[str],
    lesson: Lesson,
    accuracy: Callable[[nn.Module], float],
    checkpoint: Path,
) -> tuple[nn.Module, History]:
    """Trains ``network``, or goes on where ``checkpoint`` is; returns the average of about its last tenth.

    What it had ``learnt`` before moves at a tenth of the rate, which warms up, then follows a cosine to 0.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    moved = [[p for name, p in network.named_parameters() if (name in learnt) == old] for old in (False, True)]
    groups = [{"params": moved[0], "lr": lesson.rate}, {"params": moved[1], "lr": lesson.rate / 10}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, lesson.steps))
    decay = get_ema_multi_avg_fn(max(0.0, 1 - 10 / lesson.steps))  # type: ignore[no-untyped-call]
    average = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
    parts: dict[str, Any] = {"net": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    saved: dict[str, Any] = (
        torch.load(checkpoint, weights_only=True) if checkpoint.exists() else {"step": 0, "history": []}
    )
    history: History = saved["history"]
    if saved["step"]:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
    losses: list[float] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeRemainingColumn()) as progress:
        bar = progress.add_task("learning", total=lesson.steps, completed=saved["step"])
        for step in range(saved["step"] + 1, lesson.steps + 1):
            rows = torch.multinomial(lesson.shares, lesson.batch, replacement=True)
            batch = lesson.altered(prepared(lesson.inputs[rows.numpy()]))
            with torch.autocast("cpu", torch.bfloat16):
                logits = network.train()(batch)
            loss = functional.cross_entropy(logits.float(), lesson.targets[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(float(loss.detach()))
            progress.update(bar, completed=step)
            if step % math.ceil(lesson.steps / _LOOKS) == 0 or step == lesson.steps:
                history.append((step, sum(losses) / len(losses), accuracy(average.module)))
                losses.clear()
                progress.update(bar, description=f"loss {history[-1][1]:.3f}, right {history[-1][2]:.3f}")
                now = {name: part.state_dict() for name, part in parts.items()}
                now |= {"step": step, "history": history, "random": torch.get_rng_state()}
                torch.save(now, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
    kept: nn.Module = average.module
    return kept.eval(), history


def _rate(step: int, steps: int) -> float:
    return min((step + 1) / max(1, min(100, steps // 10)), 0.5 * (1 + math.cos(math.pi * step / steps)))
