"""What nginx itself promises: ids, the ledger, errors in words, health, and what it does not let in."""

import re

import pytest
import requests

from tests.system import System, eventually


def test_a_request_id_is_kept_from_client_to_logs(shared_system: System, photo: bytes) -> None:
    answer = shared_system.predict(photo, **{"X-Request-ID": "order-66.b_c"})
    (line,) = shared_system.ledger_of("order-66.b_c")
    service = f"app_{line['variant']}"

    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "order-66.b_c"
    assert re.search(
        rf"^{line['variant']} request_id=order-66\.b_c class=.+ p=\d\.\d\d decode=\d+\.\dms infer=\d+\.\dms 200$",
        shared_system.log(service),
        re.MULTILINE,
    )
    eventually(
        lambda: re.search(r"\d\d:\d\d:\d\d \w+ +.+? \d\.\d\d +\d+ ms  order-66\.b_c", shared_system.log("gateway"))
    )


@pytest.mark.parametrize("given", ["a b", "x" * 65, 'quote"', "é".encode().decode("latin-1"), "../up", "{}"])
def test_a_request_id_that_is_none_is_replaced(shared_system: System, photo: bytes, given: str) -> None:
    answer = shared_system.predict(photo, **{"X-Request-ID": given})

    assert answer.status_code == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_the_ledger_line_has_all_its_fields(shared_system: System, photo: bytes) -> None:
    answer = shared_system.predict(photo)
    (line,) = shared_system.ledger_of(answer.headers["X-Request-ID"])

    assert set(line) == {
        *("ts", "request_id", "epoch", "variant", "by", "status", "predicted_class", "probability"),
        *("image_sha256", "upstream_time_s", "upstream_addr", "person", "gateway", "run", "ticket"),
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert line["predicted_class"] == answer.json()["likely_class"]
    assert line["probability"] == pytest.approx(answer.json()["probability"], abs=1e-6)
    assert line["status"] == 200
    assert line["by"] == "round_robin"
    assert 0 < line["upstream_time_s"] < 60
    assert line["upstream_addr"].startswith("127.0.0.1:")


def test_what_the_ledger_needs_is_not_for_clients(shared_system: System, photo: bytes) -> None:
    headers = shared_system.predict(photo).headers

    own = {"X-Variant", "X-Request-ID", "X-Ticket", "X-Content-Type-Options"}
    assert {name for name in headers if name.lower().startswith("x-")} == own


def test_a_bad_photo_is_recorded_with_no_class(shared_system: System) -> None:
    answer = shared_system.predict(b"not a photo")
    (line,) = shared_system.ledger_of(answer.headers["X-Request-ID"])

    assert answer.status_code == line["status"] == 400
    assert line["predicted_class"] is line["probability"] is line["image_sha256"] is None


def test_what_a_client_says_of_its_assignment_is_not_believed(shared_system: System, photo: bytes) -> None:
    answer = shared_system.predict(photo, **{"X-By": "shadow", "X-Epoch": '99,"variant":"x"'})
    (line,) = shared_system.ledger_of(answer.headers["X-Request-ID"])

    assert (line["by"], line["epoch"]) == ("round_robin", 1)


def test_too_large_an_upload(shared_system: System) -> None:
    answer = shared_system.predict(b"\xff" * (10 * 1024 * 1024 + 1))
    page = shared_system.predict(b"\xff" * (10 * 1024 * 1024 + 1), "/result/")

    assert answer.status_code == page.status_code == 413
    assert answer.json() == {"detail": "The upload is larger than 10 MB."}
    assert "X-Request-ID" in answer.headers
    assert "<h1>That did not work</h1>" in page.text


@pytest.mark.parametrize("path", ["/predict", "/result/"])
def test_predictions_are_posted(shared_system: System, path: str) -> None:
    answer = requests.get(shared_system.url + path, timeout=10)

    assert answer.status_code == 405
    assert "Send a photo with POST." in answer.text


def test_health_is_asked_for(shared_system: System) -> None:
    answer = requests.post(shared_system.url + "/healthz", timeout=10)

    assert answer.status_code == 405
    assert answer.json() == {"detail": "Ask with GET."}


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/livez", "/_ready/custom", "/_shadow", "/_any_ready", "/etc"])
def test_nothing_else_is_reachable(shared_system: System, path: str) -> None:
    answer = requests.get(shared_system.url + path, timeout=10)

    assert answer.status_code == 404
    assert answer.json() == {"detail": "There is nothing here."}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/split", "/promote", "/gateway/split", "/gateway/served", "/experiment/split", "/"])
def test_nothing_from_outside_changes_the_split(shared_system: System, method: str, path: str) -> None:
    requests.request(method, shared_system.url + path, json={"custom": 0, "vgg16": 100}, timeout=10)

    assert shared_system.health()["epoch"] == shared_system.split()["in_force"]["epoch"] == 1


def test_pages_and_documentation(shared_system: System) -> None:
    for path in ("/", "/interface/", "/docs"):
        answer = requests.get(shared_system.url + path, timeout=10)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
    assert "/predict" in requests.get(f"{shared_system.url}/openapi.json", timeout=10).json()["paths"]
    assert requests.get(f"{shared_system.url}/interface", timeout=10).url == f"{shared_system.url}/interface/"
    style = requests.get(f"{shared_system.url}/static/style.css", timeout=10)
    assert style.headers["Content-Type"].startswith("text/css")


def test_the_experiment_is_missed_politely(running: System, photo: bytes) -> None:
    running.stop("experiment")
    try:
        assert running.predict(photo).status_code == 200
        answer = requests.get(f"{running.url}/experiment.json", timeout=10)
    finally:
        running.start("experiment")

    assert answer.status_code == 503
    assert answer.json() == {"detail": "The experiment service does not answer. Predictions go on without it."}


def test_health_names_each_variant_and_its_weights(shared_system: System) -> None:
    answer = requests.get(f"{shared_system.url}/healthz", timeout=10)
    health = answer.json()

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert set(health["variants"]) == {"custom", "vgg16"}
    for state in health["variants"].values():
        assert state["ready"] is True
        assert re.fullmatch("[0-9a-f]{64}", state["weights"]["sha256"])
