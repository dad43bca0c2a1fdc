import base64
import hashlib
import re
import threading
from html import unescape
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from serving.models.files.choice import Model, choose
from serving.models.files.folder import Folder
from tests.classes import APPLE, GRAPES, LEMON
from tests.serving.apps import GOOD, STARTER, app_of, send, serving, variant_in
from tests.serving.photos import encoded, quarters
from variants import CLASSES


def test_an_answer(client: TestClient) -> None:
    answer = send(client, name="Zitrone.jpg", headers={"X-Request-ID": "mine"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == [
        "request_id",
        "variant",
        "filename",
        "content_type",
        "likely_class",
        "probability",
        "probabilities",
    ]
    assert (body["request_id"], body["variant"]) == ("mine", "custom")
    assert (body["filename"], body["content_type"]) == ("Zitrone.jpg", "image/jpeg")
    assert body["likely_class"] == LEMON
    assert list(body["probabilities"]) == list(CLASSES)
    assert body["probability"] == body["probabilities"][LEMON] == pytest.approx(0.7)
    assert sum(body["probabilities"].values()) == pytest.approx(1, abs=1e-12)


def test_an_answer_with_the_photo(client: TestClient) -> None:
    with_image = send(client, path="/predict?include_image=true").json()
    without = send(client, path="/predict?include_image=false").json()

    assert base64.b64decode(with_image["image_base64"]) == GOOD
    assert set(with_image) - set(without) == {"image_base64"}


@pytest.mark.parametrize(
    "name",
    [
        "photo.jpg",
        "Ein Apfel (2).JPG",
        "../../etc/passwd",
        "C:\\Users\\me\\photo.jpg",
        "<script>alert(1)</script>.jpg",
        "</figcaption><h1>owned</h1>",
        "{{ 7 * 7 }}{% raw %}",
        "яблоко 🍎.jpg",
        "a" * 3000 + ".jpg",
        "x",
    ],
)
def test_any_filename_is_only_text(name: str, client: TestClient) -> None:
    answer, page = send(client, name=name), send(client, path="/result/", name=name)

    name = name.rpartition("\\")[2]  # of a Windows path, its end
    assert answer.json()["filename"] == name
    caption = re.search("<figcaption>(.*?)</figcaption>", page.text, re.S)
    assert caption
    assert unescape(caption[1]) == name
    assert not re.search("[<>]", caption[1])


def test_the_photo_on_the_result_page_is_the_one_that_was_sent(client: TestClient) -> None:
    page = send(client, path="/result/", name="lemon.jpg", headers={"X-Request-ID": "mine"})

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    photo = re.search('src="data:image/jpeg;base64,([^"]+)"', page.text)
    assert photo
    assert base64.b64decode(photo[1])[:3] == b"\xff\xd8\xff"
    for text in (LEMON, "70 %", "20 %", "10 %", "custom", "starter.safetensors", "lemon.jpg", "mine", " ms"):
        assert text in page.text
    assert hashlib.sha256(STARTER).hexdigest()[:12] in page.text


def test_a_heic_photo_can_be_seen_on_the_result_page(client: TestClient) -> None:
    page = send(client, encoded(quarters(), "HEIF"), "/result/", name="IMG_0001.HEIC")

    assert page.status_code == 200
    assert "data:image/jpeg;base64," in page.text


def test_an_error_is_a_page_on_the_page_and_json_elsewhere(client: TestClient) -> None:
    page, answer = send(client, b"no photo", "/result/"), send(client, b"no photo")

    assert page.status_code == answer.status_code == 400
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.json()["detail"] in unescape(page.text)
    assert 'href="/"' in page.text


@pytest.mark.parametrize("path", ["/", "/interface/"])
def test_the_form(path: str, client: TestClient) -> None:
    page = client.get(path)

    assert page.status_code == 200
    assert re.search('<form action="/result/" method="post" enctype="multipart/form-data">', page.text)
    assert re.search('<input type="file" id="file" name="file"[^>]* required', page.text)
    assert '<label class="drop" for="file">' in page.text
    assert "starter.safetensors" in page.text


@pytest.mark.parametrize("path", ["/", "/result/"])
def test_pages_let_nothing_in_from_elsewhere(path: str, client: TestClient) -> None:
    page = client.get("/") if path == "/" else send(client, path=path)

    policy = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert not re.search(r"(?:src|href|action)=\"(?!/|#|data:image/jpeg;base64,)", page.text)
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert not re.search(r"<script(?! src=)", page.text)
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_what_pages_need_is_served(client: TestClient) -> None:
    needed = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text)

    assert len(needed) >= 3
    for path in needed:
        assert client.get(path).status_code == 200


def test_the_documentation_comes_from_here_alone(client: TestClient) -> None:
    page = client.get("/docs")

    assert page.status_code == 200
    assert not re.search(r"(?:https?:)?//\w", re.sub(r"<noscript>.*?</noscript>", "", page.text, flags=re.S))
    needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert needed
    for address in needed:
        assert client.get(address).status_code == 200


def test_the_description_of_the_api(client: TestClient) -> None:
    description = client.get("/openapi.json").json()

    assert set(description["paths"]) == {"/", "/predict", "/result/"}
    for path, kind in (("/predict", "application/json"), ("/result/", "text/html")):
        answers = description["paths"][path]["post"]["responses"]
        assert set(answers) == {"200", "400", "413", "422", "429", "503"}
        assert {kind} == {kind for answer in answers.values() for kind in answer["content"]}
    assert "http" not in str(description).replace("HTTPValidationError", "")


def test_the_answer_is_what_the_description_promises(client: TestClient) -> None:
    properties = client.get("/openapi.json").json()["components"]["schemas"]["Answer"]["properties"]

    assert set(send(client, path="/predict?include_image=true").json()) == set(properties)


def test_probes(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        assert (client.get("/livez").status_code, client.get("/livez").json()) == (200, {"alive": True})
        assert client.get("/readyz").json() == {
            "variant": "custom",
            "ready": True,
            "engine": "fake 1.0",
            "weights": {"file": "starter.safetensors", "sha256": hashlib.sha256(STARTER).hexdigest()},
        }


def test_metrics(client: TestClient) -> None:
    send(client)
    send(client, b"no photo")

    answer = client.get("/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in (
        'predictions_total{outcome="ok",variant="custom"} 1.0',
        'predictions_total{outcome="rejected",variant="custom"} 1.0',
        'predictions_total{outcome="failed",variant="custom"} 0.0',
        f'predicted_class_total{{class="{LEMON}",variant="custom"}} 1.0',
        'prediction_seconds_count{stage="infer",variant="custom"} 1.0',
    ):
        assert line in answer.text.splitlines()


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("PUT", "/predict"), ("DELETE", "/result/")])
def test_a_wrong_method(method: str, path: str, client: TestClient) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_wrong_address(client: TestClient) -> None:
    answer = client.get("/no/such/page")
    page = client.get("/no/such/page", headers={"Accept": "text/html,*/*"})

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_sample_is_answered_like_a_photo(client: TestClient) -> None:
    page = client.get("/").text
    samples = [unescape(name) for name in re.findall('<button name="sample" value="([^"]+)">', page)]
    assert len(samples) == 6
    assert {sample.rpartition("/")[0] for sample in samples} == set(CLASSES)

    photo = client.get(f"/samples/{quote(samples[0])}")
    answer = client.post("/result/", files={"sample": (None, samples[0])})
    assert photo.headers["Content-Type"] == "image/jpeg"
    assert answer.status_code == 200
    assert samples[0].rpartition("/")[2] in answer.text
    assert answer.headers["X-Image-SHA256"] == hashlib.sha256(photo.content).hexdigest()


