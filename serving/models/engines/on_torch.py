"""Models on plain PyTorch: the reference in 32 bits, and GPUs in 16."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..examine import examine
from ..files.choice import Model
from ..files.folder import Folder
from ..files.spec import Input
from ..networks.opening import open_network
from ..samples import sample
from .batches import Scores, fastest
from .scorer import Scorer

if TYPE_CHECKING:
    import torch

__all__ = ["cuda", "open_model"]

# More at once gain little on any GPU, and the first of them waits for the last.
_MOST = 32


def cuda() -> "tuple[torch.device, torch.dtype]":
    """The GPU, and the kind of 16 bits it is fast in; raises ``ModelError`` where PyTorch finds none."""
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        build = f"is built for {torch.version.cuda or 'CPUs'}"
        raise ModelError(
            f'device = "cuda", but PyTorch finds no GPU here, and {build}: start with docker-compose.gpu.yml, or set '
            'device = "cpu"'
        )
    return torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def open_model(
    folder: Folder,
    model: Model,
    threads: int,
    device: "torch.device | None" = None,
    kind: "torch.dtype | None" = None,
) -> Scorer:
    """``model`` on ``device``, computed in ``kind``: on the processor and in 32 bits where they are not given.

    Raises ``ModelError`` where it does not fit its ``variant.toml`` or the system.
    """
    import torch  # noqa: PLC0415

    on, kind = device or torch.device("cpu"), kind or torch.float32
    torch.set_num_threads(threads)
    opened = open_network(folder, model)
    taken = folder.spec.input.completed(opened.stated, opened.fixed, model.file)
    layout = torch.channels_last if kind != torch.float32 else torch.preserve_format
    network = opened.module.to(on, kind, memory_format=layout)  # type: ignore[call-overload]
    mean, std = (torch.tensor(values, device=on).view(3, 1, 1) for values in (taken.mean, taken.std))

    def raw(photos: NDArray[np.uint8]) -> "torch.Tensor":
        with torch.inference_mode():
            pixels = torch.tensor(photos, device=on).permute(0, 3, 1, 2).float().div(255)
            answer: torch.Tensor = network(((pixels - mean) / std).to(kind, memory_format=layout))
            return answer.float()

    def scores(photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer = raw(photos)
        return np.asarray((answer.softmax(1) if folder.spec.output == "logits" else answer).cpu().numpy())

    photo = sample(taken.view)
    try:
        answer = raw(photo[np.newaxis])
    except Exception as error:  # whatever a network does with photos it is not made for
        size = f"{taken.shape[1]}×{taken.shape[0]}"
        raise ModelError(f"{model.file} does not take photos of {size}: {str(error).splitlines()[-1]}") from error
    examine(folder, model, answer.cpu().numpy())
    batch = _batch(folder, scores, taken, device is not None)
    name = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}[kind]
    where = f" on {torch.cuda.get_device_name(on)}" if on.type == "cuda" else ""
    return Scorer(
        scores if batch > 1 else _singly(scores),
        taken,
        f"torch {torch.__version__} {name}{where}",
        batch,
        at_once=1 if device else threads,
    )


def _batch(folder: Folder, scores: Scores, taken: Input, measured: bool) -> int:
    """How many photos are scored together; more than one only where the network takes them."""
    if folder.spec.batch == 1 or (folder.spec.batch == "auto" and not measured):
        return 1
    photo = sample(taken.view)
    try:
        takes_many = len(scores(np.stack([photo, photo]))) == 2
    except Exception:  # a network exported for one photo
        takes_many = False
    if folder.spec.batch != "auto":
        if not takes_many:
            raise ModelError(f"the model takes one photo at a time: leave batch = {folder.spec.batch} out")
        return folder.spec.batch
    return fastest(scores, photo, _MOST) if takes_many else 1


def _singly(scores: Scores) -> Scores:
    return lambda photos: np.concatenate([scores(photo[np.newaxis]) for photo in photos])
