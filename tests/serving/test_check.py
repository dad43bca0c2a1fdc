"""``python -m serving check``."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from local.parts import ROOT
from serving.__main__ import main
from serving.models.files.folder import Folder
from tests.serving.models.given import converting_here
from tests.serving.models.made import folder_in
from variants import CLASSES


def colours(folder: Folder) -> None:
    """An ONNX file whose scores are the means of red, green and blue, made without any framework."""
    pool = helper.make_node("GlobalAveragePool", ["photos"], ["means"])
    flat = helper.make_node("Flatten", ["means"], ["scores"])
    taken = helper.make_tensor_value_info("photos", TensorProto.FLOAT, [1, 3, 40, 60])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])
    model = helper.make_model(
        helper.make_graph([pool, flat], "colours", [taken], [given]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 10
    onnx.save(model, folder.artifacts / "colours.onnx")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A variant that a file alone makes, in the current folder."""
    monkeypatch.chdir(tmp_path)
    made = folder_in(tmp_path, "colours")
    colours(made)
    return made


@pytest.fixture
def green(tmp_path: Path) -> Path:
    path = tmp_path / "green.png"
    Image.new("RGB", (300, 100), (0, 255, 0)).save(path)
    return path


def test_says_what_the_model_takes_sees_and_answers(
    folder: Folder, green: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with converting_here():
        main(["check", "app_colours", str(green)])

    said = capsys.readouterr().out
    assert "app_colours: colours.onnx (ONNX), sha256 " in said
    assert "60×40, crop, bilinear, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225" in said
    assert f"{green}: {CLASSES[1]} 0.9" in said
    assert " at most from openvino " in said
    assert "The fast engine agrees with the reference" in said
    seen = np.asarray(Image.open(tmp_path / ".run" / "check" / "app_colours" / "green.png"))
    assert seen.shape == (40, 60, 3)
    assert (seen == (0, 255, 0)).all()


def test_what_is_wrong_is_one_sentence(folder: Folder, green: Path) -> None:
    (folder.path / "variant.toml").write_text("[input]\nsize = 150\n")

    ended = subprocess.run(
        [sys.executable, "-m", "serving", "check", "app_colours", str(green)],
        cwd=folder.path.parent,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "app_colours: colours.onnx takes photos of 60×40 pixels, but [input] in variant.toml says 150×150: "
        "write size = [40, 60] there, or leave it out\n"
    )


def test_a_photo_that_is_none(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no photo")
    with converting_here(), pytest.raises(SystemExit, match=r"app_colours: .*a\.jpg: The file is not a photo"):
        main(["check", "app_colours", str(tmp_path / "a.jpg")])
    with converting_here(), pytest.raises(SystemExit, match=r"app_colours: .*No such file"):
        main(["check", "app_colours", str(tmp_path / "absent.jpg")])


def test_a_fast_engine_that_is_off_the_reference(folder: Folder, green: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.check._CLOSE", -1.0)
    with converting_here(), pytest.raises(SystemExit, match=r"off the reference, more than .*ENGINE=torch"):
        main(["check", "app_colours", str(green)])


def test_a_variant_that_no_list_gives_a_port(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"app_colours is not in variants/variants\.toml, .*add it, or set PORT\."):
        main(["app_colours"])


def test_what_is_served_from_a_gpu_needs_no_preparation(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE", "cuda")
    main(["app_colours", "--prepare"])
    assert not (folder.path.parent / ".cache").exists()
