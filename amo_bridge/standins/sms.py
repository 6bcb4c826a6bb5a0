"""SMS.ru and SMSC: messages priced and delivered by the clock, webhooks, errors in HTTP 200.

Assumed: how long a delivery takes, what a part costs, that a message of a number that is there already is another one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

PART_COST = 5.0
ALONE, PART = 70, 67
MOST_PARTS = 10
ON_THE_WAY_SECONDS, DELIVERY_SECONDS = 2.0, 20.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Message:
    """One SMS that was taken. ``state``: the service's own code."""

    id: str
    phone: str
    text: str
    state: int


class SmsStandIn(StandIn):
    """What both have: an account with money, senders that operators know, telephones that are off."""

    pasted = ("webhook_url",)
    hint = "Впишите api в раздел сервиса, ключ — в его переменную; адрес вебхука — из amo-bridge intake addresses."
    queued: ClassVar[int]
    under_way: ClassVar[int]
    delivered: ClassVar[int]
    expired: ClassVar[int]

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.balance = 1000.0
        self.senders: list[str] = []
        self.unreachable: list[str] = []
        self.webhook_url = ""
        self.messages: dict[str, Message] = {}
        self.numbers = itertools.count(1)

    def settings(self) -> dict[str, Any]:
        return {
            "api": f"{self.url}/{self.name}",
            "balance": self.balance,
            "senders": self.senders,
            "unreachable": self.unreachable,
            "webhook_url": self.webhook_url,
            "messages": [vars(one) for one in self.messages.values()],
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("balance", "senders", "unreachable", "webhook_url"))
        for name, value in settings.items():
            setattr(self, name, value)

    def take(self, number: str, phone: str, text: str) -> Message:
        """It is paid for and goes on its way."""
        message = Message(number, phone, text, self.queued)
        self.messages[number] = message
        self.balance -= cost_of(text)
        self.timeline.at(ON_THE_WAY_SECONDS, lambda: self._becomes(message, self.under_way))
        self.timeline.at(
            DELIVERY_SECONDS,
            lambda: self._becomes(message, self.expired if phone in self.unreachable else self.delivered),
        )
        return message

    def _becomes(self, message: Message, state: int) -> None:
        message.state = state
        if self.webhook_url:
            self.send(self.state_webhook(message))

    def state_webhook(self, message: Message) -> VendorWebhook:
        """What it tells of a message's state."""
        raise NotImplementedError


def cost_of(text: str) -> float:
    """Every part costs the same."""
    return PART_COST * parts_of(text)


def parts_of(text: str) -> int:
    return 1 if len(text) <= ALONE else -(-len(text) // PART)


def _is_mobile(phone: str) -> bool:
    return phone.isdigit() and len(phone) == 11 and phone.startswith("79")


class SmsRuStandIn(SmsStandIn):
    """SMS.ru (integrations-2, §7): «OK» of the whole may stand beside «ERROR» of a number."""

    name = "smsru"
    title = "SMS.ru"
    queued, under_way, delivered, expired = 100, 102, 103, 104

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.api_id = "00000000-TEST-TEST-TEST-000000000000"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "api_id": self.api_id}

    def limited(self) -> ResponseReturnValue:
        return jsonify(_ru_error(220, "Сервис временно недоступен"))

    def unauthorised(self) -> ResponseReturnValue:
        return jsonify(_ru_error(200, "Неправильный api_id"))

    def is_accepted(self, status: int, answer: str) -> bool:
        return status == 200 and answer.strip() == "100"

    repeats = (60.0, 60.0, 60.0)

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            return None if request.values.get("api_id") == self.api_id else self.unauthorised()

        @routes.post("/my/balance")
        def balance() -> ResponseReturnValue:
            return jsonify(status="OK", status_code=100, balance=self.balance)

        @routes.post("/sms/send")
        def send() -> ResponseReturnValue:
            return self._send(is_price=False)

        @routes.post("/sms/cost")
        def cost() -> ResponseReturnValue:
            return self._send(is_price=True)

        @routes.route("/sms/status", methods=["GET", "POST"])
        def status() -> ResponseReturnValue:
            wanted = [one.strip() for one in request.values.get("sms_id", "").split(",")]
            return jsonify(status="OK", status_code=100, sms={number: self._state(number) for number in wanted})

    def _send(self, *, is_price: bool) -> ResponseReturnValue:
        given = request.form
        if given.get("from") and self.senders and given["from"] not in self.senders:
            return jsonify(_ru_error(204, "Имя отправителя не согласовано"))
        text, phones = given.get("msg", ""), [one.strip() for one in given.get("to", "").split(",") if one.strip()]
        rows = {phone: self._row(phone, text, is_price or given.get("test") == "1", is_price) for phone in phones}
        return jsonify(status="OK", status_code=100, balance=self.balance, sms=rows)

    def _row(self, phone: str, text: str, is_free: bool, is_price: bool) -> dict[str, Any]:
        if not text:
            return _ru_error(203, "Нет текста сообщения")
        if parts_of(text) > MOST_PARTS:
            return _ru_error(205, "Сообщение слишком длинное")
        if not _is_mobile(phone):
            return _ru_error(202, "Неправильно указан получатель")
        cost = {"cost": f"{cost_of(text):.2f}", "sms": parts_of(text)}
        if is_price:
            return {"status": "OK", "status_code": 100, **cost}
        if not is_free and self.balance < cost_of(text):
            return _ru_error(201, "Не хватает средств")
        number = f"{next(self.numbers):06d}-000001"
        if not is_free:
            self.take(number, phone, text)
        return {"status": "OK", "status_code": 100, "sms_id": number, **cost}

    def _state(self, number: str) -> dict[str, Any]:
        message = self.messages.get(number)
        if message is None:
            return _ru_error(-1, "Сообщение не найдено")
        return {"status": "OK", "status_code": message.state}

    def state_webhook(self, message: Message) -> VendorWebhook:
        entry = f"sms_status\n{message.id}\n{message.state}\n{int(self.timeline.now())}"
        proof = hashlib.sha256(f"{self.api_id}{entry}".encode()).hexdigest()
        body = urlencode({"data[0]": entry, "hash": proof}).encode()
        return VendorWebhook("sms_status", self.webhook_url, body, FORM)


