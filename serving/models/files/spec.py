"""What a variant's ``variant.toml`` may say."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...photos.view import Fit, Half, Interpolation, View
from ..errors import ModelError

__all__ = ["Input", "Spec", "read"]

# Pixels come back from a decoding process in a file of limited size.
_MAX_SIDE = 1024
_Side = Annotated[int, Field(ge=1, le=_MAX_SIDE)]
_Colour = tuple[float, float, float]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Table):
    """What the model takes: RGB of ``size`` (a side, or height and width), scaled to [0, 1], less ``mean``, by ``std``.

    The defaults of ``mean`` and ``std`` are ImageNet's.
    """

    size: _Side | tuple[_Side, _Side] | None = None
    resize: _Side | None = None
    fit: Fit = "crop"
    mean: _Colour = (0.485, 0.456, 0.406)
    std: _Colour = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"
    half: Half = "even"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if any(value <= 0 for value in self.std):
            raise ValueError("std has to be greater than 0")
        if self.resize and self.fit != "crop":
            raise ValueError(f'resize belongs to fit = "crop"; with "{self.fit}", leave it out')
        if self.resize and self.size and self.resize < max(self.shape):
            raise ValueError(f"resize = {self.resize} is smaller than the size, {_words(self.shape)}")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width; there has to be a ``size``."""
        assert self.size is not None
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @property
    def view(self) -> View:
        """The same for whoever decodes. What is added to a photo has the mean's colour, and so counts as nothing."""
        red, green, blue = (min(255, max(0, round(255 * value))) for value in self.mean)
        return View(*self.shape, self.resize, self.fit, self.interpolation, (red, green, blue), self.half)

    def completed(self, stated: Mapping[str, Any], fixed: tuple[int, int] | None, file: str) -> "Input":
        """With what the model itself states, where ``variant.toml`` says nothing; ``fixed`` is the only size it takes.

        Raises ``ModelError`` where the two contradict each other, or neither says the size.
        """
        said = self.model_dump(exclude_unset=True)
        stated = dict(stated)
        if "size" in said or "fit" in said:
            stated.pop("resize", None)
        try:
            merged = Input(**({"size": _short(fixed)} if fixed else {}) | stated | said)
        except ValidationError as error:
            raise ModelError(f"variant.toml and {file} together make no input: {_first(error)}") from None
        if merged.size is None:
            raise ModelError(
                f"{file} does not say how large its photos are: write into variant.toml, below a line [input], "
                "for example size = 224"
            )
        if fixed and merged.shape != fixed:
            raise ModelError(
                f"{file} takes photos of {_words(fixed)} pixels, but [input] in variant.toml says "
                f"{_words(merged.shape)}: write size = {_short(fixed)} there, or leave it out"
            )
        return merged


class Spec(_Table):
    """A variant's ``variant.toml``, and what holds without it.

    ``model`` names the file in ``artifacts`` that is served, where there are several. ``output`` is what the model
    gives, and ``classes`` the system's class of each of its outputs, in their order; outputs of the same class are
    added up. A ``large`` network is held in memory once, and in 8-bit integers where they are faster; another is held
    once for each thread. ``batch`` photos at most are scored together: ``auto`` as many as is measured to be faster.
    """

    model: str | None = None
    output: Literal["logits", "probabilities"] = "logits"
    classes: tuple[str, ...] | None = None
    large: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    batch: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"
    input: Input = Input()


def read(path: Path) -> Spec:
    """What the file at ``path`` says; the defaults where there is none. Raises ``ModelError``."""
    name = f"{path.parent.name}/{path.name}"
    try:
        return Spec(**tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Spec()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{name} is no TOML: {error}") from None
    except ValidationError as error:
        raise ModelError(f"{name}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first of what is wrong, as a sentence."""
    what = error.errors()[0]
    if what["type"] == "extra_forbidden":
        return f"there is no key {'.'.join(map(str, what['loc']))}; docs/models.md lists those there are"
    keys = Spec.model_fields.keys() | Input.model_fields.keys()
    where = ".".join(part for part in map(str, what["loc"]) if part in keys)
    message = what["msg"].removeprefix("Value error, ")
    return f"{where}: {message} (docs/models.md says what it may be)"


def _words(shape: tuple[int, int]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _short(shape: tuple[int, int]) -> Any:
    return shape[0] if shape[0] == shape[1] else list(shape)
