"""The list of variants and classes: what is taken, and the sentence for what is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.parts import ROOT
from variants import ListError, Variant, one_of, read_listing

CLASSES = 'classes = ["crack/chip", "Kratzer groß", "キズ"]'
ONE = '[[variant]]\nname = "custom"\nservice = "app_custom"\nport = 8009'


def entry(name: object = '"mine"', service: object = '"app_mine"', port: object = 8011) -> str:
    return f"[[variant]]\nname = {name}\nservice = {service}\nport = {port}"


def written(folder: Path, *parts: str) -> Path:
    listed = folder / "variants.toml"
    listed.write_text("\n".join(parts), encoding="utf-8")
    return listed


def test_classes_are_any_text(tmp_path: Path) -> None:
    found = read_listing(written(tmp_path, "title = \"Ist es 'kaputt'? $1 @x@\"", CLASSES, ONE, entry()))

    assert found.classes == ("crack/chip", "Kratzer groß", "キズ")
    assert found.variants == (Variant("custom", "app_custom", 8009), Variant("mine", "app_mine", 8011))
    assert found.title == "Ist es 'kaputt'? $1 @x@"


def test_a_thousand_classes_are_no_more_trouble_than_two(tmp_path: Path) -> None:
    names = ", ".join(f'"class {number}"' for number in range(1000))
    found = read_listing(written(tmp_path, f"classes = [{names}]", ONE)).classes

    assert len(found) == 1000
    assert one_of(found).endswith("class 10, class 11 … (1,000 in all)")
    assert one_of(found[:3]) == "class 0, class 1, class 2"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ([ONE], 'classes must be a list of texts, such as classes = ["ripe", "unripe"].'),
        (['classes = ["one"]', ONE], "there are 1 classes; 2 to 1,000 can be told apart."),
        (["classes = [1, 2]", ONE], 'classes must be a list of texts, such as classes = ["ripe", "unripe"].'),
        (['classes = ["a", "a "]', ONE], "the class 'a' is there twice."),
        # The same letter, in one character and in two.
        (['classes = ["\\u00e9", "e\\u0301"]', ONE], "the class 'é' is there twice."),
        (['classes = ["a", " "]', ONE], "a class has no name."),
        (
            ['classes = ["a", "b\\nc"]', ONE],
            "the class 'b\\nc' holds a character that cannot be shown; leave it out.",
        ),
        (
            [f'classes = ["a", "{"b" * 65}"]', ONE],
            f"the class '{'b' * 65}' has 65 characters; at most 64 can be kept.",
        ),
        (
            ['classes = ["a", "Other"]', ONE],
            "no class may be called 'Other': that is the label of a photo that shows none of them.",
        ),
        ([CLASSES], "there is no variant; each is an entry [[variant]] with name, service and port."),
        ([CLASSES, '[[variant]]\nname = "a"'], "variant 'a' has no service."),
        (
            [CLASSES, ONE, "colour = 1"],
            "variant 'custom': there is no setting 'colour'; there are name, service and port.",
        ),
        ([CLASSES, entry('"a b"')], "variant 'a b': a name is 1 to 32 letters, digits, - and _ without accents."),
        (
            [CLASSES, entry(service='"app/mine"')],
            "variant 'mine': a service is named after its folder: letters, digits and _, such as app_mine.",
        ),
        ([CLASSES, entry(port=0)], "variant 'mine': 0 is no port."),
        ([CLASSES, ONE, entry('"Custom"')], "two variants have the same name, custom; each needs its own."),
        ([CLASSES, ONE, entry(port=8009)], "two variants have the same port, 8009; each needs its own."),
        (["colour = 1", CLASSES, ONE], "there is no setting 'colour'; there are title, classes and [[variant]]."),
        (['title = ""', CLASSES, ONE], 'title must be a line of 1 to 100 characters, such as title = "What is it?".'),
        (["classes = ["], "Invalid value"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path, text: list[str], sentence: str) -> None:
    with pytest.raises(ListError) as refused:
        read_listing(written(tmp_path, *text))
    assert str(refused.value).startswith(f"variants.toml: {sentence}")


@pytest.mark.parametrize("program", [["serving", "app_custom"], ["experiment"], ["local"], ["abtest", "status"]])
def test_nothing_starts_with_a_list_that_cannot_be(
    tmp_path: Path, program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIANTS", str(written(tmp_path, 'classes = ["a", "other"]', ONE)))
    started = subprocess.run(
        [sys.executable, "-m", *program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    expected = "variants.toml: no class may be called 'other': that is the label of a photo that shows none of them.\n"
    assert (started.returncode, started.stderr) == (1, expected)
