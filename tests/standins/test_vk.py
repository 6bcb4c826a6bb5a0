"""The stand-in of VK: errors in HTTP 200, the confirmation, events with the secret, repeats until «ok»."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from amo_bridge.standins.server import StandIns
from amo_bridge.standins.vk import VkStandIn
from tests.standins.conftest import Received


@pytest.fixture
def vk(stand_ins: StandIns) -> VkStandIn:
    made = stand_ins["vk"]
    assert isinstance(made, VkStandIn)
    return made


def ask(vk: VkStandIn, method: str, **given: Any) -> dict[str, Any]:
    form = {"access_token": vk.token, "v": "5.199", "group_id": vk.group, **given}
    answer = requests.post(f"{vk.url}/vk/method/{method}", data=form, timeout=5)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def connect(stand_ins: StandIns, vk: VkStandIn, received: Received) -> int:
    received.answers.append((vk.confirmation, 200))
    made = ask(vk, "groups.addCallbackServer", url=received.url, title="amo-bridge", secret_key="s3cret")
    number = int(made["response"]["server_id"])
    ask(vk, "groups.setCallbackSettings", server_id=number, message_new=1, lead_forms_new=1)
    stand_ins.timeline.advance()
    received.bodies.clear()
    return number


@pytest.mark.parametrize(
    ("change", "code"),
    [({"access_token": "wrong"}, 5), ({"v": None}, 8), ({"group_id": 1}, 15), ({"title": "x" * 15}, 100)],
)
def test_errors_come_with_status_200(vk: VkStandIn, change: dict[str, Any], code: int) -> None:
    given = {"url": "https://bridge.example/in", "title": "amo-bridge", **change}
    assert ask(vk, "groups.addCallbackServer", **given)["error"]["error_code"] == code
    assert vk.servers == {}


def test_a_server_is_confirmed_only_by_the_exact_words(stand_ins: StandIns, vk: VkStandIn, received: Received) -> None:
    number = connect(stand_ins, vk, received)
    assert vk.servers[number]["status"] == "ok"
    received.answers.append((f'"{vk.confirmation}"', 200))
    ask(vk, "groups.editCallbackServer", server_id=number, url=received.url, title="amo-bridge")
    stand_ins.timeline.advance()
    (shown,) = ask(vk, "groups.getCallbackServers")["response"]["items"]
    assert shown["status"] == "failed"


def test_a_message_comes_with_the_secret_and_the_name_is_asked_for(
    stand_ins: StandIns, vk: VkStandIn, received: Received
) -> None:
    connect(stand_ins, vk, received)
    vk.people[5001] = "Марк Тестов"
    vk.write(5001, "нужен таргет")
    stand_ins.timeline.advance()
    (event,) = (json.loads(body) for body in received.bodies)
    assert (event["type"], event["secret"], event["group_id"]) == ("message_new", "s3cret", vk.group)
    assert (event["object"]["message"]["from_id"], event["object"]["message"]["text"]) == (5001, "нужен таргет")
    (person,) = ask(vk, "users.get", user_ids="5001")["response"]
    assert (person["first_name"], person["last_name"]) == ("Марк", "Тестов")


def test_an_event_is_repeated_until_it_is_answered_ok(stand_ins: StandIns, vk: VkStandIn, received: Received) -> None:
    connect(stand_ins, vk, received)
    received.answers += [("ok, thanks", 200), ("", 503)]
    vk.lead(5001, {"email": ("Email", "a@example.com")})
    stand_ins.timeline.advance(1000)
    events = [json.loads(body) for body in received.bodies]
    assert len({event["event_id"] for event in events}) == 1
    assert [headers.get("X-Retry-Counter") for headers in received.headers[-3:]] == [None, "1", "2"]
    assert events[0]["object"]["answers"] == [{"key": "email", "question": "Email", "answer": "a@example.com"}]


def test_the_same_random_id_sends_no_second_message(vk: VkStandIn) -> None:
    vk.people[5001] = "Марк"
    first = ask(vk, "messages.send", peer_id=5001, random_id=7, message="да")
    assert ask(vk, "messages.send", peer_id=5001, random_id=7, message="да") == first
    assert len(vk.sent) == 1
    assert ask(vk, "messages.send", peer_id=1, random_id=8, message="да")["error"]["error_code"] == 901
