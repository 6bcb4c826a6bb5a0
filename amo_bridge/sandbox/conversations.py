"""Letters and chat messages between clients and people, which pass by the API.

``POST /sandbox/ui/…`` with a JSON object that names the person as ``user_id`` (0: the client, or a robot).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox import notes
from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.entities import SINGULAR, find
from amo_bridge.sandbox.http import Refused, hal
from amo_bridge.sandbox.people import sent_by_person
from amo_bridge.sandbox.record_lists import RecordList, register_lists
from amo_bridge.sandbox.validation import Reader
from amo_bridge.sandbox.world import World

ELEMENT_TYPES = {"leads": 2, "contacts": 1}


CHATS = RecordList(
    name="chats",
    path="contacts/chats",
    kinds={"contact_id": int, "chat_id": str},
    required=("contact_id", "chat_id"),
    calls=frozenset({"list", "add"}),
    read_more=lambda reader, known, where: _known_contact(reader),
    filters=("contact_id", "chat_id"),
)
"""Which chat of a messenger is whose. The chats themselves live in a service of their own, which the sandbox lacks."""


def _known_contact(reader: Reader) -> dict[str, Any]:
    if "contact_id" in reader and find(reader.world, "contacts", reader.body["contact_id"]) is None:
        reader.not_a_choice("contact_id")
    return {}


def register(app: Flask, world: World) -> None:
    register_lists(app, world, CHATS)

    @app.post("/sandbox/ui/<any(incoming, outgoing):way>_mail")
    def letter(way: str) -> Response:
        """``{user_id, entity_type, entity_id, from_email, from_name, to_email, subject, summary, attachments}``.

        A letter arrives on a card, or is sent from it: a note and an event, and no webhook at all.
        """
        sent = sent_by_person(world, "entity_type", "entity_id", "from_email")
        if find(world, str(sent["entity_type"]), sent["entity_id"]) is None:
            raise Refused(404, "Entity not found")
        params = _letter(world, sent, is_incoming=way == "incoming")
        note = notes.add(world, sent["entity_type"], sent["entity_id"], "amomail_message", params, sent["user_id"])
        return hal({"id": note["id"]})

    @app.post("/sandbox/ui/<any(incoming, outgoing):way>_message")
    def message(way: str) -> Response:
        """``{user_id, contact_id, lead_id, text}``: a message in a messenger's chat. ``lead_id`` may be missing."""
        sent = sent_by_person(world, "contact_id")
        if find(world, "contacts", sent["contact_id"]) is None:
            raise Refused(404, "Entity not found")
        record = _message(world, sent, way)
        change = Change("messages", "add", record["contact_id"], None, record, sent["user_id"], world.clock.now())
        world.record(change)
        return hal({"id": record["id"]})


def _letter(world: World, sent: Mapping[str, Any], *, is_incoming: bool) -> dict[str, Any]:
    """As in the note that amoCRM makes of a letter; neither its body nor its files are there."""
    number = world.next_id("letters")
    return {
        "thread_id": sent.get("thread_id", number),
        "message_id": sent.get("message_id", number),
        "private": False,
        "income": is_incoming,
        "from": {"email": sent["from_email"], "name": sent.get("from_name", "")},
        "to": {"email": sent.get("to_email", "info@agency.example"), "name": ""},
        "subject": sent.get("subject", ""),
        "content_summary": sent.get("summary", ""),
        "attach_cnt": sent.get("attachments", 0),
        "delivery": None,
    }


def _message(world: World, sent: Mapping[str, Any], way: str) -> dict[str, Any]:
    """As in a captured ``message[add]`` hook.

    The ids are uuids that a number makes, so that a run can be repeated.
    """
    number = world.next_id("messages")
    kind, card = ("leads", sent["lead_id"]) if sent.get("lead_id") else ("contacts", sent["contact_id"])
    contact = world.table("contacts")[sent["contact_id"]]
    return {
        "id": _uuid(f"message {number}"),
        "chat_id": _uuid(f"chat {sent['contact_id']}"),
        "talk_id": sent["contact_id"],
        "contact_id": sent["contact_id"],
        "text": sent.get("text", ""),
        "created_at": world.clock.now(),
        "element_type": ELEMENT_TYPES[kind],
        "entity_type": SINGULAR[kind],
        "element_id": card,
        "entity_id": card,
        "type": way,
        "author": _author(sent, contact, way),
        "origin": "telegram",
    }


def _author(sent: Mapping[str, Any], contact: Mapping[str, Any], way: str) -> dict[str, Any]:
    if way == "incoming":
        return {"id": _uuid(f"client {contact['id']}"), "type": "external", "name": contact["name"]}
    return {"id": _uuid(f"user {sent['user_id']}"), "type": "internal", "user_id": sent["user_id"]}


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))
