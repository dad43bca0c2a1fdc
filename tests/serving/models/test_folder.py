import hashlib
import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import save_file

from serving.models.errors import ModelError
from serving.models.files.choice import Kind, choose
from serving.models.files.folder import open_folder
from serving.variant import listed
from tests.classes import APPLE, GRAPES, LEMON
from tests.serving.models.made import folder_in


@pytest.mark.parametrize(
    ("toml", "wrong"),
    [
        ("[input]\nsize = 0", "input.size: Input should be greater than or equal to 1"),
        ("[input]\nsise = 224", "there is no key input.sise"),
        ("lage = true", "there is no key lage"),
        ("[input]\nsize = 224\nresize = 100", "resize = 100 is smaller than the size, 224×224"),
        ('[input]\nfit = "pad"\nresize = 256', 'resize belongs to fit = "crop"'),
        ("[input]\nstd = [1, 1, 0]", "std has to be greater than 0"),
        ('output = "percent"', "output: Input should be 'logits' or 'probabilities'"),
        ("batch = 0", "batch: Input should be greater than or equal to 1"),
        ('device = "gpu"', "device: Input should be 'cpu' or 'cuda'"),
        ("size 224", "is no TOML"),
    ],
)
def test_a_variant_toml_that_says_what_cannot_be(toml: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        folder_in(tmp_path, "wrong", toml)

    assert str(caught.value).startswith("app_wrong/variant.toml")
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_holds_without_a_variant_toml(tmp_path: Path) -> None:
    said = folder_in(tmp_path, "silent").spec

    assert (said.output, said.classes, said.large, said.device, said.batch) == ("logits", None, False, "cpu", "auto")
    assert (said.input.fit, said.input.interpolation, said.input.size) == ("crop", "bilinear", None)


def test_a_folder_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no folder app_resnet"):
        listed(tmp_path / "app_resnet")


def test_a_variant_that_is_not_in_the_list_is_called_as_its_folder(tmp_path: Path) -> None:
    assert folder_in(tmp_path, "mine").name == "mine"
    assert listed(Path("app_vgg16")).name == "vgg16"


@pytest.mark.parametrize("app", ["", "app"])
def test_artifacts_lie_in_the_folder_or_in_its_app(app: str, tmp_path: Path) -> None:
    artifacts = tmp_path / "app_mine" / app / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "a.onnx").write_bytes(b"a")

    model = choose(open_folder(tmp_path / "app_mine", "mine", ("a", "b")))

    assert (model.kind, model.weights.path) == (Kind.ONNX, artifacts / "a.onnx")
    assert model.weights.sha256 == hashlib.sha256(b"a").hexdigest()


def test_other_weights_come_before_a_starter(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine")
    (folder.artifacts / "starter.safetensors").write_bytes(b"starter")
    assert choose(folder).file == "starter.safetensors"

    (folder.artifacts / "published.pt").write_bytes(b"published")
    (folder.artifacts / "MODEL_CARD.md").write_text("How it was made.")

    assert choose(folder).file == "published.pt"


def test_of_several_models_one_is_named(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine")
    for name in ("a.onnx", "b.onnx"):
        (folder.artifacts / name).write_text(name)
    with pytest.raises(ModelError, match=r'holds a\.onnx, b\.onnx: say which .* model = "a\.onnx"'):
        choose(folder)

    (folder.path / "variant.toml").write_text('model = "b.onnx"\n')

    assert choose(listed(folder.path)).file == "b.onnx"


@pytest.mark.parametrize(
    ("files", "toml", "wrong"),
    [
        ([], "", "no model in app_mine/artifacts: put its file there"),
        (["a.onnx"], 'model = "b.onnx"', "no model in app_mine/artifacts: b.onnx, which variant.toml names, is not"),
        (["a.joblib"], "", "app_mine/artifacts/a.joblib is of no kind that is served by itself"),
        (["config.json", "README.md"], "", "no model in app_mine/artifacts: put its file there"),
    ],
)
def test_a_folder_without_a_model(files: list[str], toml: str, wrong: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine", toml)
    for name in files:
        (folder.artifacts / name).write_text("{}")

    with pytest.raises(ModelError) as caught:
        choose(folder)

    assert wrong in str(caught.value)


def test_a_model_that_may_not_be_read(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine")
    (folder.artifacts / "a.onnx").write_bytes(b"a")

    # Root may read anything.
    with (
        patch("hashlib.file_digest", side_effect=PermissionError),
        pytest.raises(ModelError, match=r"chmod a\+r .*a\.onnx"),
    ):
        choose(folder)


def test_a_model_of_several_files_is_known_by_all_of_them(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine")
    (folder.artifacts / "a.xml").write_text("a")
    (folder.artifacts / "a.bin").write_text("a")
    before = choose(folder).weights

    (folder.artifacts / "a.bin").write_text("b")

    assert choose(folder).weights.sha256 != before.sha256
    assert before.path.name == "a.xml"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ([APPLE, GRAPES, "lemmon"], f"'lemmon' is none of the system's, {APPLE}, {GRAPES}, {LEMON}"),
        ([APPLE, GRAPES, APPLE], f"no output is '{LEMON}', which the system has"),
    ],
)
def test_classes_that_are_not_the_systems(said: list[str], wrong: str, tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine", f"classes = {json.dumps(said)}")
    (folder.artifacts / "a.onnx").write_bytes(b"a")

    with pytest.raises(ModelError) as caught:
        choose(folder)

    assert wrong in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([LEMON, APPLE, GRAPES], (LEMON, APPLE, GRAPES)),
        (["LABEL_0", "LABEL_1", "LABEL_2"], (APPLE, GRAPES, LEMON)),
        (["Granny Smith", "bunch", LEMON], None),
    ],
)
def test_a_hugging_face_folder_names_its_outputs(
    labels: list[str], expected: tuple[str, ...] | None, tmp_path: Path
) -> None:
    folder = folder_in(tmp_path, "mine")
    # As a folder of its own, too.
    home = folder.artifacts / "vit-base"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"id2label": dict(enumerate(labels))}))
    save_file({"a": torch.ones(1)}, home / "model.safetensors")

    if expected:
        assert (choose(folder).kind, choose(folder).outputs) == (Kind.HUGGING_FACE, expected)
    else:
        with pytest.raises(ModelError, match=rf"calls the outputs Granny Smith, bunch, {LEMON}, but .* say in"):
            choose(folder)


def test_what_model_py_is_for_is_seen_without_running_it(tmp_path: Path) -> None:
    folder = folder_in(tmp_path, "mine", code="from elsewhere import Model\n\nraise SystemExit\n")
    (folder.artifacts / "weights.bin").write_bytes(os.urandom(8))

    assert choose(folder).kind is Kind.CODE

    folder.code.write_text("class Model(:\n")
    with pytest.raises(ModelError, match=r"app_mine/model\.py is no Python"):
        choose(folder)