def _ru_error(code: int, words: str) -> dict[str, Any]:
    return {"status": "ERROR", "status_code": code, "status_text": words}


class SmscStandIn(SmsStandIn):
    """SMSC's fmt=3 (integrations, §4): our own number of a message is its number there."""

    name = "smsc"
    title = "SMSC"
    queued, under_way, delivered, expired = -1, 0, 1, 3

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.login, self.password, self.word = "agency", "smsc-test-password", "smsc-test-word"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "login": self.login, "password": self.password, "word": self.word}

    def limited(self) -> ResponseReturnValue:
        return jsonify(error="duplicate request, wait a minute", error_code=9)

    def unauthorised(self) -> ResponseReturnValue:
        return jsonify(error="authorise error", error_code=2)

    def actions(self) -> tuple[ClientAction, ...]:
        fields = (ActionField("phone", "Телефон", "79000000001"), ActionField("text", "Слова", "Перезвоните мне"))
        return (ClientAction("answer", "Ответить на SMS", fields, self._answer),)

    def register(self, routes: Blueprint) -> None:
        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            is_known = (request.values.get("login"), request.values.get("psw")) == (self.login, self.password)
            return None if is_known else self.unauthorised()

        @routes.post("/sys/balance.php")
        def balance() -> ResponseReturnValue:
            return jsonify(balance=f"{self.balance:.2f}")

        @routes.post("/sys/send.php")
        def send() -> ResponseReturnValue:
            return self._send(request.form)

        @routes.post("/sys/status.php")
        def status() -> ResponseReturnValue:
            message = self.messages.get(request.form.get("id", ""))
            if message is None or message.phone != request.form.get("phone"):
                return jsonify(error="id not found", error_code=3, status=-3)
            return jsonify(status=message.state, last_date="", last_timestamp=int(self.timeline.now()))

    def _send(self, given: Mapping[str, str]) -> ResponseReturnValue:
        phone, text = given.get("phones", ""), given.get("mes", "")
        if not phone or not text:
            return jsonify(error="parameters error", error_code=1)
        if given.get("sender") and self.senders and given["sender"] not in self.senders:
            return jsonify(error="message is denied", error_code=6)
        if not _is_mobile(phone):
            return jsonify(error="invalid number", error_code=7)
        told: dict[str, Any] = {"cnt": parts_of(text), "cost": f"{cost_of(text):.2f}"}
        if given.get("cost") == "1":
            return jsonify(told)
        if self.balance < cost_of(text):
            return jsonify(error="no money", error_code=3)
        number = given.get("id") or str(next(self.numbers))
        # Two messages of one number are two messages; the second one has the number with a mark.
        kept = number if number not in self.messages else f"{number}+{next(self.numbers)}"
        self.take(kept, phone, text)
        return jsonify({"id": int(number) if number.isdigit() else number, **told, "balance": f"{self.balance:.2f}"})

    def _answer(self, given: Mapping[str, str]) -> str:
        if not self.webhook_url:
            raise ValueError("сначала впишите адрес вебхука")
        fields = {
            "id": str(next(self.numbers)), "phone": given["phone"], "mes": given["text"], "to": "79990000000",
            "time": str(int(self.timeline.now())),
        }  # fmt: skip
        self.send(VendorWebhook("answer", self.webhook_url, urlencode(fields).encode(), FORM))
        return "Клиент ответил на SMS"

    def state_webhook(self, message: Message) -> VendorWebhook:
        fields = {"id": message.id, "phone": message.phone, "status": str(message.state)}
        proof = hashlib.md5(":".join([*fields.values(), self.word]).encode(), usedforsecurity=False).hexdigest()
        body = {**fields, "time": str(int(self.timeline.now())), "err": "0", "md5": proof}
        return VendorWebhook("sms_status", self.webhook_url, urlencode(body).encode(), FORM)
