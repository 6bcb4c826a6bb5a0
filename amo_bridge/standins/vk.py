"""VK: the API of a community and its Callback API. Errors come with HTTP 200; «ok» is a must.

From VK's JSON schema 5.199 and its documentation. Assumed: after how long an event that was not taken is repeated, and
how often.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

API_VERSION = "5.199"
MOST_SERVERS = 10
LONGEST_TITLE, LONGEST_SECRET = 14, 50
LONGEST_MESSAGE = 4096
GROUP_CHATS = 2_000_000_000
"""Peers above are chats of several people."""
ERRORS: Mapping[int, str] = {
    5: "User authorization failed: invalid access_token (4).",
    6: "Too many requests per second",
    8: "Invalid request: v is required",
    15: "Access denied: no access to this group",
    100: "One of the parameters specified was missing or invalid",
    901: "Can't send messages for users without permission",
    2000: "Can't add more than 10 callback servers",
}


class VkError(Exception):
    """An answer with ``error``."""

    def __init__(self, code: int, words: str = "") -> None:
        self.code, self.words = code, words or ERRORS[code]
        super().__init__(self.words)


class VkStandIn(StandIn):
    """One community with a token of its own. ``people``: who has written, by number."""

    name = "vk"
    title = "ВКонтакте, сообщество"
    hint = "Адрес поставит amo-bridge intake connect vk."
    repeats = (5, 30, 120, 600)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token, self.group = "vk-test-token", 200000001
        self.confirmation = "1a2b3c4d"
        self.servers: dict[int, dict[str, Any]] = {}
        self.people: dict[int, str] = {}
        self.sent: list[dict[str, Any]] = []
        self._ids = iter(range(1, 10**9))

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "token": self.token,
            "group": self.group,
            "confirmation": self.confirmation,
            "webhook_url": ", ".join(f"{one['url']} ({one['status']})" for one in self.servers.values()),
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("token", "group", "confirmation"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        return _failed(VkError(6))

    def unauthorised(self) -> ResponseReturnValue:
        return _failed(VkError(5))

    def is_accepted(self, status: int, answer: str) -> bool:
        return status == 200 and answer.strip() == "ok"

    def repeat_headers(self, attempt: int) -> Mapping[str, str]:
        return {"X-Retry-Counter": str(attempt - 1)}

    def register(self, routes: Blueprint) -> None:
        methods: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "groups.getById": lambda given: {"groups": [{"id": self.group, "name": "Агентство"}]},
            "groups.getCallbackConfirmationCode": lambda given: {"code": self.confirmation},
            "groups.addCallbackServer": self._add_server,
            "groups.editCallbackServer": self._edit_server,
            "groups.deleteCallbackServer": self._delete_server,
            "groups.getCallbackServers": lambda given: {
                "count": len(self.servers),
                "items": [_shown(one) for one in self.servers.values()],
            },
            "groups.setCallbackSettings": self._set_settings,
            "groups.getCallbackSettings": lambda given: {
                "api_version": self._server(given)["api_version"],
                "events": self._server(given)["events"],
            },
            "users.get": self._users,
            "messages.send": self._send,
        }

        @routes.route("/method/<name>", methods=["GET", "POST"])
        def method(name: str) -> ResponseReturnValue:
            given = {**request.args.to_dict(), **request.form.to_dict()}
            try:
                if "v" not in given:
                    raise VkError(8)
                if given.get("access_token") != self.token:
                    raise VkError(5)
                if name.startswith("groups.") and int(given.get("group_id") or 0) != self.group:
                    raise VkError(15)
                if name not in methods:
                    raise VkError(100, "Unknown method passed")
                return jsonify(response=methods[name](given))
            except VkError as error:
                return _failed(error, given)
            except (KeyError, ValueError):
                return _failed(VkError(100), given)

    def _add_server(self, given: Mapping[str, str]) -> Any:
        if len(self.servers) >= MOST_SERVERS:
            raise VkError(2000)
        self._check_server(given)
        number = next(self._ids)
        self.servers[number] = {
            "id": number,
            "title": given["title"],
            "url": given["url"],
            "secret_key": given.get("secret_key", ""),
            "status": "wait",
            "api_version": API_VERSION,
            "events": {},
        }
        self._confirm(number)
        return {"server_id": number}

    def _edit_server(self, given: Mapping[str, str]) -> Any:
        server = self._server(given)
        self._check_server(given)
        server |= {name: given[name] for name in ("url", "title", "secret_key") if name in given}
        server["status"] = "wait"
        self._confirm(server["id"])
        return 1

    def _check_server(self, given: Mapping[str, str]) -> None:
        if len(given["title"]) > LONGEST_TITLE or len(given.get("secret_key", "")) > LONGEST_SECRET:
            raise VkError(
                100, "One of the parameters specified was missing or invalid: title or secret_key is too long"
            )
        if not given["url"].startswith(("https://", "http://")):
            raise VkError(100, "One of the parameters specified was missing or invalid: url")

    def _delete_server(self, given: Mapping[str, str]) -> Any:
        del self.servers[self._server(given)["id"]]
        return 1

    def _server(self, given: Mapping[str, str]) -> dict[str, Any]:
        return self.servers[int(given["server_id"])]

    def _set_settings(self, given: Mapping[str, str]) -> Any:
        server = self._server(given)
        server["api_version"] = given.get("api_version", API_VERSION)
        switches = {name: int(value) for name, value in given.items() if value in ("0", "1") and "_" in name}
        server["events"] |= {name: value for name, value in switches.items() if not name.startswith("server")}
        return 1

    def _confirm(self, number: int) -> None:
        """VK asks the server itself, a moment later."""

        def ask() -> None:
            server = self.servers.get(number)
            if server is None:
                return
            body = json.dumps({"type": "confirmation", "group_id": self.group}).encode()
            headers = {"Content-Type": "application/json"}
            status, answer = self.post(VendorWebhook("confirmation", server["url"], body, headers))
            server["status"] = "ok" if (status, answer.strip()) == (200, self.confirmation) else "failed"

        self.timeline.at(0, ask, asks_others=True)

    def _users(self, given: Mapping[str, str]) -> Any:
        numbers = [int(one) for one in given["user_ids"].split(",")]
        known = [(number, self.people[number]) for number in numbers if number in self.people]
        return [
            {
                "id": number,
                "first_name": name.partition(" ")[0],
                "last_name": name.partition(" ")[2],
                "domain": f"id{number}",
                "is_closed": False,
                "can_access_closed": True,
            }
            for number, name in known
        ]

    def _send(self, given: Mapping[str, str]) -> Any:
        peer = int(given.get("peer_id") or given["user_id"])
        if "random_id" not in given:
            raise VkError(
                100, "One of the parameters specified was missing or invalid: random_id is a required parameter"
            )
        if len(given.get("message", "")) > LONGEST_MESSAGE:
            raise VkError(100, "One of the parameters specified was missing or invalid: message is too long")
        if peer not in self.people:
            raise VkError(901)
        same = [one for one in self.sent if (one["peer_id"], one["random_id"]) == (peer, given["random_id"])]
        if same and given["random_id"] != "0":
            return same[0]["id"]
        number = next(self._ids)
        message = given.get("message", "")
        self.sent.append({"id": number, "peer_id": peer, "random_id": given["random_id"], "message": message})
        return number

    # What a client does.

    def actions(self) -> tuple[ClientAction, ...]:
        who = (ActionField("name", "кто", "Марк Тестов"), ActionField("user_id", "его номер", "5001"))
        answers = (
            ActionField("phone", "телефон", "+7 900 000-00-62"),
            ActionField("email", "почта", "sofya@example.com"),
            ActionField("question", "вопрос формы", "Чем занимаетесь?"),
            ActionField("answer", "ответ", "Салон красоты"),
        )
        text = ActionField("text", "сообщение", "Здравствуйте, нужен таргет", is_long=True)
        return (
            ClientAction("write", "Написать сообществу", (*who, text), self._write),
            ClientAction("lead", "Заполнить форму сбора заявок", (*who, *answers), self._fill),
        )

    def _write(self, fields: Mapping[str, str]) -> str:
        number = self._person(fields)
        self.write(number, fields.get("text", ""))
        return self._where("message_new")

    def _fill(self, fields: Mapping[str, str]) -> str:
        number = self._person(fields)
        first, _, last = fields.get("name", "").partition(" ")
        answers = {
            "first_name": ("Имя", first),
            "last_name": ("Фамилия", last),
            "phone_number": ("Номер телефона", fields.get("phone", "")),
            "email": ("Email", fields.get("email", "")),
            "custom_0": (fields.get("question", ""), fields.get("answer", "")),
        }
        told = {key: pair for key, pair in answers.items() if pair[1]}
        self.lead(number, told)
        return self._where("lead_forms_new")

    def _person(self, fields: Mapping[str, str]) -> int:
        number = int(fields.get("user_id") or 0)
        if number <= 0:
            raise ValueError("номер клиента — целое число больше нуля")
        self.people[number] = fields.get("name", "")
        return number

    def _where(self, event: str) -> str:
        servers = [one for one in self.servers.values() if one["status"] == "ok" and one["events"].get(event)]
        if not servers:
            raise ValueError(f"ни один сервер Callback API не подтверждён и не ждёт {event}: сначала подключите мост")
        return f"событие {event} ушло: {', '.join(one['url'] for one in servers)}"

    def write(self, user_id: int, text: str, **more: Any) -> None:
        """A message of a person to the community. ``more``: other keys of the message."""
        number = next(self._ids)
        message = {
            "id": number,
            "date": int(self.timeline.now()),
            "peer_id": user_id,
            "from_id": user_id,
            "text": text,
            "attachments": [],
            "conversation_message_id": number,
            "fwd_messages": [],
            "important": False,
            "is_hidden": False,
            "out": 0,
            "random_id": 0,
            "version": number,
            **more,
        }
        client = {"button_actions": ["text", "open_link"], "keyboard": True, "inline_keyboard": True, "lang_id": 0}
        self._event("message_new", {"message": message, "client_info": client})

    def lead(self, user_id: int, answers: Mapping[str, tuple[str, str]]) -> None:
        """A lead form of the community is filled: key → (question, answer)."""
        told = [{"key": key, "question": question, "answer": answer} for key, (question, answer) in answers.items()]
        body = {
            "lead_id": next(self._ids),
            "group_id": self.group,
            "user_id": user_id,
            "form_id": 1,
            "form_name": "Заявка",
            "answers": told,
        }
        self._event("lead_forms_new", body)

    def _event(self, kind: str, body: Mapping[str, Any]) -> None:
        event_id = secrets.token_hex(20)
        for server in self.servers.values():
            if server["status"] != "ok" or not server["events"].get(kind):
                continue
            envelope: dict[str, Any] = {
                "type": kind,
                "object": dict(body),
                "group_id": self.group,
                "event_id": event_id,
                "v": server["api_version"],
            }
            if server["secret_key"]:
                envelope["secret"] = server["secret_key"]
            raw = json.dumps(envelope, ensure_ascii=False).encode()
            self.send(VendorWebhook(kind, server["url"], raw, {"Content-Type": "application/json"}))


def _shown(server: Mapping[str, Any]) -> dict[str, Any]:
    return {name: server[name] for name in ("id", "title", "url", "secret_key", "status")} | {"creator_id": 1}


def _failed(error: VkError, given: Mapping[str, str] | None = None) -> ResponseReturnValue:
    """HTTP 200 as ever."""
    shown = [{"key": key, "value": value} for key, value in (given or {}).items() if key != "access_token"]
    return jsonify(error={"error_code": error.code, "error_msg": error.words, "request_params": shown})
