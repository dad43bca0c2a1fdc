"""Who answers which request, on a real nginx of four workers over both real variants."""

import re
from collections import Counter

import pytest
import requests

from tests.system import System, eventually
from traffic.split import Rule, Shadow

NAMES = ["custom", "vgg16"]


def _change(running: System, rule: Rule, shares: dict[str, float], shadow: Shadow | None = None) -> int:
    wanted = {"shadow": vars(shadow)} if shadow else {}
    epoch: int = running.change("split", rule=rule, shares=shares, **wanted)["epoch"]
    return epoch


def _variants(running: System, photo: bytes, count: int) -> list[str]:
    return [running.predict(photo).headers["X-Variant"] for _ in range(count)]


@pytest.mark.parametrize("page_view", [False, True])
def test_predictions_alternate_strictly_whatever_is_viewed_between(
    running: System, photo: bytes, page_view: bool
) -> None:
    _change(running, "round_robin", {})
    answered = []
    for number in range(20):
        if page_view:
            assert requests.get(running.url, timeout=10).status_code == 200
        path = "/predict" if number % 3 else "/result/"
        answer = running.predict(photo, path)
        assert answer.status_code == 200
        answered.append(answer.headers["X-Variant"])

    assert answered == [answered[0], answered[1]] * 10
    assert set(answered[:2]) == set(NAMES)


def test_weights_are_exact_in_every_ten(running: System, photo: bytes) -> None:
    _change(running, "weighted", {"custom": 90, "vgg16": 10})
    answered = _variants(running, photo, 40)

    assert all(Counter(answered[start : start + 10]) == {"custom": 9, "vgg16": 1} for start in range(0, 40, 10))


def test_all_to_one(running: System, photo: bytes) -> None:
    _change(running, "weighted", {"vgg16": 100})

    assert set(_variants(running, photo, 12)) == {"vgg16"}


def test_a_forced_request_goes_where_it_says_and_takes_no_turn(running: System, photo: bytes) -> None:
    epoch = _change(running, "round_robin", {})
    turns = []
    for _ in range(6):
        forced = running.predict(photo, **{"X-Variant": "vgg16"})
        assert forced.headers["X-Variant"] == "vgg16"
        turns.append(running.predict(photo).headers["X-Variant"])
    (line,) = running.ledger_of(forced.headers["X-Request-ID"])

    assert turns == turns[:2] * 3
    assert turns[0] != turns[1]
    assert (line["by"], line["variant"], line["epoch"]) == ("forced", "vgg16", epoch)


