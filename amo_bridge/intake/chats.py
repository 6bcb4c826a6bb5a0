"""Chats: Jivo on the site, bots of clients in Telegram, MAX and Viber."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from amo_bridge.intake.contacts import mails_in_text, note, phones_in, phones_in_text, roistat_of, utm_of
from amo_bridge.intake.model import Enquiry, EnquiryFile, NoEnquiry, Outcome, Outcomes, PbxCall
from amo_bridge.intake.request import (
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    as_text,
    integer,
    json_of,
    object_at,
    objects,
    text_at,
)
from amo_bridge.text.addresses import mails_in
from amo_bridge.text.names import same_name

# Jivo: messages left offline, finished chats, calls from the widget. It signs nothing.
#
# Answered ``{"result": "ok"}`` whatever came: its own sample of one event is not even valid JSON.

JIVO = "jivo"
_NEVER_PARSED = re.compile(rb'"event_name"\s*:\s*"client_attribute_updated"')
_JIVO_MASKED = "<Message text is not displayed here>"
_JIVO_HIDDEN = "текст скрыт"
_JIVO_UTM = ("source", "medium", "campaign", "content", "term")
_JIVO_ENDED = ("end", "error")


def of_jivo(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """By ``event_name``; what only tells of a chat's progress is skipped, its end brings everything."""
    if _NEVER_PARSED.search(request.body):
        return [NoEnquiry("у посетителя изменилось свойство: не обращение")]
    document = json_of(request)
    match text_at(document, "event_name"):
        case "offline_message":
            return [_jivo_offline(document, settings)]
        case "chat_finished":
            return [_jivo_finished(document, settings)]
        case "call_event":
            return [_jivo_call(document, settings)]
        case "chat_accepted" | "chat_assigned" | "chat_updated" as event:
            return [NoEnquiry("чат идёт: обращение заводится по его концу", key=f"{event}:{_jivo_chat(document)}")]
        case event:
            return [NoEnquiry(f"событие «{event}» Jivo не обращение")]


def _jivo_offline(document: dict[str, Any], settings: VendorSettings) -> Outcome:
    words = _jivo_shown(text_at(document, "message"), document)
    number = text_at(document, "offline_message_id")
    return _jivo_enquiry(
        document, settings, f"offline:{number}" if number else f"offline:{_jivo_chat(document)}", [words]
    )


def _jivo_finished(document: dict[str, Any], settings: VendorSettings) -> Outcome:
    chat = object_at(document, "chat")
    key = f"chat:{_jivo_chat(document)}"
    if chat.get("blacklisted") is True:
        return NoEnquiry("посетитель в чёрном списке Jivo", key=key)
    enquiry = _jivo_enquiry(document, settings, key, list(_jivo_talk(document, chat)))
    if not enquiry.phones and not enquiry.emails:
        return NoEnquiry("чат закончен, ни телефона, ни почты посетитель не оставил", key=key)
    return enquiry


def _jivo_talk(document: dict[str, Any], chat: dict[str, Any]) -> Iterator[str]:
    """The talk line by line; where the messages are masked, as plain text."""
    messages = objects(chat.get("messages"))
    if not messages or any(_JIVO_MASKED in text_at(message, "message") for message in messages):
        yield text_at(document, "plain_messages") or (_JIVO_HIDDEN if messages else "")
        return
    for message in messages:
        who = "Клиент" if text_at(message, "type") == "visitor" else "Оператор"
        if words := text_at(message, "message"):
            yield f"{who}: {words}"


def _jivo_call(document: dict[str, Any], settings: VendorSettings) -> Outcome:
    call = object_at(document, "call")
    key = f"call:{_jivo_chat(document)}"
    state, kind = text_at(call, "status"), text_at(call, "type")
    if state not in _JIVO_ENDED:
        return NoEnquiry("звонок идёт: обращение заводится по его концу", key=f"{key}:{state}")
    numbers = phones_in(text_at(call, "phone"), settings.home)
    reason = text_at(call, "reason")
    kinds = {"callback": "заказан обратный звонок", "incoming": "", "outgoing": ""}
    failed = f"не состоялся: {reason}" if reason else "не состоялся"
    return PbxCall(
        source=JIVO,
        key=key,
        direction="out" if kind == "outgoing" else "in",
        phone=numbers[0] if numbers else None,
        talked=state == "end",
        extension=None,
        record_url=text_at(call, "record_url") or None,
        reason="; ".join(filter(None, [kinds.get(kind, kind), failed if state == "error" else ""])),
        enquiry=_jivo_enquiry(document, settings, key, []),
    )


