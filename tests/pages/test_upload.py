"""From the form to the answer, by every way that there is."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import OpenPage
from tests.serving.photos import encoded, quarters
from variants import CLASSES, TITLE, VARIANTS


def expect_result(page: Page) -> None:
    expect(page.locator(".bars dt")).to_have_count(len(CLASSES))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("|".join(CLASSES), re.IGNORECASE))


def expect_preview(page: Page) -> None:
    expect(page.get_by_alt_text("The photo you chose")).to_be_visible()
    expect(page.locator("#picture")).to_be_hidden()
    assert page.locator("#preview").evaluate("image => image.naturalWidth") > 0


# A file as it arrives with a drop or a paste.
TRANSFER = """([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
  return transfer;
}"""


def bring(page: Page, kind: str, path: Path, target: str) -> None:
    transfer = page.evaluate_handle(TRANSFER, [path.name, base64.b64encode(path.read_bytes()).decode()])
    if kind == "paste":
        script = (
            "(node, clipboardData) => node.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true}))"
        )
        page.locator(target).evaluate(script, transfer)
    else:
        page.dispatch_event(target, "dragenter", {"dataTransfer": transfer})
        page.dispatch_event(target, "dragover", {"dataTransfer": transfer})
        page.dispatch_event(target, kind, {"dataTransfer": transfer})


@pytest.mark.parametrize(("path", "scripts"), [("/", True), ("/", False), ("/interface/", True)])
def test_a_chosen_photo(path: str, scripts: bool, open_page: OpenPage, picture: Path) -> None:
    page = open_page(path, java_script_enabled=scripts)

    page.get_by_label("Photo", exact=True).set_input_files(picture)
    if scripts:
        expect_preview(page)
    page.get_by_role("button", name="Tell me").click()

    expect_result(page)
    assert page.url.endswith("/result/")
    expect(page.get_by_text(picture.name)).to_be_visible()


def test_nothing_is_promised_that_needs_javascript(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)

    expect(page.get_by_text("drop it here")).to_be_hidden()
    expect(page.get_by_alt_text("The photo you chose")).to_be_hidden()
    expect(page.get_by_role("button", name="Tell me")).to_be_enabled()


@pytest.mark.parametrize("kind", ["drop", "paste"])
@pytest.mark.parametrize("target", [".drop", "h1"], ids=["on the frame", "beside it"])
def test_a_photo_that_is_dropped_or_pasted(kind: str, target: str, open_page: OpenPage, picture: Path) -> None:
    page = open_page()

    bring(page, kind, picture, target)

    expect_preview(page)
    expect(page.locator("body")).not_to_contain_class("over")
    page.get_by_role("button", name="Tell me").click()
    expect_result(page)
    expect(page.get_by_text(picture.name)).to_be_visible()


def test_a_drag_is_taken_note_of(open_page: OpenPage) -> None:
    page = open_page()

    page.dispatch_event(".drop", "dragenter", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
    expect(page.locator("body")).to_contain_class("over")
    page.dispatch_event(".drop", "dragleave", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
    expect(page.locator("body")).not_to_contain_class("over")


def test_a_text_that_is_pasted_changes_nothing(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.get_by_label("Photo", exact=True).set_input_files(picture)

    page.evaluate("""() => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", "lemon");
      document.dispatchEvent(new ClipboardEvent("paste", {clipboardData}));
    }""")

    expect_preview(page)


def test_a_photo_that_is_too_large_is_made_smaller(open_page: OpenPage, too_large: Path) -> None:
    page = open_page()

    page.get_by_label("Photo", exact=True).set_input_files(too_large)

    expect(page.get_by_text("large.jpg, made smaller")).to_be_visible()
    expect_preview(page)
    page.get_by_role("button", name="Tell me").click()
    expect_result(page)


def test_what_the_browser_cannot_make_smaller_is_not_sent(open_page: OpenPage, picture: Path) -> None:
    page = open_page()

    page.get_by_label("Photo", exact=True).set_input_files(
        {"name": "large.heic", "mimeType": "image/heic", "buffer": bytes(10 * 2**20 + 1)}
    )

    expect(page.get_by_role("alert")).to_have_text(re.compile("larger than 10 MB, and this browser cannot"))
    expect(page.get_by_role("button", name="Tell me")).to_be_disabled()
    expect(page.get_by_alt_text("The photo you chose")).to_be_hidden()

    page.get_by_label("Photo", exact=True).set_input_files(picture)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect_preview(page)
    page.get_by_role("button", name="Tell me").click()
    expect_result(page)


@pytest.mark.parametrize(("name", "kind"), [("notes.txt", "text/plain"), ("film.mp4", "video/mp4"), ("data.bin", "")])
def test_another_kind_of_file_is_refused_before_it_is_sent(name: str, kind: str, open_page: OpenPage) -> None:
    page = open_page()

    page.get_by_label("Photo", exact=True).set_input_files({"name": name, "mimeType": kind, "buffer": b"no photo"})

    expect(page.get_by_role("alert")).to_contain_text(f"{name} is not a photo")
    expect(page.get_by_role("button", name="Tell me")).to_be_disabled()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_a_sample_answers_on_a_click(scripts: bool, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=scripts)
    samples = page.locator(".samples button")
    expect(samples).to_have_count(6)
    assert page.locator(".samples img").evaluate_all("all => all.every((one) => one.alt)")

    samples.nth(2).click()

    expect_result(page)
    expect(page.get_by_alt_text("The photo you sent")).to_be_visible()


def test_the_whole_box_takes_a_click(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    with page.expect_file_chooser() as chooser:
        page.locator(".drop").click(position={"x": 8, "y": 8})
    chooser.value.set_files(picture)
    expect_preview(page)


def test_a_phone_offers_its_camera(open_page: OpenPage, picture: Path) -> None:
    page = open_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(picture)
    expect_preview(page)


def test_a_desk_has_no_camera_to_offer(open_page: OpenPage) -> None:
    expect(open_page().get_by_role("button", name="Take a photo")).to_be_hidden()


# What a picture that is dragged from a page carries.
ADDRESS = """(address) => {
  const transfer = new DataTransfer();
  transfer.setData("text/uri-list", address);
  return transfer;
}"""


def test_a_picture_dragged_from_this_site_is_fetched(open_page: OpenPage) -> None:
    page = open_page()
    address = page.locator(".samples img").first.evaluate("image => image.src")
    page.dispatch_event(".drop", "drop", {"dataTransfer": page.evaluate_handle(ADDRESS, address)})
    expect_preview(page)
    page.get_by_role("button", name="Tell me").click()
    expect_result(page)


def test_a_picture_dragged_from_elsewhere_is_refused_in_words(open_page: OpenPage) -> None:
    page = open_page()
    transfer = page.evaluate_handle(ADDRESS, "https://example.org/lemon.jpg")
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(page.get_by_role("alert")).to_contain_text("cannot be fetched from here. Save it, or copy the picture")


def test_a_photo_that_is_too_large_without_javascript(open_page: OpenPage, too_large: Path) -> None:
    page = open_page(java_script_enabled=False)

    page.get_by_label("Photo", exact=True).set_input_files(too_large)
    page.get_by_role("button", name="Tell me").click()

    expect(page.get_by_text("The upload is larger than 10 MB.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_no_photo(scripts: bool, open_page: OpenPage, no_photo: Path, picture: Path) -> None:
    page = open_page(java_script_enabled=scripts)

    page.get_by_label("Photo", exact=True).set_input_files(no_photo)
    page.get_by_role("button", name="Tell me").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("That did not work")
    expect(page.get_by_role("alert")).to_contain_text("The file is not a photo this service reads")
    page.get_by_role("link", name="Choose another photo").click()
    page.get_by_label("Photo", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Tell me").click()
    expect_result(page)


def test_no_file_chosen_is_not_sent(open_page: OpenPage) -> None:
    page = open_page()

    page.get_by_role("button", name="Tell me").click()

    assert page.get_by_label("Photo", exact=True).evaluate("input => input.validity.valueMissing")
    assert page.url.endswith("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)


def test_a_photo_that_the_browser_cannot_draw(open_page: OpenPage, tmp_path: Path) -> None:
    heic = tmp_path / "IMG_0001.HEIC"
    heic.write_bytes(encoded(quarters(), "HEIF"))
    page = open_page()

    page.get_by_label("Photo", exact=True).set_input_files(heic)
    expect(page.locator("#picture")).to_be_visible()
    expect(page.get_by_alt_text("The photo you chose")).to_be_hidden()
    page.get_by_role("button", name="Tell me").click()

    expect_result(page)
    assert page.get_by_alt_text("The photo you sent").evaluate("image => image.naturalWidth") > 0


def test_what_a_result_tells(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.get_by_label("Photo", exact=True).set_input_files(picture)
    with page.expect_response("**/result/") as answered:
        page.get_by_role("button", name="Tell me").click()
    expect_result(page)

    headers = answered.value.headers
    photo = page.get_by_alt_text("The photo you sent")
    assert photo.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [800, 600]
    names = page.locator(".bars dt").all_text_contents()
    # "< 0.1 %" and "> 99.9 %" are as near as one decimal comes.
    shares = [float(text.strip("<> %")) for text in page.locator(".bars dd").all_inner_texts()]
    widths = "nodes => nodes.map((node) => node.getBoundingClientRect().width)"
    tracks, bars = (page.locator(f".bars {name}").evaluate_all(widths) for name in ("svg", "rect"))
    assert set(names) == set(CLASSES)
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert min(tracks) > 100
    assert [100 * bar / track for bar, track in zip(bars, tracks, strict=True)] == pytest.approx(shares, abs=0.2)
    assert all(
        page.locator(".bars rect").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height > 8)")
    )

    assert headers["x-variant"] not in page.locator("main").inner_text()
    page.get_by_text("Details", exact=True).click()
    facts = dict(
        zip(page.locator(".facts dt").all_inner_texts(), page.locator(".facts dd").all_inner_texts(), strict=True)
    )
    assert page.get_by_role("heading", level=1).text_content() == names[0]
    assert f"{shares[0]:g} % sure." in page.locator("main").inner_text()
    assert facts["Variant"] == headers["x-variant"]
    assert facts["Variant"] in {variant.name for variant in VARIANTS}
    assert facts["Request"] == headers["x-request-id"]
    assert re.fullmatch(r"\S+\.(safetensors|pt) [0-9a-f]{12}", facts["Weights"])
    assert re.match(r"\d+\.\d ms", facts["Time"])


def test_back_to_the_form(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    for _ in range(2):
        page.get_by_label("Photo", exact=True).set_input_files(picture)
        page.get_by_role("button", name="Tell me").click()
        expect_result(page)
        page.go_back()
        button = page.get_by_role("button", name="Tell me")
        expect(button).to_be_enabled()
        expect(button).not_to_have_attribute("aria-busy", "true")

    page.go_forward()
    expect_result(page)


def test_another_photo(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.get_by_label("Photo", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Tell me").click()

    page.get_by_role("link", name="Another photo").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)


def test_the_documentation(open_page: OpenPage) -> None:
    page = open_page("/docs")

    expect(page.get_by_text("curl -F file=@").first).to_be_visible()
    closed = page.locator("[data-path='/feedback']")
    expect(closed.get_by_text("request_id").first).to_be_hidden()
    closed.locator("summary").click()
    expect(closed.get_by_text("request_id").first).to_be_visible()


def test_an_address_of_the_documentation_opens_what_it_names(open_page: OpenPage) -> None:
    page = open_page("/docs#post-feedback")
    expect(page.locator("#post-feedback").get_by_role("heading", name="It takes")).to_be_visible()


def test_commands_can_be_copied(open_page: OpenPage) -> None:
    page = open_page("/docs", permissions=["clipboard-read", "clipboard-write"])
    command = page.locator("#post-predict .command")
    command.get_by_role("button", name="Copy").click()
    expect(command.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("code").inner_text()
