"""Fourth story of the demo: a client asks by site, VK and telephone; one contact, one deal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from uuid import uuid4

import requests

from amo_bridge.channels.telephony import zadarma_signature
from amo_bridge.config.model import Config
from amo_bridge.demo.stories import MANAGER, Act, Scene, Story, expect, sees_stage, sees_task
from amo_bridge.intake.repository import IntakeAddresses

SECRETS: Mapping[str, str] = {
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "demo-tilda-key",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "demo-vk-secret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "demo-vk-code",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "demo-zadarma-secret",
}
"""What the demo gives the bridge, so that the vendors' requests can be proven."""
VENDORS = ("tilda", "vk", "zadarma")
NAME, PHONE, OURS = "Вера Лаврова", "+79005550142", "74950000001"
ON_THE_SITE, BY_VK = "Хотим чай для офиса, сколько стоит?", f"Здравствуйте, это Вера, писала на сайте. {PHONE}"


class Client:
    """A client and the vendors by which he reaches us; each request is sent twice, as vendors may.

    ``addresses``: vendor → the bridge's address for it. ``secrets``: see SECRETS."""

    def __init__(self, addresses: Mapping[str, str], secrets: Mapping[str, str] = SECRETS) -> None:
        self._addresses = addresses
        self._secrets = secrets

    @classmethod
    def of(cls, config: Config, environment: Mapping[str, str], bridge: str) -> Client | None:
        """None if the config has not all of the vendors switched on."""
        paths = {one.vendor.name: one.path for one in IntakeAddresses(config, environment).all()}
        return cls({name: f"{bridge}{path}" for name, path in paths.items()}) if paths.keys() >= {*VENDORS} else None

    def fill_form(self, text: str) -> None:
        """On the agency's site, made with Tilda."""
        form = {"Name": NAME, "Phone": PHONE, "Comments": text, "tranid": f"{uuid4().hex}:1", "formname": "Заявка"}
        self._post("tilda", form, {"X-Key": self._secrets["AMO_BRIDGE_INTAKE_TILDA_KEY"]})

    def write_by_vk(self, text: str) -> None:
        """A message to the community."""
        message = {"from_id": 9000142, "peer_id": 9000142, "id": uuid4().int % 10**6, "text": text}
        event = {"type": "message_new", "event_id": uuid4().hex, "group_id": 1, "object": {"message": message}}
        body = json.dumps({**event, "secret": self._secrets["AMO_BRIDGE_INTAKE_VK_SECRET"]}).encode()
        self._post("vk", body, {"Content-Type": "application/json"})

    def call_in_vain(self) -> None:
        """Nobody answers: the exchange tells the beginning and the end of the call."""
        start = "2027-04-05 12:00:00"
        fields = {"caller_id": PHONE, "called_did": OURS, "call_start": start, "pbx_call_id": f"in_{uuid4().hex}"}
        secret = self._secrets["AMO_BRIDGE_INTAKE_ZADARMA_SECRET"]
        signed = {"Signature": zadarma_signature(secret, f"{PHONE}{OURS}{start}")}
        self._post("zadarma", {"event": "NOTIFY_START", **fields}, signed)
        ended = {"event": "NOTIFY_END", **fields, "duration": "0", "disposition": "no answer"}
        self._post("zadarma", ended, signed)

    def _post(self, vendor: str, body: bytes | Mapping[str, str], headers: Mapping[str, str]) -> None:
        for _ in range(2):
            requests.post(self._addresses[vendor], data=body, headers=dict(headers), timeout=60).raise_for_status()


def _fills_form(scene: Scene) -> None:
    assert scene.client is not None
    scene.client.fill_form(ON_THE_SITE)


def _writes(scene: Scene) -> None:
    assert scene.client is not None
    scene.client.write_by_vk(BY_VK)


def _calls(scene: Scene) -> None:
    assert scene.client is not None
    scene.client.call_in_vain()


def _sees_one(scene: Scene, notes: int) -> Iterator[str]:
    """One contact, one deal, so many notes with the client's words."""
    found = [deal for deal in scene.office.deals_on("Продажи / Новый клиент") if deal["name"].startswith(NAME)]
    yield expect(len(found) == 1, f"одна сделка «{NAME}, Тильда»")
    scene.deal = found[0]["id"]
    people = scene.office.contacts_named(NAME)
    own = [contact["id"] for contact in found[0]["_embedded"]["contacts"]]
    yield expect(len(people) == 1 and own == people, "один контакт")
    words = [note for note in scene.office.notes(scene.deal) if "Обращение" in note]
    yield expect(len(words) == notes, f"примечаний с обращениями: {notes}")
    yield sees_stage(scene, "Продажи / Новый клиент")


def _sees_form(scene: Scene) -> Iterator[str]:
    yield from _sees_one(scene, 1)
    yield expect(any(ON_THE_SITE in note for note in scene.office.notes(scene.deal)), "её слова с сайта")
    yield sees_task(scene, "Связаться и взять в работу", MANAGER)


def _sees_message(scene: Scene) -> Iterator[str]:
    yield from _sees_one(scene, 2)
    yield expect(any(BY_VK in note for note in scene.office.notes(scene.deal)), "её слова ВКонтакте")
    yield sees_task(scene, "Клиент обратился снова", MANAGER)


def _sees_call(scene: Scene) -> Iterator[str]:
    yield from _sees_one(scene, 2)
    yield sees_task(scene, "Перезвонить: клиент не дозвонился", MANAGER)


ENQUIRIES = "A1–A6"
ENQUIRY_STORY = Story(
    "Обращения: один человек, три способа",
    (
        Act(f"{NAME} заполнила форму на сайте", _fills_form, _sees_form, 1, (ENQUIRIES, "A10")),
        Act("Написала в сообщество ВКонтакте", _writes, _sees_message, 2, (ENQUIRIES,)),
        Act("Позвонила, никто не ответил", _calls, _sees_call, 3, (ENQUIRIES,)),
    ),
)
