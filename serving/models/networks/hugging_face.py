"""A Hugging Face folder: its network, and the input that its ``preprocessor_config.json`` states."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from . import timm_input

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["load", "stated_input"]

# Pillow's numbers.
_INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# Those whose size is the shorter side where it is one number.
_SHORTER = ("ConvNext", "MobileNet", "EfficientFormer", "Levit", "PoolFormer", "ResNet", "Bit", "CLIP")
# ConvNeXt's processor crops below this size only.
_CROPPED_BELOW = 384


def load(home: Path) -> "nn.Module":
    """Photos ``(N, 3, height, width)`` to logits. Code that lies in the folder is not run.

    Raises ``ModelError`` where transformers is missing or does not know the model.
    """
    from torch import nn  # noqa: PLC0415

    try:
        from transformers import AutoModelForImageClassification  # noqa: PLC0415
        from transformers.utils import logging  # noqa: PLC0415
    except ImportError:
        raise ModelError("a Hugging Face folder needs transformers: add it to requirements.txt, and install") from None
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        network, found = AutoModelForImageClassification.from_pretrained(
            home, local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"transformers cannot open {home.name}: {str(error).splitlines()[0]}") from None
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"the weights in {home.name} are not for an image classifier: {missing[0]} is missing")

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, photos: "Tensor") -> "Tensor":
            return self.network(pixel_values=photos).logits  # type: ignore[no-any-return]

    return Logits()


def stated_input(home: Path) -> dict[str, Any]:
    """What ``preprocessor_config.json`` says, in the words of ``[input]``, or of timm's networks ``config.json``.

    Nothing where there is neither. Raises ``ModelError`` where it asks for what is not done here.
    """
    path = home / "preprocessor_config.json"
    try:
        if not path.is_file():
            config = home / "config.json"
            said = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
            return timm_input.stated_input(said.get("pretrained_cfg"))
        said = dict(json.loads(path.read_text(encoding="utf-8")))
        return _translated(said)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path.name} cannot be understood ({error}): say what it means in [input]") from None


def _translated(said: Mapping[str, Any]) -> dict[str, Any]:
    if said.get("do_flip_channel_order"):
        raise ModelError("preprocessor_config.json asks for blue, green, red: exchange the channels in the network")
    if said.get("do_rescale", True) and abs(float(said.get("rescale_factor", 1 / 255)) * 255 - 1) > 0.01:
        raise ModelError(
            "preprocessor_config.json scales to another range than [0, 1]: say its mean and std in [input]"
        )
    stated: dict[str, Any] = {"interpolation": _INTERPOLATIONS[int(said.get("resample", 2))]}
    if said.get("do_normalize", True):
        if "image_mean" in said and "image_std" in said:
            stated |= {"mean": tuple(said["image_mean"]), "std": tuple(said["image_std"])}
    else:
        stated |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return stated | _shape(said)


def _shape(said: Mapping[str, Any]) -> dict[str, Any]:
    size = said.get("size")
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    shortest = size if isinstance(size, int) and kind.startswith(_SHORTER) else None
    if isinstance(size, Mapping):
        shortest = size.get("shortest_edge")
    if shortest is None:
        whole = _pair(size)
        crop = _pair(said["crop_size"]) if said.get("do_center_crop") and "crop_size" in said else None
        if crop and crop != whole:
            # Squashed, and then cropped: what [input] has no word for.
            raise ModelError("preprocessor_config.json squashes and then crops: say what comes closest in [input]")
        return {"size": whole, "fit": "squash"}
    if kind.startswith("ConvNext"):
        if shortest >= _CROPPED_BELOW:
            return {"size": shortest, "fit": "squash"}
        return {"size": shortest, "resize": int(shortest / said.get("crop_pct", 224 / 256)), "half": "down"}
    crop = _pair(said["crop_size"]) if said.get("do_center_crop", True) and "crop_size" in said else None
    return {"size": crop, "resize": shortest, "half": "down"} if crop else {"size": shortest}


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    if isinstance(size, (list, tuple)):
        return int(size[0]), int(size[1])
    return int(size), int(size)
