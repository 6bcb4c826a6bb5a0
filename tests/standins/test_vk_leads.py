"""The stand-in of VK Ads' lead forms: subscription with its refusals, list, CSV, test lead, what a client does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from amo_bridge.standins.audiences import VkAdsStandIn
from amo_bridge.standins.server import StandIns
from amo_bridge.standins.vk_leads import FORM
from tests.standins.conftest import Received

LEADS = "/api/v1/lead_ads/leads.json"
ANNA = {"first_name": "Анна", "phone": "+79000000001"}


class Caller:
    def __init__(self, vk: VkAdsStandIn) -> None:
        self.vk = vk
        told = {"grant_type": "client_credentials", "client_id": vk.client_id, "client_secret": vk.client_secret}
        answer = requests.post(f"{vk.url}/vkads/api/v2/oauth2/token.json", data=told, timeout=5)
        self._headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def __call__(self, method: str, path: str, **what: Any) -> requests.Response:
        return requests.request(method, f"{self.vk.url}/vkads{path}", headers=self._headers, timeout=5, **what)


@pytest.fixture
def ask(stand_ins: StandIns) -> Caller:
    made = stand_ins["vkads"]
    assert isinstance(made, VkAdsStandIn)
    return Caller(made)


def test_a_lead_is_posted_to_whoever_has_subscribed(ask: Caller, stand_ins: StandIns, received: Received) -> None:
    answer = ask("POST", "/api/v3/subscription.json", json={"resource": "LEAD", "callback_url": received.url})
    number = answer.json()["id"]
    assert [one["id"] for one in ask("GET", "/api/v3/subscription.json").json()["items"]] == [number]
    ask.vk.lead_forms.fill(ANNA, {"Ниша": "Кафе"})
    stand_ins.timeline.advance(1)
    told = json.loads(received.bodies[0])
    assert (told["resource"], told["data"]["contact_info"]) == ("LEAD", ANNA)
    assert told["data"]["created_at"].endswith("+0000 UTC")
    assert ask("DELETE", f"/api/v3/subscription/{number}.json").status_code == 204
    assert ask("DELETE", f"/api/v3/subscription/{number}.json").status_code == 404
    ask.vk.lead_forms.fill(ANNA)
    stand_ins.timeline.advance(1)
    assert len(received.bodies) == 1


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        ({"resource": "LEAD", "callback_url": "http://bridge.example/in"}, "callback_url", "bad_value"),
        ({"resource": "LEADS", "callback_url": "https://bridge.example/in"}, "resource", "unallowed_value"),
    ],
)
def test_a_senseless_subscription_is_refused(ask: Caller, body: dict[str, str], field: str, told: str) -> None:
    answer = ask("POST", "/api/v3/subscription.json", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["fields"][field]["code"]) == (400, "validation_failed", told)


def test_the_list_has_pages_an_order_and_filters(ask: Caller, stand_ins: StandIns) -> None:
    for number in range(60):
        stand_ins.timeline.advance(1)
        ask.vk.lead_forms.fill(ANNA, form=FORM if number % 2 else 20)
    page = ask("GET", f"{LEADS}?limit=50&offset=50&sorting=-created_at").json()
    assert (page["count"], len(page["items"]), page["items"][-1]["id"]) == (60, 10, 4)
    assert ask("GET", f"{LEADS}?limit=50&_form_ids__in={FORM}").json()["count"] == 30
    moment = page["items"][-1]["created_at"]
    assert ask("GET", f"{LEADS}?_created_at__lte={moment}").json()["count"] == 1
    assert ask("GET", f"{LEADS}?_created_at__gte={moment}").json()["count"] == 60
    for wrong in ("limit=51", "_created_at__gte=вчера"):
        assert ask("GET", f"{LEADS}?{wrong}").json()["error"]["code"] == "validation_failed"


def test_a_late_lead_and_a_test_lead(ask: Caller, stand_ins: StandIns) -> None:
    ask.vk.lead_forms.list_delay = 60
    told = ask("POST", f"/api/v1/lead_ads/lead_forms/{FORM}/send_test_lead").json()
    assert told == {"processed": True, "seconds_before_next_sending": 60}
    assert ask("GET", LEADS).json()["count"] == 0
    stand_ins.timeline.advance(60)
    assert ask("GET", LEADS).json()["count"] == 1


def test_a_client_fills_a_form_at_the_page_and_stands_in_the_export(ask: Caller) -> None:
    (action,) = ask.vk.actions()
    assert "его возьмёт опрос" in action.do({"first_name": "Анна", "phone": "+79000000001", "answer": "Кафе"})
    table = ask("GET", f"/api/v1/lead_ads/lead_forms/{FORM}/leads.csv").content.decode("utf-8-sig")
    heading, row = table.splitlines()
    assert heading == "Время лида;ID Кампании;ID Объявления;Имя;Телефон;Email;Ниша"
    assert row.endswith(";1;2;Анна;+79000000001;;Кафе")


def test_nobody_reads_leads_without_a_token(ask: Caller) -> None:
    assert requests.get(f"{ask.vk.url}/vkads{LEADS}", timeout=5).status_code == 401
