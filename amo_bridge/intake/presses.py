"""Buttons that colleagues press under messages of the bridge, and their answers to these in words.

The bots are those of ``[telegram]`` and ``[max]``; what else comes to them is no enquiry. Assumed: a message of MAX
names the one that it answers in ``link`` (``type`` «reply», ``message.mid``), and an edited one comes as
``message_edited`` in the same form.
"""

from __future__ import annotations

from typing import Any

from amo_bridge.intake.model import ButtonPress, NoEnquiry, Outcomes, StaffReply
from amo_bridge.intake.request import VendorRequest, VendorSettings, integer, json_of, object_at, text_at

TELEGRAM_STAFF_SECRET = "telegram_staff_secret_token"
MAX_STAFF_SECRET = "max_staff_secret"
NOT_A_PRESS = "сообщение боту для своих, не обращение; номер для [people]: {}"


def of_telegram_staff(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """One update a request."""
    document = json_of(request)
    key = f"update:{text_at(document, 'update_id')}"
    pressed = object_at(document, "callback_query")
    if not pressed:
        message = object_at(document, "message") or object_at(document, "edited_message")
        chat = object_at(message, "chat")
        if answered := text_at(message, "reply_to_message", "message_id"):
            return [
                StaffReply(
                    source="telegram",
                    key=key,
                    person=integer(text_at(message, "from", "id")),
                    chat_id=integer(text_at(chat, "id")),
                    message=answered,
                    text=text_at(message, "text"),
                    is_private=text_at(chat, "type") == "private",
                )
            ]
        name = text_at(chat, "title") or text_at(chat, "first_name")
        return [NoEnquiry(NOT_A_PRESS.format(f"{text_at(chat, 'id')} {name}".strip() or "нет"), key=key)]
    return [
        ButtonPress(
            source="telegram",
            key=key,
            person=integer(text_at(pressed, "from", "id")),
            chat_id=integer(text_at(pressed, "message", "chat", "id")),
            message=text_at(pressed, "message", "message_id"),
            press=text_at(pressed, "id"),
            data=text_at(pressed, "data"),
        )
    ]


def of_max_staff(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """By ``update_type``."""
    document = json_of(request)
    kind = text_at(document, "update_type")
    if kind in ("message_created", "message_edited") and text_at(document, "message", "link", "type") == "reply":
        return [_reply_in_max(kind, document)]
    if kind != "message_callback":
        mid = text_at(document, "message", "body", "mid") or text_at(document, "chat_id")
        user = object_at(document, "user") or object_at(document, "message", "sender")
        name = f"{text_at(user, 'user_id')} {text_at(user, 'first_name')}".strip()
        key = f"{kind}:{mid}:{text_at(document, 'timestamp')}"
        return [NoEnquiry(NOT_A_PRESS.format(name or "нет"), key=key)]
    pressed = object_at(document, "callback")
    person = integer(text_at(pressed, "user", "user_id"))
    return [
        ButtonPress(
            source="max",
            key=f"press:{text_at(pressed, 'callback_id')}",
            person=person,
            chat_id=_chat_in_max(document, person),
            message=text_at(document, "message", "body", "mid"),
            press=text_at(pressed, "callback_id"),
            data=text_at(pressed, "payload"),
        )
    ]


def _reply_in_max(kind: str, document: Any) -> StaffReply:
    message = object_at(document, "message")
    person = integer(text_at(message, "sender", "user_id"))
    told = (text_at(message, "body", "mid"), text_at(document, "timestamp"))
    return StaffReply(
        source="max",
        key=f"{kind}:{':'.join(told)}",
        person=person,
        chat_id=_chat_in_max(document, person),
        message=text_at(message, "link", "message", "mid"),
        text=text_at(message, "body", "text"),
        is_private=text_at(message, "recipient", "chat_type") != "chat",
    )


def _chat_in_max(document: Any, person: int) -> int:
    """A talk with one person is told by its own number; it is written to by the person's."""
    recipient = object_at(document, "message", "recipient")
    return integer(text_at(recipient, "chat_id")) if text_at(recipient, "chat_type") == "chat" else person
