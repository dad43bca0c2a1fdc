"""What timm says of a network's input."""

from collections.abc import Mapping
from typing import Any

__all__ = ["stated_input"]


def stated_input(said: Any) -> dict[str, Any]:
    """A network's ``pretrained_cfg`` in the words of ``[input]``, as ``timm.data.create_transform`` takes it.

    Of anything else, nothing.
    """
    if not isinstance(said, Mapping) or "input_size" not in said:
        return {}
    _, height, width = said["input_size"]
    stated = {"size": (height, width), "interpolation": said.get("interpolation", "bilinear")}
    stated |= {name: tuple(said[name]) for name in ("mean", "std") if name in said}
    mode, share = said.get("crop_mode", "center"), said.get("crop_pct", 1)
    if mode == "squash":
        return stated | {"fit": "squash"}
    if mode == "border":
        return stated | {"fit": "pad"}
    return stated | {"resize": int(max(height, width) / share)}
