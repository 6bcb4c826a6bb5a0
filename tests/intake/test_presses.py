"""Presses of buttons under the bridge's messages: what a webhook says, once, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT
from support.vendor_requests import SECRETS, post

from amo_bridge.intake.channel_reports import takes_press
from amo_bridge.intake.model import ButtonPress, NoEnquiry, StaffReply
from amo_bridge.intake.reception import Reception
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import approval_presses


def telegram(**update: Any) -> Reception:
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRETS["telegram_staff_secret_token"]}
    return post("telegram_staff", {"update_id": 9, **update}, headers=headers)


def from_max(**update: Any) -> Reception:
    return post("max_staff", update, headers={"X-Max-Bot-Api-Secret": SECRETS["max_staff_secret"]})


PRESSED = {
    "id": "4382bfdwdsb323b2d9",
    "from": {"id": 11, "is_bot": False, "first_name": "Елена"},
    "message": {"message_id": 77, "chat": {"id": -100500, "type": "supergroup"}, "text": "Согласовать КП"},
    "data": "ap:5:y",
}
CALLBACK = {"callback_id": "f9LHodD0", "payload": "ap:5:n", "user": {"user_id": 12, "first_name": "Елена"}}


def test_a_press_in_telegram() -> None:
    (press,) = telegram(callback_query=PRESSED).outcomes
    assert press == ButtonPress(
        source="telegram", key="update:9", person=11, chat_id=-100500, message="77", press="4382bfdwdsb323b2d9",
        data="ap:5:y",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("recipient", "chat_id"),
    [({"chat_id": 182, "chat_type": "dialog", "user_id": 12}, 12), ({"chat_id": -55, "chat_type": "chat"}, -55)],
)
def test_a_press_in_max(recipient: dict[str, Any], chat_id: int) -> None:
    message = {"recipient": recipient, "body": {"mid": "mid.1", "text": "Согласовать КП"}}
    (press,) = from_max(update_type="message_callback", callback=CALLBACK, message=message).outcomes
    assert press == ButtonPress(
        source="max", key="press:f9LHodD0", person=12, chat_id=chat_id, message="mid.1", press="f9LHodD0",
        data="ap:5:n",
    )  # fmt: skip


ANSWER = {"message_id": 8, "from": {"id": 11}, "chat": {"id": 11, "type": "private"}, "text": "Прозвонить 80"}
ANSWERED = {"reply_to_message": {"message_id": 77, "chat": {"id": 11, "type": "private"}}}


@pytest.mark.parametrize("kind", ["message", "edited_message"])
def test_an_answer_in_words_in_telegram(kind: str) -> None:
    (reply,) = telegram(**{kind: {**ANSWER, **ANSWERED}}).outcomes
    assert reply == StaffReply(
        source="telegram", key="update:9", person=11, chat_id=11, message="77", text="Прозвонить 80", is_private=True
    )


@pytest.mark.parametrize("kind", ["message_created", "message_edited"])
def test_an_answer_in_words_in_max(kind: str) -> None:
    message = {
        "sender": {"user_id": 12}, "recipient": {"chat_id": 182, "chat_type": "dialog"},
        "body": {"mid": "mid.9", "text": "Прозвонить 80"}, "link": {"type": "reply", "message": {"mid": "mid.1"}},
    }  # fmt: skip
    (reply,) = from_max(update_type=kind, timestamp=5, message=message).outcomes
    assert reply == StaffReply(
        source="max", key=f"{kind}:mid.9:5", person=12, chat_id=12, message="mid.1", text="Прозвонить 80",
        is_private=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "reception",
    [
        telegram(message={"message_id": 1, "chat": {"id": 11, "type": "private"}, "text": "/start"}),
        telegram(),
        from_max(update_type="bot_started", chat_id=1, user={"user_id": 12}, timestamp=5),
        from_max(update_type="message_created", message={"body": {"mid": "mid.2", "text": "привет"}}),
    ],
)
def test_what_colleagues_write_is_no_enquiry(reception: Reception) -> None:
    (outcome,) = reception.outcomes
    assert isinstance(outcome, NoEnquiry)
    assert "номер для [people]" in outcome.reason
    assert reception.kind == "accepted"


def test_a_press_is_kept_once_however_often_it_is_delivered(store: Store) -> None:
    own = AccountStore(store, ACCOUNT)
    (press,) = telegram(callback_query=PRESSED).outcomes
    assert isinstance(press, ButtonPress)
    with store.write() as connection:
        assert [takes_press(connection, own, press, at) for at in (1.0, 2.0)] == [True, False]
    with store.read() as connection:
        (row,) = connection.execute(select(approval_presses)).all()
    assert json.loads(row.body)["data"] == "ap:5:y"
    assert row.done_at is None