def _jivo_enquiry(document: dict[str, Any], settings: VendorSettings, key: str, words: list[str]) -> Enquiry:
    visitor, page = object_at(document, "visitor"), text_at(document, "page", "url")
    phone, email = text_at(visitor, "phone"), text_at(visitor, "email")
    own_words = "\n".join(line for line in words if not line.startswith("Оператор:"))
    phones = phones_in(phone, settings.home) if phone else phones_in_text(own_words, settings.home)
    emails = mails_in(email) if email else mails_in_text(own_words)
    token = text_at(document, "user_token")
    social = object_at(visitor, "social")
    more = [
        text_at(visitor, "description"),
        f"Тема: {text_at(document, 'topic')}" if text_at(document, "topic") else "",
        f"Страница: {page}" if page else "",
    ]
    return Enquiry(
        source=JIVO,
        key=key,
        name=text_at(visitor, "name") or None,
        phones=phones,
        emails=emails,
        text=note([*words, *more]),
        utm=_jivo_utm(document, page),
        roistat_visit=(token if token.isdigit() else "") or roistat_of(page) or None,
        profile=next((as_text(value) for value in social.values() if as_text(value)), None),
        page=page or None,
    )


def _jivo_utm(document: dict[str, Any], page: str) -> dict[str, str]:
    """By ``utm_json``, else «source=…|medium=…», else the page's address."""
    marks = object_at(document, "session", "utm_json")
    if not marks:
        pairs = (part.partition("=") for part in text_at(document, "session", "utm").split("|"))
        marks = {key.strip(): value.strip() for key, _, value in pairs if value}
    found = {f"utm_{key.removeprefix('utm_')}": as_text(value) for key, value in marks.items()}
    known = {key: value for key, value in found.items() if value and key.removeprefix("utm_") in _JIVO_UTM}
    return known or utm_of(page)


def _jivo_shown(words: str, document: dict[str, Any]) -> str:
    return (text_at(document, "plain_messages") or _JIVO_HIDDEN) if _JIVO_MASKED in words else words


def _jivo_chat(document: dict[str, Any]) -> str:
    return f"{text_at(document, 'widget_id')}:{text_at(document, 'chat_id')}"


# Telegram: what clients write to a bot of their own. Only private talks are clients.
#
# A phone is trusted only if it is the sender's own contact: anybody may send anybody's.

TELEGRAM = "telegram"
TELEGRAM_SECRET = "telegram_secret_token"
TELEGRAM_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_TELEGRAM_ATTACHMENTS = {
    "photo": "фотография", "voice": "голосовое сообщение", "video": "видео", "video_note": "видеосообщение",
    "audio": "аудио", "document": "документ", "sticker": "стикер", "animation": "анимация",
    "location": "место на карте", "venue": "место на карте", "poll": "опрос", "dice": "кубик",
}  # fmt: skip


