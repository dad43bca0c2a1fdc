"""The loop: batches, AdamW, and a checkpoint to go on from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from training.bank import DEVICE

__all__ = ["learn"]

_LOOKS = 10


def learn(
    network: nn.Module,
    batch: Callable[[], tuple[Tensor, Tensor]],
    steps: int,
    rate: float,
    accuracy: Callable[[], float],
    checkpoint: Path,
) -> list[tuple[int, float, float]]:
    """Trains ``network``, or goes on where ``checkpoint`` is, on what ``batch`` gives: inputs and probabilities.

    The rate follows a cosine to 0. Returns steps, the mean loss since the one before, and ``accuracy`` there.
    """
    network.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    parts: dict[str, Any] = {"net": network, "optimiser": optimiser, "schedule": CosineAnnealingLR(optimiser, steps)}
    saved: dict[str, Any] = {"step": 0, "history": []}
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
    history: list[tuple[int, float, float]] = saved["history"]
    losses: list[float] = []
    with Progress() as progress:
        for step in progress.track(range(saved["step"] + 1, steps + 1), steps, saved["step"], description="learning"):
            inputs, targets = batch()
            with torch.autocast(DEVICE, torch.bfloat16):
                logits = network.train()(inputs)
            loss = functional.cross_entropy(logits.float(), targets.to(DEVICE))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            parts["schedule"].step()
            losses.append(float(loss.detach()))
            if step % math.ceil(steps / _LOOKS) == 0 or step == steps:
                history.append((step, sum(losses) / len(losses), accuracy()))
                losses.clear()
                said = f"loss {history[-1][1]:.3f}, right {history[-1][2]:.3f}"
                progress.update(progress.task_ids[0], description=said)
                now = {name: part.state_dict() for name, part in parts.items()}
                now |= {"step": step, "history": history, "random": torch.get_rng_state()}
                torch.save(now, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
    network.eval()
    return history
