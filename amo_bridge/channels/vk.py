"""A community of VK by plain requests: messages to people who have written to it.

Errors come with HTTP 200, as ``{"error": {"error_code", "error_msg"}}``. ``random_id`` keeps a message that is sent
again from arriving twice (VK API, messages.send).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

VK_VERSION = "5.199"
# VK API, «Коды ошибок».
DEAD_TOKEN, NO_RIGHT, TOO_OFTEN, ITS_OWN_FAULT = (5, 27, 28), (7, 15), (6, 9, 29), (1, 10)


class VkCommunity:
    """``variable``: where the token stands, for who has to mend it."""

    def __init__(self, api: str, token: str, *, variable: str) -> None:
        self._token = token
        self._variable = variable
        self._http = HttpClient("ВКонтакте", api, token)

    def check(self) -> str:
        """What to say when the token lets us in (Russian). Raises ChannelError."""
        self._call("groups.getTokenPermissions")
        return "токен сообщества ВКонтакте действует"

    def send(self, person: int, text: str, random_id: int) -> str:
        """One message of at most 4096 characters; its number. Raises ChannelError."""
        return str(self._call("messages.send", peer_id=str(person), message=text, random_id=str(random_id)))

    def _call(self, method: str, **given: str) -> Any:
        form = {"access_token": self._token, "v": VK_VERSION, **given}
        answer = self._http.ask("POST", f"/method/{method}", form=form)
        if not isinstance(answer, Mapping):
            raise ChannelUncertain("ВКонтакте не ответил как надо: в ответе нет объекта")
        if (error := answer.get("error")) is not None:
            raise self._refusal(error if isinstance(error, Mapping) else {})
        if "response" not in answer:
            raise ChannelUncertain("ВКонтакте не ответил как надо: в ответе нет response")
        return answer["response"]

    def _refusal(self, error: Mapping[str, Any]) -> ChannelError:
        code, message = error.get("error_code"), str(error.get("error_msg", ""))
        words = f"ВКонтакте: {code} {message}".strip()
        if code in DEAD_TOKEN:
            return ChannelDown(f"ВКонтакте не узнаёт токен сообщества, проверьте {self._variable}: {code}")
        if code in NO_RIGHT:
            return ChannelDown(f"у токена сообщества нет права «сообщения», проверьте {self._variable}: {words}")
        if code in TOO_OFTEN:
            return ChannelBusy(words)
        return ChannelUncertain(words) if code in ITS_OWN_FAULT else ChannelRefused(words)
