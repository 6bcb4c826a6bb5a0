"""Trial enquiries: a request as a vendor would send it, proven by the vendor's own secret.

It goes the whole way, so that an administrator sees what his rules do. All trials come from one made-up person without
a phone: the second one becomes a note on the deal of the first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from amo_bridge.intake import chats, sites, social
from amo_bridge.intake.reception import Reception, Vendor, receive
from amo_bridge.intake.request import VendorRequest, VendorSettings

NAME = "Пробное Обращение"
# Nobody gets letters there (RFC 2606).
MAIL = "trial@example.com"
TEXT = "Это пробное обращение со страницы моста. Контакт и сделку можно удалить."
_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
_JSON = {"Content-Type": "application/json"}
_PERSON = 1_000_000_007
Parts = tuple[bytes, Mapping[str, str]]
"""The body and the headers of a request."""


def trial_request(vendor: Vendor, settings: VendorSettings, now: datetime) -> tuple[VendorRequest, Reception]:
    """A request of this vendor and how it was judged; each differs from the ones before.

    Raises KeyError for a vendor that has none.
    """
    number = secrets.randbelow(2**31)
    body, headers = TRIAL_VENDORS[vendor.name](settings, number, now)
    request = VendorRequest("POST", body, "", headers, received_at=now.timestamp())
    return request, receive(vendor, request, settings, path_secret=None)


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Parts:
    return json.dumps(document, ensure_ascii=False).encode(), {**_JSON, **(headers or {})}


def _form(settings: VendorSettings, number: int, now: datetime) -> Parts:
    """Under the names that the config gives the fields; the word of ours goes along."""
    names = {what: settings.fields.get(what, what) for what in ("name", "email", "text")}
    fields = {names["name"]: NAME, names["email"]: MAIL, names["text"]: f"{TEXT} № {number}"}
    word = settings.secrets.get(sites.FORM_WORD, "")
    headers = {**_FORM, **({"X-Bridge-Word": word} if word else {})}
    if settings.origins:
        headers["Origin"] = settings.origins[0]
    if settings.began_field:
        opened_at = int(now.timestamp()) - settings.least_seconds - 1
        fields[settings.began_field] = str(opened_at)
    return urlencode(fields).encode(), headers


def _tilda(settings: VendorSettings, number: int, _now: datetime) -> Parts:
    names = {what: settings.fields.get(what, what.capitalize()) for what in ("name", "email")}
    fields = {names["name"]: NAME, names["email"]: MAIL, settings.fields.get("text", "Comments"): TEXT}
    fields |= {"tranid": f"trial:{number}", "formid": "trial", "formname": "Пробное обращение"}
    if key := settings.secrets.get(sites.TILDA_KEY, ""):
        fields["api_key"] = key
    return urlencode(fields).encode(), _FORM


def _mapped(settings: VendorSettings, number: int, _now: datetime) -> Parts:
    """JSON in which everything lies where the config says: «client.name» is a name in a client."""
    document: dict[str, Any] = {}
    values = {"name": NAME, "email": MAIL, "text": f"{TEXT} № {number}", "key": str(number)}
    for what, value in values.items():
        *way, last = settings.fields.get(what, what).split(".")
        place = document
        for step in way:
            place = place.setdefault(step, {})
        place[last] = value
    word = settings.secrets.get(sites.FORM_WORD, "")
    return _json(document, {"X-Bridge-Word": word} if word else {})


def _jivo(_settings: VendorSettings, number: int, _now: datetime) -> Parts:
    visitor = {"name": NAME, "email": MAIL, "number": str(_PERSON)}
    offline = {"event_name": "offline_message", "offline_message_id": str(number), "visitor": visitor, "message": TEXT}
    return _json(offline)


def _vk(settings: VendorSettings, number: int, now: datetime) -> Parts:
    message = {"from_id": _PERSON, "peer_id": _PERSON, "id": number, "date": int(now.timestamp()), "text": TEXT}
    event = {"type": "message_new", "event_id": f"trial-{number}", "group_id": settings.group or 1}
    return _json({**event, "secret": settings.secrets.get(social.VK_SECRET, ""), "object": {"message": message}})


def _telegram(settings: VendorSettings, number: int, now: datetime) -> Parts:
    sender = {"id": _PERSON, "is_bot": False, "first_name": NAME}
    message = {"message_id": number, "date": int(now.timestamp()), "text": TEXT, "from": sender}
    update = {"update_id": number, "message": {**message, "chat": {"id": _PERSON, "type": "private"}}}
    return _json(update, {chats.TELEGRAM_HEADER: settings.secrets.get(chats.TELEGRAM_SECRET, "")})


def _max(settings: VendorSettings, number: int, now: datetime) -> Parts:
    sender = {"user_id": _PERSON, "name": NAME, "is_bot": False}
    body = {"mid": f"trial-{number}", "text": TEXT}
    message = {"sender": sender, "body": body, "recipient": {"chat_id": _PERSON, "chat_type": "dialog"}}
    update = {"update_type": "message_created", "timestamp": int(now.timestamp() * 1000), "message": message}
    return _json(update, {chats.MAX_HEADER: settings.secrets.get(chats.MAX_SECRET, "")})


TRIAL_VENDORS: Mapping[str, Callable[[VendorSettings, int, datetime], Parts]] = {
    "html": _form,
    "elementor": _form,
    "cf7": _form,
    "tilda": _tilda,
    "mapped": _mapped,
    "jivo": _jivo,
    "vk": _vk,
    "telegram": _telegram,
    "max": _max,
}
"""Vendor → what it would send. Who telephones or advertises can't be imitated without his own account."""
