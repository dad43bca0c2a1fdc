import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from serving.models.networks.weights import WeightsError, check, load, read

State = dict[str, Tensor]


def state() -> State:
    return {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


def build(_: Mapping[str, Tensor]) -> nn.Module:
    return nn.Linear(3, 2)


class Evil:
    """Makes the file ``at`` when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.at,)


def save_legacy(content: object, path: Path) -> None:
    """As PyTorch wrote before 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(("name", "save"), [("a.safetensors", save_file), ("a.pt", torch.save), ("a.pt", save_legacy)])
def test_reads_what_is_published_anywhere(name: str, save: Callable[[object, Path], None], tmp_path: Path) -> None:
    save(state(), tmp_path / name)

    read_back = read(tmp_path / name)

    assert read_back.keys() == state().keys()
    assert all(torch.equal(tensor, state()[key]) for key, tensor in read_back.items())


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404 Not Found</html>", b"PK\x03\x04", bytes(100), b"version https://git-lfs.github.com/spec/v1\n"],
    ids=["empty", "page", "zip", "zeros", "git-lfs"],
)
def test_a_file_that_holds_no_weights(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(WeightsError) as caught:
        read(tmp_path / name)

    assert str(caught.value).startswith(f"{name} is n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "save"), [("a.safetensors", save_file), ("a.pt", torch.save)])
def test_a_file_that_ends_too_soon(name: str, save: Callable[[object, Path], None], tmp_path: Path) -> None:
    save(state(), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 3 // 4])

    with pytest.raises(WeightsError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_code_in_a_file_is_not_run(protocol: str, tmp_path: Path) -> None:
    content = {**state(), "extra": Evil(tmp_path / "was here")}
    if protocol == "torch":
        torch.save(content, tmp_path / "a.pt")
    else:
        (tmp_path / "a.pt").write_bytes(pickle.dumps(content))

    with pytest.raises(WeightsError, match=r"^a\.pt "):
        read(tmp_path / "a.pt")

    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": state()}], ids=["list", "checkpoint"])
def test_a_file_that_holds_something_else(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")

    with pytest.raises(WeightsError, match=r"^a\.pt holds no state dict"):
        read(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"bias": None}, "bias is missing"),
        ({"bias": torch.ones(3)}, "bias has shape (3,), expected (2,)"),
        ({"weight": torch.ones(3, 2), "bias": None}, "weight has shape (3, 2), expected (2, 3)"),
        ({"scale": torch.ones(1)}, "scale is not a key of this model"),
    ],
)
def test_the_first_key_or_shape_that_is_wrong(changes: dict[str, Tensor | None], wrong: str) -> None:
    changed = {key: tensor for key, tensor in {**state(), **changes}.items() if tensor is not None}

    with pytest.raises(WeightsError) as caught:
        check(nn.Linear(3, 2), changed)

    assert str(caught.value) == wrong


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "a.pt")

    with pytest.raises(WeightsError) as caught:
        load(tmp_path / "a.pt", build)

    assert str(caught.value) == "a.pt does not fit the model: bias is missing"


def test_a_loaded_network_is_ready_to_answer(tmp_path: Path) -> None:
    def with_dropout(_: Mapping[str, Tensor]) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))

    save_file({f"0.{key}": tensor.half() for key, tensor in state().items()}, tmp_path / "a.safetensors")

    network = load(tmp_path / "a.safetensors", with_dropout)

    photo = torch.tensor([[1.0, 0.5, 0.25]])
    assert torch.equal(network(photo), photo @ state()["weight"].T + state()["bias"])
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in network.parameters())