@pytest.mark.parametrize("name", ["../variants/variants.toml", "no/no.jpg", ""])
def test_only_samples_are_given_out(name: str, client: TestClient) -> None:
    assert client.get(f"/samples/{name}").status_code == 404
    assert client.post("/result/", files={"sample": (None, name)}).status_code == 422
    assert client.post("/predict", files={"sample": (None, f"{CLASSES[2]}/lemons-in-a-bowl.jpg")}).status_code == 422


def test_the_details_are_there_and_closed(client: TestClient) -> None:
    page = send(client, path="/result/").text

    shown = re.sub("<details>.*?</details>", "", page, flags=re.S)
    assert "custom" in page
    assert "custom" not in shown
    assert "starter.safetensors" not in shown


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_no_other_file_is_served(path: str, client: TestClient) -> None:
    assert client.get(path).status_code == 404


def test_a_page_says_that_the_model_is_still_loading(tmp_path: Path) -> None:
    go = threading.Event()

    def slowly(folder: Folder) -> Model:
        assert go.wait(30)
        return choose(folder)

    with patch("serving.variant.choose", slowly), app_of(variant_in(tmp_path)) as client:
        try:
            page, probe = client.get("/"), client.get("/readyz")
        finally:
            go.set()

    assert page.status_code == 200
    assert "still loading its model" in page.text
    assert (probe.status_code, probe.json()) == (503, {"variant": "custom", "ready": False, "engine": ""})


def test_a_result_page_asks_what_it_was_where_somebody_listens(tmp_path: Path, client: TestClient) -> None:
    assert "true_label" not in send(client, path="/result/").text

    with serving(tmp_path, feedback_url="/feedback") as asking:
        page = send(asking, path="/result/", headers={"X-Request-ID": "mine"}).text

    assert page.count('<form action="/feedback" method="post">') == 2
    assert page.count('<input type="hidden" name="request_id" value="mine">') == 2
    asked = [unescape(name) for name in re.findall('<button name="true_label" value="([^"]+)">', page)]
    assert asked == [LEMON, APPLE, GRAPES, "other"]


def test_at_its_own_port_a_variant_leads_to_no_experiment(tmp_path: Path) -> None:
    with serving(tmp_path, feedback_url="/feedback") as client:
        through_nginx = client.get("/").text
        client.base_url = "http://testserver:8009"
        alone, result = client.get("/").text, send(client, path="/result/").text

    assert 'href="/experiment"' in through_nginx
    assert "/experiment" not in alone
    assert "/experiment" not in result
    assert "/feedback" not in result
