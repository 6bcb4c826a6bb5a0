"""The agency's site: a form of its own and one of Tilda, which post to the bridge."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import ActionField, ClientAction, StandIn, VendorWebhook, known_settings

FORM = "application/x-www-form-urlencoded; charset=utf-8"


class SiteStandIn(StandIn):
    """``webhook_url``: the bridge's address ``html``; ``tilda_url``: its address ``tilda``, with its key."""

    name = "site"
    title = "Сайт: своя форма и Тильда"
    hint = "Впишите адреса html и tilda из amo-bridge intake addresses; origin должен быть в [intake.html] origins."
    pasted = ("webhook_url", "tilda_url", "tilda_key", "origin")
    # Tilda tries twice more, a minute apart; a form of one's own is sent once.
    repeats = (60, 60)

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.webhook_url = self.tilda_url = ""
        self.origin, self.tilda_key = "https://agency.example", "tilda-test-key"
        self._numbers = itertools.count(1)

    def settings(self) -> dict[str, Any]:
        return {
            "webhook_url": self.webhook_url,
            "tilda_url": self.tilda_url,
            "tilda_key": self.tilda_key,
            "origin": self.origin,
        }

    def configure(self, settings: Mapping[str, Any]) -> None:
        """A new address of Tilda's is tested at once, as its cabinet does."""
        known_settings(settings, ("webhook_url", "tilda_url", "tilda_key", "origin"))
        for name, value in settings.items():
            setattr(self, name, value)
        if settings.get("tilda_url"):
            form = urlencode({"test": "test", "api_key": self.tilda_key})
            status, answer = self.post(VendorWebhook("test", self.tilda_url, form.encode(), {"Content-Type": FORM}))
            if status != 200:
                raise ValueError(f"Тильда не сохранила адрес: {status or 'не отвечает'} {answer[:80]}")

    def register(self, routes: Blueprint) -> None:
        """A site has no API."""

    def is_accepted(self, status: int, answer: str) -> bool:
        return status in (200, 303)

    def actions(self) -> tuple[ClientAction, ...]:
        fields = (
            ActionField("name", "имя", "Вера Тестова"),
            ActionField("phone", "телефон", "8 900 000-00-41"),
            ActionField("email", "почта", "vera@example.com"),
            ActionField("text", "что нужно", "Хочу бриф", is_long=True),
        )
        return (
            ClientAction("form", "Заполнить форму сайта", fields, self._own),
            ClientAction("tilda", "Заполнить форму на Тильде", fields, self._tilda),
        )

    def _own(self, fields: Mapping[str, str]) -> str:
        if not self.webhook_url:
            raise ValueError("адрес html не вписан")
        body = {"name": fields.get("name", ""), "phone": fields.get("phone", ""), "email": fields.get("email", "")}
        form = {**body, "message": fields.get("text", ""), "website": ""}
        headers = {"Content-Type": FORM, "Origin": self.origin, "Referer": f"{self.origin}/"}
        status, answer = self.post(VendorWebhook("form", self.webhook_url, urlencode(form).encode(), headers))
        if status is None or not self.is_accepted(status, answer):
            raise ValueError(f"посетитель увидел ошибку: {status or 'сайт моста не отвечает'} {answer[:80]}")
        return f"посетитель увидел «спасибо» ({status})"

    def _tilda(self, fields: Mapping[str, str]) -> str:
        if not self.tilda_url:
            raise ValueError("адрес tilda не вписан")
        number = next(self._numbers)
        marks = "utm_source=yandex|||utm_campaign=brand"
        form = {
            "Name": fields.get("name", ""),
            "Phone": fields.get("phone", ""),
            "Email": fields.get("email", ""),
            "Textarea": fields.get("text", ""),
            "tranid": f"{secrets.randbelow(10**7)}:{number}",
            "formid": "form400",
            "formname": "Заявка",
            "api_key": self.tilda_key,
            "COOKIES": f"_ym_uid=1; {urlencode({'TILDAUTM': marks})}; roistat_visit=100500",
        }
        headers = {"Content-Type": FORM, "Referer": f"{self.origin}/"}
        self.send(VendorWebhook("tilda", self.tilda_url, urlencode(form).encode(), headers))
        return f"Тильда отправила заявку: {self.tilda_url}"
