"""Vendors' reports about what was sent: an SMS, a letter, a call of auto-dial, a press of a button.

Each is handed to its channel, in the transaction that keeps the request. Reading the requests themselves needs neither
channels nor the store.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from amo_bridge.channels.dial_log import EndedCall, report_call
from amo_bridge.channels.mail import address_key, usable
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.presses import Press, Reply, keep_press
from amo_bridge.channels.sms import report_sms
from amo_bridge.channels.sms_services import SmsReport
from amo_bridge.clock import Clock
from amo_bridge.intake.model import ButtonPress, DeliveryStatus, PbxCall, StaffReply
from amo_bridge.storage.database import AccountStore

_OUTBOX_ID = re.compile(r"[0-9]{1,18}")


def settles_sms(connection: Connection, store: AccountStore, status: DeliveryStatus, received_at: float) -> bool:
    """Tell the channel of SMS what became of a message; False if it is none of its own."""
    if status.source not in ("smsru", "smsc") or not status.vendor_id:
        return False
    failed = status.state in ("failed", "bounced")
    report = SmsReport(
        "failed" if failed else "delivered" if status.state in ("delivered", "read", "clicked") else "sent"
    )
    words = replace(report, words=status.reason)
    now = datetime.fromtimestamp(received_at, UTC)
    return report_sms(connection, store, status.source, status.vendor_id, words, now)


def settles_letter(connection: Connection, store: AccountStore, status: DeliveryStatus, clock: Clock) -> bool:
    """Tell the channel of letters what became of one; False if it is none of its own: both the number and the address
    have to be."""
    address = usable(status.address or "")
    if status.source != "unisender_go" or address is None or not _OUTBOX_ID.fullmatch(status.outbox_id or ""):
        return False
    if status.state == "queued":
        return False
    return MailMemory(store, clock).report(
        connection,
        int(status.outbox_id or 0),
        address_key(store.account_id, address),
        status.state,
        vendor_id=status.vendor_id or "",
        words=status.reason,
    )


def settles_dial(connection: Connection, account_id: int, call: PbxCall, received_at: float) -> bool:
    """Tell auto-dial of a call that has ended; False if it is none of its own."""
    if call.direction != "out":
        return False
    ended = EndedCall(
        key=call.key,
        ref=call.external_id or "",
        phone=call.phone,
        extension=call.extension,
        talked=call.talked,
        seconds=call.duration,
        words=call.reason,
    )
    return report_call(connection, account_id, ended, datetime.fromtimestamp(received_at, UTC))


def takes_press(connection: Connection, store: AccountStore, press: ButtonPress, received_at: float) -> bool:
    """Hand a press to whoever has asked; False if it has come before."""
    told = Press(
        way="telegram" if press.source == "telegram" else "max",
        person=press.person,
        chat_id=press.chat_id,
        message=press.message,
        press=press.press,
        data=press.data,
    )
    return keep_press(connection, store, f"{press.source}:{press.key}", told, received_at)


def takes_reply(connection: Connection, store: AccountStore, reply: StaffReply, received_at: float) -> bool:
    """Hand an answer in words to what was answered; False if it has come before."""
    told = Reply(
        way="telegram" if reply.source == "telegram" else "max",
        person=reply.person,
        chat_id=reply.chat_id,
        message=reply.message,
        text=reply.text,
        is_private=reply.is_private,
    )
    return keep_press(connection, store, f"{reply.source}:{reply.key}", told, received_at)
