"""A community of VK: errors in a 200, and a message that is sent again and comes once."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from amo_bridge.channels.client_chats import VkCommunity
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.vk import VkStandIn

API, TOKEN, VARIABLE = "https://vk.example", "vk-token-of-a-community", "AMO_BRIDGE_INTAKE_VK_TOKEN"


def community(api: str = API, token: str = TOKEN) -> VkCommunity:
    return VkCommunity(api, token, variable=VARIABLE)


def test_a_message_comes_once_however_often_it_is_sent() -> None:
    stand_ins = StandIns(["vk"], live=False)
    with serving(stand_ins) as url:
        vk = stand_ins["vk"]
        assert isinstance(vk, VkStandIn)
        vk.people[5001] = "Марк"
        ours = community(f"{url}/vk", vk.token)
        assert ours.send(5001, "Здравствуйте", 77) == ours.send(5001, "Здравствуйте", 77)
        assert [one["message"] for one in vk.sent] == ["Здравствуйте"]
        with pytest.raises(ChannelRefused, match="901"):
            ours.send(1, "Здравствуйте", 78)


def error(code: int, message: str = "слова") -> dict[str, Any]:
    return {"json": {"error": {"error_code": code, "error_msg": message}}}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(5), ChannelDown, VARIABLE),
        (error(15), ChannelDown, "нет права"),
        (error(6), ChannelBusy, "6 слова"),
        (error(10), ChannelUncertain, "10"),
        (error(901), ChannelRefused, "901"),
        ({"json": {"error": "нечто"}}, ChannelRefused, "ВКонтакте"),
        ({"json": {}}, ChannelUncertain, "нет response"),
        ({"json": []}, ChannelUncertain, "нет объекта"),
        ({"body": "<html>Вход</html>"}, ChannelUncertain, "не ответил как надо"),
    ],
)
@responses.activate
def test_what_vk_says(answer: dict[str, Any], kind: type[ChannelError], words: str) -> None:
    responses.post(f"{API}/method/messages.send", **answer)
    with pytest.raises(kind, match=words) as told:
        community().send(5001, "раз", 1)
    assert type(told.value) is kind
    assert TOKEN not in str(told.value)


@responses.activate
def test_the_token_is_asked_for() -> None:
    responses.post(f"{API}/method/groups.getTokenPermissions", json={"response": {"mask": 4096}})
    assert community().check() == "токен сообщества ВКонтакте действует"
