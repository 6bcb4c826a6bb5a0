"""Webhooks about notes, calls, SMS, files, chats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from amo_bridge.crm.values import (
    ENTITY_TYPES,
    branch,
    flag,
    identifier,
    integer,
    json_object,
    moment,
    scalar,
    text,
    user,
    word,
)
from amo_bridge.crm.webhooks.item import Item, Unreadable
from amo_bridge.events import CallLogged, Event, FileAttached, MessageReceived, NoteAdded, SmsLogged, TalkReported
from amo_bridge.events.calls import length_of

# --- chats ------------------------------------------------------------------------------------------------------------

# ``message[…]``, ``outgoing_message[…]``, ``talk[…]`` and the bare ``add[…]``.


def decode_message(item: Item) -> Event:
    if item.action != "add":
        raise item.unknown_action()
    return _message(item)


def decode_bare_add(item: Item) -> Event:
    """Kommo sends a client's message without a root (client code); a review of a chat template comes so as well."""
    if "chat_id" in item.tree and word(item.tree.get("type")) in ("incoming", "outgoing"):
        return _message(item)
    raise Unreadable("add без корня: проверка шаблона чата, мост на неё не реагирует")


def _message(item: Item) -> MessageReceived:
    tree, author = item.tree, branch(item.tree, "author")
    message_id = word(tree.get("id"))
    if message_id is None:
        raise Unreadable("нет id сообщения")
    is_out = item.root == "outgoing_message" or word(tree.get("type")) == "outgoing"
    return MessageReceived(
        message_id=message_id,
        direction="out" if is_out else "in",
        text=text(tree.get("text")) or "",
        chat_id=word(tree.get("chat_id")),
        talk_id=identifier(tree.get("talk_id")),
        contact_id=identifier(tree.get("contact_id")),
        user_id=user(author.get("user_id")),
        author_name=text(author.get("name")) or None,
        origin=word(tree.get("origin")),
        **_entity(item),
        **item.envelope(item.first_moment("created_at")),
    )


def decode_talk(item: Item) -> Event:
    if item.action not in ("add", "update"):
        raise item.unknown_action()
    tree = item.tree
    return TalkReported(
        talk_id=item.required_id("talk_id"),
        action=item.action,
        contact_id=identifier(tree.get("contact_id")),
        chat_id=word(tree.get("chat_id")),
        is_in_work=flag(tree.get("is_in_work")),
        is_read=flag(tree.get("is_read")),
        origin=word(tree.get("origin")),
        **_entity(item),
        **item.envelope(item.changed_at()),
    )


def _entity(item: Item) -> dict[str, Any]:
    """The card the chat belongs to: named in words (entity_*), in numbers (element_*), or both."""
    named = [word(item.tree.get(name)) or "" for name in ("entity_type", "element_type")]
    ids = [identifier(item.tree.get(name)) for name in ("entity_id", "element_id")]
    return {
        "entity_type": next((ENTITY_TYPES[name] for name in named if name in ENTITY_TYPES), None),
        "entity_id": next((number for number in ids if number is not None), None),
    }


# --- notes ------------------------------------------------------------------------------------------------------------

# ``leads[note]``, ``contacts[note]``, ``customers[note]``: what was added to a card, by amoCRM's note codes.
COMMON, ATTACHMENT, SERVICE = 4, 5, 25
_CALLS = {10: "in", 11: "out"}
_SMS = {102: "in", 103: "out"}


def decode_note(item: Item) -> Event:
    note = branch(item.tree, "note") or item.tree
    about = _about(item, note)
    code = about["note_type"]
    if code in _CALLS:
        return CallLogged(direction=_CALLS[code], **_call(note), **about)
    if code in _SMS:
        return SmsLogged(direction=_SMS[code], **_sms(note), **about)
    if _is_file(code, note):
        return FileAttached(**_file(note), **about)
    return NoteAdded(text=_text_of(code, note), **about)


def _about(item: Item, note: Mapping[str, Any]) -> dict[str, Any]:
    note_id, entity_id = identifier(note.get("id")), identifier(note.get("element_id"))
    if note_id is None and entity_id is None:
        raise Unreadable("нет пригодного id ни у примечания, ни у карточки")
    # A note is reported once, when it is added, so it happened when it was made; updated_at may be a little later.
    at = moment(note.get("created_at")) or moment(note.get("updated_at"))
    source = branch(json_object(note.get("metadata")) or {}, "event_source")
    author = user(note.get("created_by"))
    return {
        "note_id": note_id,
        "entity_type": _entity_type(item, note),
        "entity_id": entity_id,
        "note_type": integer(note.get("note_type")),
        "user_id": user(source.get("id")) if author is None else author,
        "author_name": _json_text(source, "author_name"),
        **item.envelope(at, named_in=note),
    }


def _entity_type(item: Item, note: Mapping[str, Any]) -> str | None:
    entity_type = word(note.get("element_type"))
    if entity_type is None:
        entity_type = word(item.tree.get("type")) if item.root == "contacts" else item.root
    return ENTITY_TYPES.get(entity_type or "")


def _call(note: Mapping[str, Any]) -> dict[str, Any]:
    """The call's text is JSON with keys in upper and lower case; PHONE may be a number, DURATION a text (captured)."""
    call = _lower_keys(json_object(note.get("text")))
    return {
        "uniq": _json_text(call, "uniq"),
        "phone": _json_text(call, "phone"),
        "seconds": length_of(call.get("duration")),
        "link": _json_text(call, "link"),
        "status": integer(call.get("call_status")),
        "result": _json_text(call, "call_result"),
    }


def _sms(note: Mapping[str, Any]) -> dict[str, Any]:
    """JSON with text and phone, as in the API's params; a plain text is taken as it is."""
    found = json_object(note.get("text"))
    if found is None:
        return {"text": text(note.get("text")) or ""}
    sms = _lower_keys(found)
    return {"text": scalar(sms.get("text")) or "", "phone": _json_text(sms, "phone")}


def _lower_keys(found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key.lower(): value for key, value in (found or {}).items()}


def _json_text(found: Mapping[str, Any], key: str) -> str | None:
    """A text inside JSON, where ``json_object`` has undone the HTML entities already."""
    return (scalar(found.get(key)) or "").strip() or None


def _is_file(code: int | None, note: Mapping[str, Any]) -> bool:
    """Code 5 always is one. A note that carries a file is one too, if its code does not say that it is more."""
    return code == ATTACHMENT or (code in (None, COMMON) and word(note.get("attachement")) is not None)


def _file(note: Mapping[str, Any]) -> dict[str, Any]:
    """``attachement`` (amoCRM's spelling) is ``drive/{uuid}/{file_uuid}/{name}``; older ones are the bare name."""
    path = word(note.get("attachement")) or ""
    parts = path.split("/", 3)
    if parts[0] == "drive" and len(parts) == 4:
        file_uuid, name = parts[2] or None, parts[3]
    else:
        file_uuid, name = None, path.rpartition("/")[2]
    return {"file_name": _percent_decoded(name) or text(note.get("text")) or "", "file_uuid": file_uuid}


def _percent_decoded(name: str) -> str:
    """The name, decoded if it was percent-encoded; «Скидка 50%.pdf» is not."""
    try:
        return unquote_to_bytes(name).decode("utf-8")
    except UnicodeDecodeError:
        return name


def _text_of(code: int | None, note: Mapping[str, Any]) -> str:
    """A service note's text is JSON {text, service} (amoCRM docs, digital_pipeline/integrations)."""
    found = json_object(note.get("text")) if code == SERVICE else None
    return (text(note.get("text")) if found is None else scalar(found.get("text"))) or ""
