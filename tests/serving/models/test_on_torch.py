"""What GPUs are for, as far as it goes without one: 16 bits and batches, on the processor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serving.models.engines.on_torch import open_model
from serving.models.errors import ModelError
from serving.models.files.choice import choose
from serving.models.files.folder import Folder
from tests.serving.models.made import folder_in, small_network

PHOTOS = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)


def saved(tmp_path: Path, toml: str, batch: int | None = None) -> Folder:
    """A network as ``torch.export`` writes it, for any number of photos or just for one."""
    folder = folder_in(tmp_path, "exported", toml)
    dynamic: Any = None if batch else {"photos": {0: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(small_network(), (torch.zeros(batch or 2, 3, 64, 64),), dynamic_shapes=dynamic)
    torch.export.save(program, folder.artifacts / "a.pt2")
    return folder


def test_in_16_bits_and_batches_it_answers_as_in_32_and_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path, "batch = 4\n")
    model = choose(folder)
    alone = open_model(folder, model, threads=2, device=None)

    half = open_model(folder, model, 2, torch.device("cpu"), torch.bfloat16)

    assert (half.batch, half.at_once) == (4, 1)
    assert half.description == f"torch {torch.__version__} bf16"
    wanted = np.concatenate([alone.scores(photo[np.newaxis]) for photo in PHOTOS])
    assert half.scores(PHOTOS) == pytest.approx(wanted, abs=0.1)
    assert half.scores(PHOTOS).dtype == np.float32
    assert half.scores(PHOTOS).sum(1) == pytest.approx(np.ones(5), abs=1e-5)


def test_how_many_at_once_is_measured_where_the_network_takes_many(tmp_path: Path) -> None:
    folder = saved(tmp_path, "")

    measured = open_model(folder, choose(folder), 2, torch.device("cpu"), torch.bfloat16)

    assert measured.batch in {1, 2, 4, 8, 16, 32}
    assert measured.scores(PHOTOS).shape == (5, 3)


def test_a_network_for_one_photo_gets_them_one_by_one(tmp_path: Path) -> None:
    folder = saved(tmp_path, "", batch=1)

    measured = open_model(folder, choose(folder), 2, torch.device("cpu"), torch.bfloat16)

    assert measured.batch == 1
    assert measured.scores(PHOTOS).shape == (5, 3)


def test_more_than_it_takes_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, "batch = 8\n", batch=1)

    with pytest.raises(ModelError, match="takes one photo at a time: leave batch = 8 out"):
        open_model(folder, choose(folder), 2, torch.device("cpu"), torch.bfloat16)
