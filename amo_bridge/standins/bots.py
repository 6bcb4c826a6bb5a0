"""Bots of Telegram and MAX, for clients and colleagues alike. A webhook silences polling.

Telegram from the Bot API's documentation, MAX from its OpenAPI 0.0.30. Assumed: when an update that was not taken is
repeated. Both want https for a webhook; here an address of this machine may be http.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

TELEGRAM_PORTS = (443, 80, 88, 8443)
LONGEST_MESSAGE = {"telegram": 4096, "max": 4000}
_TELEGRAM_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MAX_SECRET = re.compile(r"[A-Za-z0-9_-]{5,256}")
_HERE = ("127.0.0.1", "localhost")
LONGEST_CALLBACK_DATA = 64
RETRY_AFTER_SECONDS = 5


class BotStandIn(StandIn):
    """What both have: one bot, people who write to it, what it has sent.

    ``blocked``: who has blocked it. ``groups``: number below 0 → title. ``files``: what was sent with a file.
    ``pressed``: what was said to whoever pressed a button."""

    repeats = (2, 10, 60, 300)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.webhook_url = self.webhook_secret = ""
        self.people: dict[int, str] = {}
        self.groups: dict[int, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.pressed: list[tuple[str, str]] = []
        self.blocked: set[int] = set()
        self.pending: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("token", "blocked", "groups"))
        for name, value in settings.items():
            if name == "groups":
                value = {int(number): str(title) for number, title in value.items()}
            setattr(self, name, set(value) if name == "blocked" else value)

    def actions(self) -> tuple[ClientAction, ...]:
        who = (ActionField("name", "кто", "Нина Тестова"), ActionField("user_id", "его номер", "7001"))
        text = ActionField("text", "сообщение", "Нужна реклама", is_long=True)
        phone, param = ActionField("phone", "номер", "79000000091"), ActionField("param", "метка ссылки", "d12345")
        button = (ActionField("message", "номер сообщения", ""), ActionField("label", "кнопка", "Согласовано"))

        def doing(deed: Callable[[int, Mapping[str, str]], None]) -> Callable[[Mapping[str, str]], str]:
            def done(fields: Mapping[str, str]) -> str:
                deed(self._person(fields), defaultdict(str, fields))
                return self._where()

            return done

        write = doing(lambda person, told: self.write(person, told["text"]))
        reply = doing(lambda person, told: self.reply(person, told["text"]))
        share = doing(lambda person, told: self.share_contact(person, told["phone"]))
        start = doing(lambda person, told: self.start(person, told["param"]))
        press = doing(lambda person, told: self.press(person, told["label"], told["message"]))
        return (
            ClientAction("write", "Написать боту", (*who, text), write),
            ClientAction("reply", "Ответить на его последнее сообщение", (*who, text), reply),
            ClientAction("contact", "Поделиться телефоном", (*who, phone), share),
            ClientAction("start", "Начать по ссылке", (*who, param), start),
            ClientAction("press", "Нажать кнопку под сообщением", (*who, *button), press),
        )

    def _button(self, label: str, message: str) -> tuple[dict[str, Any], str]:
        """The message with this button, the newest if none is named, and what the button brings."""
        for one in reversed(self.sent):
            data = one["buttons"].get(label)
            if data is not None and message in ("", str(one["id"])):
                return one, data
        raise ValueError(f"сообщения с кнопкой «{label}» нет")

    def _person(self, fields: Mapping[str, str]) -> int:
        number = int(fields.get("user_id") or 0)
        if number <= 0:
            raise ValueError("номер клиента — целое число больше нуля")
        self.people[number] = fields.get("name", "")
        return number

    def _where(self) -> str:
        if not self.webhook_url:
            raise ValueError("вебхук боту не поставлен: сначала подключите мост")
        return f"ушло: {self.webhook_url}"

    def write(self, user_id: int, text: str) -> None:
        """A person writes to the bot."""
        raise NotImplementedError

    def reply(self, user_id: int, text: str) -> None:
        """A person answers the newest message of the bot."""
        raise NotImplementedError

    def share_contact(self, user_id: int, phone: str) -> None:
        """A person sends his own phone by the button."""
        raise NotImplementedError

    def start(self, user_id: int, param: str) -> None:
        """A person begins by a link with a mark."""
        raise NotImplementedError

    def press(self, user_id: int, label: str, message: str = "") -> None:
        """A person presses a button under a message: the newest with that button, or the one of this number."""
        raise NotImplementedError

    def _name(self, user_id: int) -> tuple[str, str]:
        first, _, last = self.people.get(user_id, "Клиент").partition(" ")
        return first, last

    def _push(self, event: str, update: Mapping[str, Any], header: str) -> None:
        if not self.webhook_url:
            self.pending.append(dict(update))
            return
        proof = {header: self.webhook_secret} if self.webhook_secret else {}
        raw = json.dumps(update, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **proof}
        self.send(VendorWebhook(event, self.webhook_url, raw, headers, {header: "somebody-elses"}))

    def last_error(self) -> str:
        """Why the last webhook was not taken; empty if it was."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or (last.status is not None and self.is_accepted(last.status, last.answer)):
            return ""
        return "Connection refused" if last.status is None else f"Wrong response from the webhook: {last.status}"


