"""``abtest new``: what it writes, and what it refuses."""

import shutil
import stat
from pathlib import Path

import pytest
import yaml

from abtest.newcomers import NewcomerError, list_variant, make_folder
from local.parts import ROOT
from variants import read_listing


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copy(ROOT / "variants" / "variants.toml", tmp_path)
    return tmp_path


def test_a_folder_is_made_that_a_container_may_read(tmp_path: Path) -> None:
    model = tmp_path / "my.onnx"
    model.write_bytes(b"graph")
    model.chmod(0o600)
    (tmp_path / "my.onnx.data").write_bytes(b"weights")
    like = tmp_path / "app_like"
    (like / "app").mkdir(parents=True)
    (like / "app" / "model.py").write_text("# a network")

    made = make_folder(tmp_path / "app_mine", model, like)

    assert {str(path.relative_to(tmp_path / "app_mine")) for path in made} == {
        "artifacts/my.onnx",
        "artifacts/my.onnx.data",
        "model.py",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o644}
    assert (tmp_path / "app_mine" / "artifacts" / "my.onnx").read_bytes() == b"graph"


def test_a_model_may_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model" / "onnx").mkdir(parents=True)
    for name in ("config.json", "onnx/model.onnx"):
        (tmp_path / "model" / name).write_text("{}")
    made = make_folder(tmp_path / "app_mine", tmp_path / "model")

    assert [path.relative_to(tmp_path).as_posix() for path in made] == [
        "app_mine/artifacts/config.json",
        "app_mine/artifacts/onnx/model.onnx",
    ]


def test_it_is_listed_and_added_to_compose_after_the_others(project: Path) -> None:
    compose = project / "docker-compose.yml"
    variants = [list_variant(project / "variants.toml", compose, name) for name in ("mine", "my-second")]

    assert read_listing(project / "variants.toml").variants[-2:] == tuple(variants)
    assert [variant.service for variant in variants] == ["app_mine", "app_my_second"]
    listed = read_listing(project / "variants.toml").variants
    assert len({variant.port for variant in listed}) == len(listed)
    services = yaml.safe_load(compose.read_text())["services"]
    given, mine, second = (services[name] for name in ("app_vgg16", "app_mine", "app_my_second"))
    assert mine["build"] == {
        "context": ".",
        "dockerfile": "serving/Dockerfile",
        "args": given["build"]["args"] | {"FOLDER": "app_mine"},
    }
    assert {key: mine[key] for key in given if key not in ("build", "depends_on")} == {
        key: given[key] for key in given if key not in ("build", "depends_on")
    }
    # One after the other, so that a change of what all share never takes all of them away.
    assert given["depends_on"] == {"app_custom": {"condition": "service_healthy"}}
    assert mine["depends_on"] == {listed[-3].service: {"condition": "service_healthy"}}
    assert second["depends_on"] == {"app_mine": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", ["custom", "a b", "キズ", ""])
def test_what_cannot_be_listed_changes_nothing(project: Path, name: str) -> None:
    before = {path: path.read_text() for path in project.iterdir()}
    with pytest.raises(NewcomerError, match=r"^variants.toml: "):
        list_variant(project / "variants.toml", project / "docker-compose.yml", name)

    assert {path: path.read_text() for path in project.iterdir()} == before


def test_nothing_is_overwritten_and_nothing_half_made_stays(tmp_path: Path) -> None:
    (tmp_path / "app_mine").mkdir()
    with pytest.raises(NewcomerError, match=r"app_mine is there already\. .* leave out --from"):
        make_folder(tmp_path / "app_mine", tmp_path)
    with pytest.raises(NewcomerError, match=r"There is no .*none\.onnx"):
        make_folder(tmp_path / "app_other", tmp_path / "none.onnx")
    with pytest.raises(NewcomerError, match="There is no folder app_none to be like"):
        make_folder(tmp_path / "app_other", tmp_path / "app_mine", tmp_path / "app_none")
    assert [path.name for path in tmp_path.iterdir()] == ["app_mine"]