def test_an_unknown_variant_is_refused(running: System, photo: bytes) -> None:
    answer = running.predict(photo, **{"X-Variant": "resnet"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "There is no variant of that name. The variants are custom, vgg16."}
    page = running.predict(photo, "/result/", **{"X-Variant": "resnet"})
    assert page.status_code == 400
    assert page.headers["Content-Type"].startswith("text/html")
    assert "There is no variant of that name." in page.text


def test_the_same_user_keeps_a_variant_and_shares_hold(running: System) -> None:
    """Over 10,000 users; bad photos are refused quickly, yet by the variant the user belongs to."""
    _change(running, "sticky", {"custom": 80, "vgg16": 20})

    def owners(users: int) -> dict[str, str]:
        with requests.Session() as session:
            return {
                user: session.post(f"{running.url}/predict", headers={"X-User-ID": user}, timeout=30).headers[
                    "X-Variant"
                ]
                for user in (f"user-{number}" for number in range(users))
            }

    before = owners(10_000)
    share = sum(owner == "vgg16" for owner in before.values()) / len(before)
    assert abs(share - 0.20) < 4 * (0.2 * 0.8 / len(before)) ** 0.5
    sample = [f"user-{number}" for number in range(0, 10_000, 500)]
    with requests.Session() as session:
        for user in sample:
            answer = session.post(f"{running.url}/predict", headers={"X-User-ID": user}, timeout=30)
            assert answer.headers["X-Variant"] == before[user]

    _change(running, "sticky", {"custom": 70, "vgg16": 30})
    after = owners(2_000)
    moves = Counter((before[user], after[user]) for user in after if before[user] != after[user])
    assert set(moves) == {("custom", "vgg16")}
    assert abs(moves["custom", "vgg16"] - 200) < 4 * (2_000 * 0.1 * 0.9) ** 0.5


def test_a_browser_gets_a_cookie_and_keeps_its_variant(running: System, photo: bytes) -> None:
    _change(running, "sticky", {"custom": 50, "vgg16": 50})
    for _ in range(8):
        with requests.Session() as browser:
            browser.get(running.url, timeout=10)
            cookie = browser.cookies["uid"]
            answers = [
                browser.post(f"{running.url}/predict", files={"file": ("a.jpg", photo)}, timeout=30) for _ in range(4)
            ]
            assert len({answer.headers["X-Variant"] for answer in answers}) == 1
            assert browser.cookies["uid"] == cookie
            assert "Set-Cookie" not in answers[0].headers
    with requests.Session() as browser:  # a first visit that is a prediction already
        answers = [
            browser.post(f"{running.url}/predict", files={"file": ("a.jpg", photo)}, timeout=30) for _ in range(3)
        ]
        assert len({answer.headers["X-Variant"] for answer in answers}) == 1


def test_a_page_has_a_cookie_and_a_program_none_where_users_do_not_matter(running: System, photo: bytes) -> None:
    _change(running, "round_robin", {})
    assert "Set-Cookie" not in running.predict(photo).headers
    cookie = requests.get(running.url, timeout=10).headers["Set-Cookie"]
    assert re.fullmatch(r"uid=[0-9a-f]{32}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", cookie)


def test_the_ledger_knows_people_apart_and_names_nobody(running: System, photo: bytes) -> None:
    def person(**headers: str) -> str | None:
        answer = running.predict(photo, **headers)
        found: str | None = running.ledger_of(answer.headers["X-Request-ID"])[0]["person"]
        return found

    anna, again, bert = (person(**{"X-User-ID": name}) for name in ("anna", "anna", "bert"))
    assert anna == again != bert
    assert re.fullmatch("[0-9]{10}", anna or "")
    assert person() is None
    assert person(**{"X-Person": "0123456789"}) is None
    # Another experiment has another key: nobody is known again.
    running.plan.write_text(running.plan.read_text().replace('name = "', 'name = "Again: '))
    eventually(lambda: person(**{"X-User-ID": "anna"}) != anna)


def test_a_shadow_scores_the_same_request_and_the_client_never_knows(running: System, photo: bytes) -> None:
    epoch = _change(running, "sticky", {"custom": 100}, Shadow("vgg16", 100))
    answer = running.predict(photo)
    request_id = answer.headers["X-Request-ID"]
    lines = running.ledger_of(request_id, lines=2)

    assert answer.headers["X-Variant"] == answer.json()["variant"] == "custom"
    assert {(line["variant"], line["by"]) for line in lines} == {("custom", "sticky"), ("vgg16", "shadow")}
    assert {line["epoch"] for line in lines} == {epoch}
    assert len({line["image_sha256"] for line in lines}) == 1
    assert all(line["status"] == 200 for line in lines)


def test_who_answered_is_not_scored_twice(running: System, photo: bytes) -> None:
    _change(running, "round_robin", {}, Shadow("vgg16", 100))
    answers = [running.predict(photo) for _ in range(6)]
    for answer in answers:
        expected = 2 if answer.headers["X-Variant"] == "custom" else 1
        lines = running.ledger_of(answer.headers["X-Request-ID"], lines=expected)
        assert len(lines) == expected


def test_strategies_combine_and_only_the_sample_is_shadowed(running: System) -> None:
    epoch = _change(running, "sticky", {"custom": 80, "vgg16": 20}, Shadow("vgg16", 25))
    with requests.Session() as session:
        for number in range(1000):
            session.post(f"{running.url}/predict", headers={"X-User-ID": f"user-{number}"}, timeout=30)

    def asked() -> Counter[tuple[str, str]] | None:
        lines = Counter((line["by"], line["variant"]) for line in running.ledger() if line["epoch"] == epoch)
        return lines if lines["sticky", "custom"] + lines["sticky", "vgg16"] == 1000 else None

    lines = eventually(asked)
    assert lines is not None
    custom = lines["sticky", "custom"]
    assert abs(custom - 800) < 4 * (1000 * 0.8 * 0.2) ** 0.5
    assert abs(lines["shadow", "vgg16"] - custom / 4) < 4 * (custom * 0.25 * 0.75) ** 0.5
    assert lines["shadow", "custom"] == 0