class TelegramStandIn(BotStandIn):
    """The Bot API."""

    name = "telegram"
    title = "Telegram"
    hint = "Вебхук поставит amo-bridge intake connect telegram (бот для клиентов) или telegram_staff (для своих)."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "123456789:AAtest-token-of-thirty-five-characters"
        self.allowed: list[str] = []

    def settings(self) -> dict[str, Any]:
        return {"api": f"{self.url}/{self.name}", "token": self.token, "webhook_url": self.webhook_url}

    def limited(self) -> ResponseReturnValue:
        return _telegram_no(
            429, f"Too Many Requests: retry after {RETRY_AFTER_SECONDS}", retry_after=RETRY_AFTER_SECONDS
        )

    def unauthorised(self) -> ResponseReturnValue:
        return _telegram_no(401, "Unauthorized")

    def register(self, routes: Blueprint) -> None:
        methods: dict[str, Callable[[Mapping[str, Any]], ResponseReturnValue]] = {
            "getMe": lambda _: _telegram_ok(
                {"id": 123456789, "is_bot": True, "first_name": "Агентство", "username": "agency_test_bot"}
            ),
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._webhook_info,
            "getUpdates": self._updates,
            "sendMessage": self._send,
            "sendPhoto": lambda given: self._send_file("photo", given),
            "sendDocument": lambda given: self._send_file("document", given),
            "editMessageText": self._edit,
            "answerCallbackQuery": self._answer_press,
        }

        @routes.route("/bot<token>/<method>", methods=["GET", "POST"])
        def api(token: str, method: str) -> ResponseReturnValue:
            given: dict[str, Any] = {**request.args.to_dict(), **request.form.to_dict()}
            if isinstance(body := request.get_json(silent=True), dict):
                given |= body
            if token != self.token:
                return self.unauthorised()
            view = {name.casefold(): one for name, one in methods.items()}.get(method.casefold())
            return view(given) if view else _telegram_no(404, "Not Found")

    def _set_webhook(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        url, secret = str(given.get("url", "")), str(given.get("secret_token", ""))
        if not url:
            return self._delete_webhook(given)
        if problem := _https_problem(url, TELEGRAM_PORTS):
            return _telegram_no(400, f"Bad Request: bad webhook: {problem}")
        if secret and not _TELEGRAM_SECRET.fullmatch(secret):
            return _telegram_no(400, "Bad Request: secret token contains unallowed characters")
        self.webhook_url, self.webhook_secret = url, secret
        allowed = given.get("allowed_updates") or []
        self.allowed = json.loads(allowed) if isinstance(allowed, str) else list(allowed)
        waiting, self.pending = ([] if given.get("drop_pending_updates") else self.pending), []
        for update in waiting:
            self._push(_kind_of(update), update, "X-Telegram-Bot-Api-Secret-Token")
        return _telegram_ok(True, "Webhook was set")

    def _delete_webhook(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        self.webhook_url = self.webhook_secret = ""
        return _telegram_ok(True, "Webhook was deleted")

    def _webhook_info(self, _: Mapping[str, Any]) -> ResponseReturnValue:
        info: dict[str, Any] = {
            "url": self.webhook_url,
            "has_custom_certificate": False,
            "pending_update_count": len(self.pending),
            "max_connections": 40,
        }
        if error := self.last_error():
            info |= {"last_error_date": int(self.attempts[-1].at), "last_error_message": error}
        return _telegram_ok(info)

    def _updates(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        if self.webhook_url:
            words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the"
            return _telegram_no(409, f"{words} webhook first")
        offset = int(given.get("offset") or 0)
        self.pending = [one for one in self.pending if one["update_id"] >= offset]
        return _telegram_ok(self.pending)

    def _refused(self, chat: int) -> ResponseReturnValue | None:
        if chat in self.blocked:
            return _telegram_no(403, "Forbidden: bot was blocked by the user")
        if chat not in self.people and chat not in self.groups:
            return _telegram_no(400, "Bad Request: chat not found")
        return None

    def _send(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        chat, text = int(given.get("chat_id") or 0), str(given.get("text", ""))
        if (refusal := self._refused(chat) or _telegram_bad_text(text)) is not None:
            return refusal
        buttons = _telegram_buttons(given)
        if any(len(data.encode()) > LONGEST_CALLBACK_DATA for data in buttons.values()):
            return _telegram_no(400, "Bad Request: BUTTON_DATA_INVALID")
        number = next(self._ids)
        self.sent.append({"id": number, "chat_id": chat, "text": text, "buttons": buttons})
        return _telegram_ok({"message_id": number, "chat": {"id": chat}, "text": text})

    def _send_file(self, kind: str, given: Mapping[str, Any]) -> ResponseReturnValue:
        chat = int(given.get("chat_id") or 0)
        if (refusal := self._refused(chat)) is not None:
            return refusal
        file = request.files.get(kind)
        if file is None:
            return _telegram_no(400, f"Bad Request: there is no {kind} in the request")
        number = next(self._ids)
        name, size = file.filename or "", len(file.read())
        self.files.append({"chat_id": chat, "name": name, "size": size, "text": str(given.get("caption", ""))})
        return _telegram_ok({"message_id": number, "chat": {"id": chat}})

    def _edit(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        number, text = int(given.get("message_id") or 0), str(given.get("text", ""))
        message = next((one for one in self.sent if one["id"] == number), None)
        if message is None:
            return _telegram_no(400, "Bad Request: message to edit not found")
        if (refusal := _telegram_bad_text(text)) is not None:
            return refusal
        buttons = _telegram_buttons(given)
        if (message["text"], message["buttons"]) == (text, buttons):
            same = "specified new message content and reply markup are exactly the same"
            return _telegram_no(400, f"Bad Request: message is not modified: {same}")
        message |= {"text": text, "buttons": buttons}
        return _telegram_ok({"message_id": number, "text": text})

    def _answer_press(self, given: Mapping[str, Any]) -> ResponseReturnValue:
        self.pressed.append((str(given.get("callback_query_id", "")), str(given.get("text", ""))))
        return _telegram_ok(True)

    def press(self, user_id: int, label: str, message: str = "") -> None:
        sent, data = self._button(label, message)
        if self.allowed and "callback_query" not in self.allowed:
            return
        first, last = self._name(user_id)
        number = next(self._ids)
        group = sent["chat_id"] in self.groups
        chat = {"id": sent["chat_id"], "type": "supergroup" if group else "private"}
        update = {
            "update_id": 900_000_000 + number,
            "callback_query": {
                "id": f"press-{number}",
                "from": {"id": user_id, "is_bot": False, "first_name": first, "last_name": last},
                "message": {"message_id": sent["id"], "chat": chat, "text": sent["text"]},
                "chat_instance": "1",
                "data": data,
            },
        }
        self._push("callback_query", update, "X-Telegram-Bot-Api-Secret-Token")

    def write(self, user_id: int, text: str) -> None:
        self._message(user_id, {"text": text})

    def reply(self, user_id: int, text: str) -> None:
        # Nothing to answer yet: then it is a message like any other.
        answered = {"reply_to_message": {"message_id": self.sent[-1]["id"]}} if self.sent else {}
        self._message(user_id, {"text": text, **answered})

    def share_contact(self, user_id: int, phone: str) -> None:
        first, last = self._name(user_id)
        contact = {"phone_number": phone, "first_name": first, "last_name": last, "user_id": user_id}
        self._message(user_id, {"contact": contact})

    def start(self, user_id: int, param: str) -> None:
        text = f"/start {param}".strip()
        entity = {"type": "bot_command", "offset": 0, "length": 6}
        self._message(user_id, {"text": text, "entities": [entity]})

    def _message(self, user_id: int, content: Mapping[str, Any]) -> None:
        first, last = self._name(user_id)
        who = {"id": user_id, "first_name": first, **({"last_name": last} if last else {})}
        number = next(self._ids)
        message = {
            "message_id": number,
            "from": {**who, "is_bot": False, "language_code": "ru"},
            "chat": {**who, "type": "private"},
            "date": int(self.timeline.now()),
            **content,
        }
        if self.allowed and "message" not in self.allowed:
            return
        update = {"update_id": 900_000_000 + number, "message": message}
        self._push("message", update, "X-Telegram-Bot-Api-Secret-Token")


class MaxStandIn(BotStandIn):
    """MAX's platform API."""

    name = "max"
    title = "MAX"
    hint = "Подписку поставит amo-bridge intake connect max (бот для клиентов) или max_staff (для своих)."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.token = "max-test-token"
        self.types: list[str] = []
        self.kinds: dict[str, str] = {}
        self.uploads: dict[str, dict[str, Any]] = {}

    def settings(self) -> dict[str, Any]:
        return {"api": f"{self.url}/{self.name}", "token": self.token, "webhook_url": self.webhook_url}

    def limited(self) -> ResponseReturnValue:
        return _max_no(429, "too.many.requests", "Too many requests")

    def unauthorised(self) -> ResponseReturnValue:
        return _max_no(401, "verify.token", "Invalid access_token")

    def register(self, routes: Blueprint) -> None:
        def guarded(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
            def answer() -> ResponseReturnValue:
                if request.headers.get("Authorization") != self.token:
                    return self.unauthorised()
                return view()

            return answer

        me = {"user_id": 1, "first_name": "Агентство", "username": "agency_bot", "is_bot": True, "name": "Агентство"}
        views: tuple[tuple[str, str, Callable[[], ResponseReturnValue]], ...] = (
            ("GET", "/me", lambda: jsonify(me)),
            ("GET", "/subscriptions", self._subscriptions),
            ("POST", "/subscriptions", self._subscribe),
            ("DELETE", "/subscriptions", self._unsubscribe),
            ("GET", "/updates", self._updates),
            ("POST", "/messages", self._send),
            ("PUT", "/messages", self._edit),
            ("POST", "/answers", self._answer_press),
            ("GET", "/chats", self._chats),
            ("POST", "/uploads", self._uploads),
        )
        # Another host, without the token.
        routes.add_url_rule("/upload/<token>", "upload", self._upload, methods=["POST"])
        for method, path, view in views:
            routes.add_url_rule(path, f"{method} {path}", guarded(view), methods=[method])

    def _subscriptions(self) -> ResponseReturnValue:
        one = {"url": self.webhook_url, "time": int(self.timeline.now() * 1000), "update_types": self.types or None}
        return jsonify(subscriptions=[one] if self.webhook_url else [])

    def _subscribe(self) -> ResponseReturnValue:
        body = request.get_json(silent=True)
        given: Mapping[str, Any] = body if isinstance(body, dict) else {}
        url, secret = str(given.get("url", "")), str(given.get("secret") or "")
        if not url or _https_problem(url, ()):
            return _max_no(400, "proto.payload", "url: https is required")
        if secret and not _MAX_SECRET.fullmatch(secret):
            return _max_no(400, "proto.payload", "secret: 5-256 characters of A-Z, a-z, 0-9, _ and -")
        self.webhook_url, self.webhook_secret = url, secret
        self.types = list(given.get("update_types") or [])
        return jsonify(success=True)

    def _unsubscribe(self) -> ResponseReturnValue:
        if request.args.get("url") != self.webhook_url:
            return jsonify(success=False, message="Subscription not found")
        self.webhook_url = self.webhook_secret = ""
        return jsonify(success=True)

    def _updates(self) -> ResponseReturnValue:
        """With a webhook the pages are empty."""
        waiting, self.pending = ([], self.pending) if self.webhook_url else (self.pending, [])
        return jsonify(updates=waiting, marker=next(self._ids))

    def _send(self) -> ResponseReturnValue:
        group = int(request.args.get("chat_id") or 0)
        whom = int(request.args.get("user_id") or 0) or group
        body = request.get_json(silent=True)
        given: Mapping[str, Any] = body if isinstance(body, dict) else {}
        text, attachments = str(given.get("text") or ""), given.get("attachments") or []
        if whom in self.blocked:
            return _max_no(403, "chat.denied", f"Key: error.dialog.suspended, args: [{whom},].")
        if group not in (0, *self.groups):
            return _max_no(404, "chat.not.found", f"Chat {group} not found")
        if not group and whom not in self.people:
            return _max_no(404, "chat.not.found", "dialog.not.found")
        if not (text or attachments) or len(text) > LONGEST_MESSAGE["max"]:
            return _max_no(400, "proto.payload", "text: 1-4000 characters")
        number = next(self._ids)
        mid = f"mid.{number:032x}"
        for one in attachments:
            if one["type"] in ("image", "file"):
                uploaded = self.uploads.get(one["payload"].get("token", ""))
                if uploaded is None:
                    return _max_no(400, "attachment.not.ready", "Key: errors.process.attachment.file.not.processed")
                self.files.append({"chat_id": whom, "kind": one["type"], **uploaded, "text": text})
        self.sent.append({"id": mid, "user_id": whom, "text": text, "buttons": _max_buttons(attachments)})
        return jsonify(message={"body": {"mid": mid, "seq": number, "text": text}})

    def _edit(self) -> ResponseReturnValue:
        message = next((one for one in self.sent if one["id"] == request.args.get("message_id")), None)
        if message is None:
            return jsonify(success=False, message="Message not found")
        body = request.get_json(silent=True) or {}
        message |= {"text": str(body.get("text") or ""), "buttons": _max_buttons(body.get("attachments") or [])}
        return jsonify(success=True)

    def _answer_press(self) -> ResponseReturnValue:
        body = request.get_json(silent=True) or {}
        self.pressed.append((request.args.get("callback_id", ""), str(body.get("notification") or "")))
        return jsonify(success=True)

    def _chats(self) -> ResponseReturnValue:
        """Groups alone: talks with people are not listed."""
        groups = [{"chat_id": number, "type": "chat", "title": title} for number, title in self.groups.items()]
        return jsonify(chats=groups, marker=None)

    def _uploads(self) -> ResponseReturnValue:
        token = f"upload-{next(self._ids)}"
        self.kinds[token] = request.args.get("type", "")
        return jsonify(url=f"{self.url}/{self.name}/upload/{token}")

    def _upload(self, token: str) -> ResponseReturnValue:
        file = request.files.get("data")
        if file is None or token not in self.kinds:
            return _max_no(400, "upload.error", "no data")
        self.uploads[token] = {"name": file.filename or "", "size": len(file.read())}
        if self.kinds[token] == "image":
            return jsonify(photos={"photo": {"token": token}})
        return jsonify(fileId=1, token=token)

    def press(self, user_id: int, label: str, message: str = "") -> None:
        sent, data = self._button(label, message)
        if self.types and "message_callback" not in self.types:
            return
        now = int(self.timeline.now() * 1000)
        group = sent["user_id"] in self.groups
        recipient = {
            "chat_id": sent["user_id"] if group else user_id + 10**9,
            "chat_type": "chat" if group else "dialog",
            **({} if group else {"user_id": sent["user_id"]}),
        }
        update = {
            "update_type": "message_callback",
            "timestamp": now,
            "callback": {
                "timestamp": now,
                "callback_id": f"press-{next(self._ids)}",
                "payload": data,
                "user": self._user(user_id),
            },
            "message": {
                "recipient": recipient,
                "timestamp": now,
                "body": {"mid": sent["id"], "seq": 1, "text": sent["text"]},
            },
            "user_locale": "ru",
        }
        self._push("message_callback", update, "X-Max-Bot-Api-Secret")

    def write(self, user_id: int, text: str) -> None:
        self._message(user_id, {"text": text})

    def reply(self, user_id: int, text: str) -> None:
        answered = {"link": {"type": "reply", "message": {"mid": self.sent[-1]["id"]}}} if self.sent else {}
        self._message(user_id, {"text": text}, answered)

    def share_contact(self, user_id: int, phone: str) -> None:
        name = self.people.get(user_id, "")
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nTEL;TYPE=cell:{phone}\r\nEND:VCARD"
        payload = {"vcf_info": card, "max_info": self._user(user_id)}
        self._message(user_id, {"text": None, "attachments": [{"type": "contact", "payload": payload}]})

    def start(self, user_id: int, param: str) -> None:
        update = {
            "update_type": "bot_started",
            "timestamp": int(self.timeline.now() * 1000),
            "chat_id": user_id + 10**9,
            "user": self._user(user_id),
            "payload": param or None,
            "user_locale": "ru",
        }
        self._push("bot_started", update, "X-Max-Bot-Api-Secret")

    def _message(self, user_id: int, body: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
        number = next(self._ids)
        now = int(self.timeline.now() * 1000)
        message = {
            "sender": self._user(user_id),
            "recipient": {"chat_id": user_id + 10**9, "chat_type": "dialog", "user_id": 1},
            "timestamp": now,
            "body": {"mid": f"mid.{now:016x}{number:016x}", "seq": now << 16 | number, **body},
            **(more or {}),
        }
        update = {"update_type": "message_created", "timestamp": now, "message": message, "user_locale": "ru"}
        if self.types and "message_created" not in self.types:
            return
        self._push("message_created", update, "X-Max-Bot-Api-Secret")

    def _user(self, user_id: int) -> dict[str, Any]:
        first, last = self._name(user_id)
        return {
            "user_id": user_id,
            "first_name": first,
            "last_name": last,
            "is_bot": False,
            "name": f"{first} {last}".strip(),
        }


def _kind_of(update: Mapping[str, Any]) -> str:
    return next((name for name in update if name != "update_id"), "")


def _https_problem(url: str, ports: tuple[int, ...]) -> str:
    """Why the vendor would not call there; an address of this machine is let through."""
    parts = urlsplit(url)
    if parts.hostname in _HERE:
        return ""
    if parts.scheme != "https":
        return "An HTTPS URL must be provided for webhook"
    if ports and (parts.port or 443) not in ports:
        return "Webhook can be set up only on ports 80, 88, 443 or 8443"
    return ""


def _telegram_bad_text(text: str) -> ResponseReturnValue | None:
    if not text:
        return _telegram_no(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > LONGEST_MESSAGE["telegram"]:
        return _telegram_no(400, "Bad Request: message is too long")
    return None


def _max_buttons(attachments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    rows = [row for one in attachments if one["type"] == "inline_keyboard" for row in one["payload"]["buttons"]]
    return {one["text"]: one["payload"] for row in rows for one in row}


def _telegram_ok(result: Any, description: str = "") -> ResponseReturnValue:
    return jsonify({"ok": True, "result": result, **({"description": description} if description else {})})


def _telegram_buttons(given: Mapping[str, Any]) -> dict[str, str]:
    """Label → what the button brings."""
    rows = (given.get("reply_markup") or {}).get("inline_keyboard") or []
    return {one["text"]: one["callback_data"] for row in rows for one in row}


def _telegram_no(code: int, description: str, **parameters: Any) -> ResponseReturnValue:
    more = {"parameters": parameters} if parameters else {}
    return jsonify(ok=False, error_code=code, description=description, **more), code


def _max_no(status: int, code: str, message: str) -> ResponseReturnValue:
    return jsonify(code=code, message=message), status