def of_telegram(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """One update a request."""
    document = json_of(request)
    number = text_at(document, "update_id")
    key = f"update:{number}" if number else ""
    message = document.get("message")
    if not isinstance(message, dict):
        kind = next((name for name in document if name != "update_id"), "пустое")
        return [NoEnquiry(f"обновление «{kind}» Telegram не обращение", key=key)]
    return [_telegram_message(message, key, settings)]


def _telegram_message(message: dict[str, Any], key: str, settings: VendorSettings) -> Outcome:
    sender = object_at(message, "from")
    key = key or f"message:{text_at(message, 'chat', 'id')}:{text_at(message, 'message_id')}"
    if text_at(message, "chat", "type") != "private":
        return NoEnquiry("группа или канал, а не личное сообщение", key=key)
    if sender.get("is_bot") is True:
        return NoEnquiry("пишет бот, а не человек", key=key)
    text = text_at(message, "text") or text_at(message, "caption")
    profile = f"https://t.me/{user}" if (user := text_at(sender, "username")) else None
    command, _, parameter = text.partition(" ")
    if command.partition("@")[0] == "/start":
        return NoEnquiry("бота запустили: не обращение", key=key, link_param=parameter.strip() or None, profile=profile)
    contact = object_at(message, "contact")
    own, foreign = _telegram_phones(contact, sender, settings)
    lines = [text, *foreign, *(["Прислан номер телефона"] if own else [])]
    kinds = [
        kind
        for kind in _TELEGRAM_ATTACHMENTS
        if kind in message and not (kind == "document" and "animation" in message)
    ]
    lines += [f"Вложение: {_telegram_attachment(kind, message)}" for kind in kinds]
    if not any(lines):
        return NoEnquiry("служебное сообщение Telegram", key=key)
    names = [text_at(sender, "first_name"), text_at(sender, "last_name")]
    return Enquiry(
        source=TELEGRAM,
        key=key,
        name=" ".join(name for name in names if name) or None,
        phones=own or phones_in_text(text, settings.home),
        emails=mails_in_text(text),
        text=note(lines),
        files=_telegram_files(message),
        profile=profile,
        extra={"telegram_id": number} if (number := text_at(sender, "id")) else {},
    )


def _telegram_phones(
    contact: dict[str, Any], sender: dict[str, Any], settings: VendorSettings
) -> tuple[tuple[str, ...], list[str]]:
    """The sender's own phones, and the words about a contact that is not he."""
    number = text_at(contact, "phone_number")
    if not number:
        return (), []
    if text_at(contact, "user_id") and text_at(contact, "user_id") == text_at(sender, "id"):
        return phones_in(number if number.startswith(("+", "8")) else f"+{number}", settings.home), []
    who = " ".join(part for part in [text_at(contact, "first_name"), text_at(contact, "last_name")] if part)
    return (), [f"Прислан чужой контакт: {who} {number}".replace("  ", " ")]


def _telegram_attachment(kind: str, message: dict[str, Any]) -> str:
    name = text_at(object_at(message, kind), "file_name")
    return f"{_TELEGRAM_ATTACHMENTS[kind]} {name}".strip()


def _telegram_files(message: dict[str, Any]) -> tuple[EnquiryFile, ...]:
    """By ``file_id``: the bot's token is needed to fetch them."""
    document = object_at(message, "document")
    photos = objects(message.get("photo"))
    named = (
        [EnquiryFile(text_at(document, "file_name") or "документ", text_at(document, "file_id"))] if document else []
    )
    return (*named, *(EnquiryFile("фотография", text_at(photo, "file_id")) for photo in photos[-1:]))


# MAX: what clients write to the agency's bot. A webhook brings one update, not a list.

MAX = "max"
MAX_SECRET = "max_secret"
MAX_HEADER = "X-Max-Bot-Api-Secret"
_TELEPHONE = re.compile(r"(?im)^(?:item\d+\.)?TEL[^:\r\n]*:\s*([+\d][\d\s().-]+)")
_FULL_NAME = re.compile(r"(?im)^FN[^:\r\n]*:\s*(.+?)\s*$")
_MAX_ATTACHMENTS = {
    "image": "изображение", "video": "видео", "audio": "голосовое сообщение", "file": "файл", "sticker": "стикер",
    "location": "место на карте", "share": "ссылка",
}  # fmt: skip


def of_max(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """By ``update_type``."""
    document = json_of(request)
    kind = text_at(document, "update_type")
    if kind == "bot_started":
        user = object_at(document, "user")
        parameter = text_at(document, "payload") or None
        key = f"started:{text_at(document, 'chat_id')}:{text_at(document, 'timestamp')}"
        return [NoEnquiry("бота запустили: не обращение", key=key, link_param=parameter, profile=_max_profile(user))]
    message = document.get("message")
    if kind != "message_created" or not isinstance(message, dict):
        key = f"{kind}:{text_at(message, 'body', 'mid')}:{text_at(document, 'timestamp')}"
        return [NoEnquiry(f"событие «{kind}» MAX не обращение", key=key)]
    return [_max_message(message, settings)]


def _max_message(message: dict[str, Any], settings: VendorSettings) -> Outcome:
    sender, body = object_at(message, "sender"), object_at(message, "body")
    key = text_at(body, "mid") or f"{text_at(message, 'recipient', 'chat_id')}:{text_at(message, 'timestamp')}"
    kind = text_at(message, "recipient", "chat_type")
    if (kind and kind != "dialog") or integer(text_at(message, "recipient", "chat_id")) < 0:
        return NoEnquiry("чат или канал, а не личное сообщение", key=key)
    if sender.get("is_bot") is True:
        return NoEnquiry("пишет бот, а не человек", key=key)
    text = text_at(body, "text")
    attachments = objects(body.get("attachments"))
    own: list[str] = []
    lines = [text]
    files: list[EnquiryFile] = []
    for attachment in attachments:
        what, payload = text_at(attachment, "type"), object_at(attachment, "payload")
        if what == "contact":
            phones, words = _max_contact(payload, sender, settings)
            own += phones
            lines.append(words)
        elif what != "inline_keyboard":
            name, url = text_at(attachment, "filename") or text_at(payload, "title"), text_at(payload, "url")
            lines.append(f"Вложение: {_MAX_ATTACHMENTS.get(what, what)} {name}".strip())
            files += [EnquiryFile(name or what, url)] if url else []
    linked = object_at(message, "link", "message")
    if words := text_at(linked, "text"):
        lines.append(f"Пересланное: {words}")
    return Enquiry(
        source=MAX,
        key=key,
        name=_max_name(sender),
        phones=tuple(dict.fromkeys(own)) or phones_in_text(text, settings.home),
        emails=mails_in_text(text),
        text=note(lines) or "Сообщение без слов",
        files=tuple(files),
        profile=_max_profile(sender),
        extra={"max_id": number} if (number := text_at(sender, "user_id")) else {},
    )


def _max_contact(
    payload: dict[str, Any], sender: dict[str, Any], settings: VendorSettings
) -> tuple[tuple[str, ...], str]:
    """The phones of a card, if it is the sender's own; a card of somebody else is words."""
    card = text_at(payload, "vcf_info").replace("\\r\\n", "\n").replace("\\n", "\n")
    numbers = [found.strip() for found in _TELEPHONE.findall(card)]
    info = object_at(payload, "max_info")
    owner = as_text(info.get("user_id")) or text_at(info, "user", "user_id")
    if owner and owner == text_at(sender, "user_id"):
        with_plus = [number if number.startswith(("+", "8")) else f"+{number}" for number in numbers]
        phones = [phone for number in with_plus for phone in phones_in(number, settings.home)]
        return tuple(phones), "Прислан номер телефона"
    name = _FULL_NAME.search(card)
    return (), " ".join(["Прислан чужой контакт:", *([name[1]] if name else []), *numbers])


def _max_name(user: dict[str, Any]) -> str | None:
    names = [text_at(user, "first_name"), text_at(user, "last_name")]
    return " ".join(name for name in names if name) or text_at(user, "name") or None


def _max_profile(user: dict[str, Any]) -> str | None:
    name = text_at(user, "username")
    return f"https://max.ru/{name}" if name else None


# Viber: what clients write to a bot that the agency already has; nothing is sent by it.
#
# ``message_token`` is a 64-bit number: Python reads it whole, a float would not hold it.

VIBER = "viber"
VIBER_TOKEN = "viber_token"
VIBER_HEADER = "X-Viber-Content-Signature"
_VIBER_TYPES = {
    "picture": "изображение", "video": "видео", "file": "файл", "sticker": "стикер", "url": "ссылка",
    "location": "место на карте", "contact": "контакт",
}  # fmt: skip


def check_viber(request: VendorRequest, settings: VendorSettings) -> str | None:
    """``set_webhook`` at once posts an event «webhook» and wants 200."""
    try:
        return "" if text_at(json_of(request), "event") == "webhook" else None
    except UnreadableBody:
        return None


def of_viber(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """By ``event``."""
    document = json_of(request)
    token = text_at(document, "message_token")
    key = f"token:{token}"
    match text_at(document, "event"):
        case "message":
            return [_viber_message(document, key, settings)]
        case "conversation_started":
            context = text_at(document, "context") or None
            return [NoEnquiry("открыт разговор с ботом: не обращение", key=key, link_param=context)]
        case event:
            # Delivered, seen and failed repeat the token of the message that they speak of.
            return [NoEnquiry(f"событие «{event}» Viber не обращение", key=f"{event}:{token}")]


def _viber_message(document: dict[str, Any], key: str, settings: VendorSettings) -> Outcome:
    sender, message = object_at(document, "sender"), object_at(document, "message")
    name, kind = text_at(sender, "name"), text_at(message, "type")
    text, media = text_at(message, "text"), text_at(message, "media")
    lines = [text]
    phones = phones_in_text(text, settings.home)
    files: list[EnquiryFile] = []
    if kind == "contact":
        contact = object_at(message, "contact")
        whose, number = text_at(contact, "name"), text_at(contact, "phone_number")
        # The button «поделиться номером» sends no name; a card of somebody else does, and has no id to tell by.
        if number and (not whose or same_name(whose, name)):
            phones = phones_in(number if number.startswith(("+", "8")) else f"+{number}", settings.home)
            lines.append("Прислан номер телефона")
        else:
            lines.append(f"Прислан чужой контакт: {whose} {number}".strip())
    elif kind != "text":
        file = text_at(message, "file_name")
        lines.append(" ".join(part for part in [f"Вложение: {_VIBER_TYPES.get(kind, kind)}", file] if part))
        if kind == "url" and media:
            lines.append(media)
        elif media:
            files.append(EnquiryFile(file or _VIBER_TYPES.get(kind, kind), media))
    return Enquiry(
        source=VIBER,
        key=key,
        name=name or None,
        phones=phones,
        emails=mails_in_text(text),
        text=note(lines) or "Сообщение без слов",
        files=tuple(files),
        link_param=text_at(message, "tracking_data") or None,
        extra={"viber_id": number} if (number := text_at(sender, "id")) else {},
    )
