"""The server of the stand-ins: which it serves, its controls, its page."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from amo_bridge.standins.server import STAND_INS, StandIns, serving, wanted_names
from tests.standins.conftest import Received


def control(stand_ins: StandIns, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(method, f"{stand_ins.url}/standins/{path}", json=body, timeout=10)


def test_names_stand_for_one_or_for_several() -> None:
    assert wanted_names("vk, pbx,vk") == ("vk", "zadarma", "novofon", "novofon2", "onlinepbx")
    assert set(wanted_names("all")) == {made.name for made in STAND_INS}
    with pytest.raises(ValueError, match="сервиса «vkontakte» нет"):
        wanted_names("vkontakte")
    with pytest.raises(ValueError, match="не сказано"):
        wanted_names(" ,")


def test_only_the_wanted_ones_are_served() -> None:
    made = StandIns(["vk"], live=False)
    with serving(made) as url:
        assert requests.get(f"{url}/vk/method/users.get", timeout=5).status_code == 200
        assert requests.get(f"{url}/max/me", timeout=5).status_code == 404


def test_a_story_of_a_call_is_told_over_the_controls(stand_ins: StandIns, received: Received) -> None:
    assert control(stand_ins, "POST", "onlinepbx/settings", {"webhook_url": received.url}).status_code == 200
    body = {"client": "79000000111", "outcome": "talked", "talk": 30}
    assert control(stand_ins, "POST", "onlinepbx/call", body).status_code == 201
    control(stand_ins, "POST", "clock", {"advance": 60})
    log = control(stand_ins, "GET", "onlinepbx/webhooks").json()["webhooks"]
    assert [one["event"] for one in log] == ["call_start", "call_answered", "call_end"]
    assert {one["status"] for one in log} == {200}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("faults", {"kind": "rain"}, "kind: одно из"),
        ("faults", {"kind": "limited", "colour": 1}, "colour: такого ключа нет"),
        ("onlinepbx/script", {"outcome": "rain"}, "outcome: одно из"),
        ("onlinepbx/script", {"talk": -1}, "talk: нужно целое число"),
        ("onlinepbx/settings", {"colour": 1}, "colour: такого ключа нет"),
        ("vk/call", {"client": "1"}, "это не АТС"),
        ("nobody/settings", {}, "сервиса «nobody» нет"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(stand_ins: StandIns, path: str, body: Any, words: str) -> None:
    answer = control(stand_ins, "POST", path, body)
    assert (answer.status_code, words in answer.json()["error"]) == (400, True)


def test_a_fault_strikes_as_often_as_it_was_said(stand_ins: StandIns) -> None:
    control(stand_ins, "POST", "faults", {"kind": "broken", "vendor": "max", "count": 2})
    url = f"{stand_ins.url}/max/me"
    assert [requests.get(url, timeout=5).status_code for _ in range(3)] == [500, 500, 401]
    control(stand_ins, "DELETE", "faults")
    assert control(stand_ins, "GET", "faults").json()["faults"] == []


class Page:
    """What a person does in the browser."""

    def __init__(self, stand_ins: StandIns) -> None:
        self.url = stand_ins.url

    def press(self, vendor: str, action: str, **fields: str) -> str:
        headers = {"Origin": self.url}
        answer = requests.post(f"{self.url}/act/{vendor}/{action}", data=fields, headers=headers, timeout=10)
        assert answer.status_code == 200
        return answer.text


def test_a_client_writes_calls_and_fills_forms_on_the_page(stand_ins: StandIns, received: Received) -> None:
    page = Page(stand_ins)
    assert "сначала подключите мост" in page.press("telegram", "write", name="Нина", user_id="7001", text="да")
    assert "записано" in page.press("onlinepbx", "settings", webhook_url=received.url)
    assert "звонок с 79000000101 начался" in page.press(
        "onlinepbx", "ring", client="7 900 000-01-01", how="missed", talk="5"
    )
    stand_ins.timeline.advance(10)
    assert "call_missed" in requests.get(stand_ins.url, timeout=5).text
    page.press("site", "settings", webhook_url=received.url)
    assert "посетитель увидел «спасибо»" in page.press(
        "site", "form", name="Вера", phone="8 900 000-00-41", text="Бриф"
    )
    assert received.forms[-1]["name"] == "Вера"
    planned = page.press("zadarma", "plan", outcome="manager_rejects", talk="5")
    assert "менеджер сбросил" in planned
    assert stand_ins.board("zadarma").default.outcome == "manager_rejects"


def test_another_site_in_the_browser_presses_nothing(stand_ins: StandIns) -> None:
    headers = {"Origin": "https://evil.example"}
    answer = requests.post(f"{stand_ins.url}/act/zadarma/ring", data={}, headers=headers, timeout=5)
    assert answer.status_code == 403


def test_what_people_type_is_shown_as_text(stand_ins: StandIns) -> None:
    answer = Page(stand_ins).press("site", "settings", webhook_url="<script>alert(1)</script>")
    assert "<script>alert" not in answer
