"""Decoding of webhooks: a body → events about deals, clients, tasks, notes, calls, files, chats.

Total: any bytes give at least one event, and nothing that was said of an entity is dropped:

``leads[status][0][id]=5&account[id]=7``  →  ``[DealMoved(deal_id=5, account_id=7, …)]``

What has no typed event, or lacks the id that one needs, becomes ``Unrecognised`` and hinders no neighbour. A webhook
is not signed and may be repeated, late or lost: an event is a hint, and the entity is read before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from amo_bridge.crm import php_form
from amo_bridge.crm.php_form import Item, Unreadable, decode_fields, decode_tags
from amo_bridge.crm.records import (
    ENTITY_TYPES,
    branch,
    clean,
    flag,
    identifier,
    identifiers,
    integer,
    items,
    json_object,
    moment,
    money,
    read_json,
    scalar,
    text,
    user,
    word,
)
from amo_bridge.events import (
    CallLogged,
    ClientAdded,
    ClientDeleted,
    ClientReported,
    ClientRestored,
    ClientUpdated,
    DealAdded,
    DealDeleted,
    DealMoved,
    DealReassigned,
    DealReported,
    DealRestored,
    DealUpdated,
    Event,
    FileAttached,
    ListElementReported,
    MessageReceived,
    NoteAdded,
    PipelineTriggerFired,
    SmsLogged,
    TalkReported,
    TaskAdded,
    TaskCompleted,
    TaskDeleted,
    TaskReported,
    TaskUpdated,
    Unrecognised,
    UnsortedAdded,
    UnsortedClosed,
    UnsortedUpdated,
)
from amo_bridge.events.calls import length_of

# --- contacts ---------------------------------------------------------------------------------------------------------

# ``contacts[…]`` holds contacts and companies; ``type`` says which.
_CLIENT_EVENTS: dict[str, type[ClientReported]] = {
    "add": ClientAdded,
    "update": ClientUpdated,
    "responsible": ClientUpdated,
    "restore": ClientRestored,
    "delete": ClientDeleted,
}


def decode_client(item: Item) -> Event:
    if item.action == "note":
        return decode_note(item)
    kind = _CLIENT_EVENTS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    tree = item.tree
    return kind(
        kind=_kind_of_client(item),
        client_id=item.required_id(),
        name=text(tree.get("name")),
        responsible_user_id=user(tree.get("responsible_user_id")),
        old_responsible_user_id=user(tree.get("old_responsible_user_id")),
        user_id=user(tree.get("modified_user_id")),
        created_at=item.first_moment("created_at", "date_create"),
        company_id=identifier(tree.get("linked_company_id")),
        deal_ids=identifiers(tree.get("linked_leads_id")),
        fields=decode_fields(tree.get("custom_fields")),
        **item.envelope(item.changed_at()),
    )


def _kind_of_client(item: Item) -> str:
    kind = word(item.tree.get("type")) or "contact"
    if kind not in ("contact", "company"):
        raise Unreadable(f"неизвестный type «{kind[:40]}»")
    return kind


# --- customers --------------------------------------------------------------------------------------------------------


def decode_customer(item: Item) -> Event:
    """``customers[…]``: the bridge follows deals, so of customers only the notes on their cards are events."""
    if item.action == "note":
        return decode_note(item)
    raise Unreadable("покупатели: мост за ними не следит")


# --- deals ------------------------------------------------------------------------------------------------------------

# ``leads[…]``.
_DEAL_EVENTS: dict[str, type[DealReported]] = {
    "add": DealAdded,
    "update": DealUpdated,
    "status": DealMoved,
    "responsible": DealReassigned,
    "restore": DealRestored,
    "delete": DealDeleted,
}
_TRIGGERS = frozenset({"mail_in", "call_in", "chat", "site_visit"})


def decode_deal(item: Item) -> Event:
    if item.action == "note":
        return decode_note(item)
    if item.action in _TRIGGERS or (item.action == "add" and item.is_from_pipeline):
        return PipelineTriggerFired(trigger=item.action, **_details(item))
    kind = _DEAL_EVENTS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    return kind(**_details(item))


def _details(item: Item) -> dict[str, Any]:
    tree = item.tree
    return {
        "deal_id": item.required_id(),
        "name": text(tree.get("name")),
        "pipeline_id": identifier(tree.get("pipeline_id")),
        "status_id": identifier(tree.get("status_id")),
        "old_pipeline_id": identifier(tree.get("old_pipeline_id")),
        "old_status_id": identifier(tree.get("old_status_id")),
        "price": money(tree.get("price")),
        "responsible_user_id": user(tree.get("responsible_user_id")),
        "old_responsible_user_id": user(tree.get("old_responsible_user_id")),
        "user_id": user(tree.get("modified_user_id")),
        "created_at": item.first_moment("created_at", "date_create"),
        "tags": decode_tags(tree.get("tags")),
        "fields": decode_fields(tree.get("custom_fields")),
        **item.envelope(item.changed_at()),
    }


# --- unsorted ---------------------------------------------------------------------------------------------------------

# ``unsorted[…]``: enquiries that come into «Неразобранное» and leave it.
_ENQUIRY_EVENTS: dict[str, type[UnsortedAdded]] = {"add": UnsortedAdded, "update": UnsortedUpdated}


def decode_enquiry(item: Item) -> Event:
    if item.action == "delete":
        return _closed(item)
    kind = _ENQUIRY_EVENTS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    tree, data = item.tree, branch(item.tree, "data")
    deal_ids = identifiers(data.get("leads"))
    return kind(
        uid=_uid(item),
        category=word(tree.get("category")),
        deal_id=identifier(tree.get("lead_id")) or (deal_ids[0] if deal_ids else None),
        contact_ids=identifiers(data.get("contacts")),
        pipeline_id=identifier(tree.get("pipeline_id")),
        **item.envelope(item.changed_at()),
    )


def _closed(item: Item) -> UnsortedClosed:
    """``created_at`` here is the enquiry's, not the decision's, so the event has no time (captured webhook)."""
    tree = item.tree
    results = [branch(tree, f"{decision}_result") for decision in ("accept", "decline")]
    return UnsortedClosed(
        uid=_uid(item),
        decision=word(tree.get("action")) or _decision(tree),
        category=word(tree.get("category")),
        deal_ids=tuple(deal_id for result in results for deal_id in identifiers(result.get("leads"))),
        user_id=user(tree.get("modified_user_id")),
        **item.envelope(item.first_moment("updated_at")),
    )


def _decision(tree: Mapping[str, Any]) -> str | None:
    return next((decision for decision in ("accept", "decline") if f"{decision}_result" in tree), None)


def _uid(item: Item) -> str:
    uid = word(item.tree.get("uid"))
    if uid is None:
        raise Unreadable("нет uid")
    return uid


# --- lists ------------------------------------------------------------------------------------------------------------


def decode_list_element(item: Item) -> Event:
    """``catalogs[…]``."""
    if item.action not in ("add", "update", "delete"):
        raise item.unknown_action()
    return ListElementReported(
        element_id=item.required_id(),
        action=item.action,
        catalog_id=identifier(item.tree.get("catalog_id")),
        name=text(item.tree.get("name")),
        **item.envelope(item.changed_at()),
    )


# --- tasks ------------------------------------------------------------------------------------------------------------

# ``task[…]``.
_TASK_EVENTS: dict[str, type[TaskReported]] = {
    "add": TaskAdded,
    "update": TaskUpdated,
    "responsible": TaskUpdated,
    "delete": TaskDeleted,
}


def decode_task(item: Item) -> Event:
    kind = _TASK_EVENTS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    tree = item.tree
    if kind is TaskUpdated and flag(tree.get("action_close")):
        kind = TaskCompleted
    result = tree.get("result")
    return kind(
        task_id=item.required_id(),
        entity_type=ENTITY_TYPES.get(word(tree.get("element_type")) or ""),
        entity_id=identifier(tree.get("element_id")),
        text=text(tree.get("text")),
        task_type_id=identifier(tree.get("task_type")),
        is_completed=flag(tree.get("status")),
        responsible_user_id=user(tree.get("responsible_user_id")),
        old_responsible_user_id=user(tree.get("old_responsible_user_id")),
        user_id=_author(item),
        due=moment(tree.get("complete_before")),
        created_at=moment(tree.get("created_at")),
        result=text(result.get("text") if isinstance(result, dict) else result),
        **item.envelope(item.changed_at()),
    )


def _author(item: Item) -> int | None:
    """The user who changed the task. ``modified_by`` comes with some updates only; a new task names its creator."""
    changed_by = user(item.tree.get("modified_by"))
    if changed_by is None and item.action == "add":
        return user(item.tree.get("created_user_id"))
    return changed_by


# --- widget trigger ---------------------------------------------------------------------------------------------------

# The Digital Pipeline's widget trigger is the only webhook that comes as JSON:
# ``{"event": {"type", "type_code", "data": {"id", "element_type", "status_id", "pipeline_id", …}, "time"}, "action",
# "subdomain", "account_id"}`` (amoCRM docs, digital_pipeline/integrations).

_TRIGGER_OF_CODE = {
    **{"1": "add", "14": "status", "15": "status", "16": "mail_in", "17": "call_in", "18": "site_visit"},
    **{"19": "chat", "lead_added": "add", "lead_status_changed": "status", "lead_appeared_in_status": "status"},
    **{name: name for name in ("mail_in", "call_in", "site_visit", "chat")},
}
_DEAL = ("2", "lead", "leads", None)


def looks_like_json(body: bytes) -> bool:
    """No form that amoCRM sends begins with a bracket."""
    return body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"{", b"[")


def decode_widget(body: bytes) -> Event:
    """The trigger, or Unrecognised with the whole body."""
    source = body.decode("utf-8-sig", "replace")
    try:
        tree = read_json(source)
    except ValueError:
        return Unrecognised(why="испорченный JSON", raw={"body": clean(source)})
    if not isinstance(tree, dict):
        return Unrecognised(why="JSON, но не объект", raw={"body": tree})
    try:
        return _trigger(tree)
    except Unreadable as reason:
        return Unrecognised(why=str(reason), account_id=identifier(tree.get("account_id")), raw=tree)


def _trigger(tree: Mapping[str, Any]) -> PipelineTriggerFired:
    event = branch(tree, "event")
    data = branch(event, "data")
    codes = [word(event.get(name)) for name in ("type", "type_code")]
    trigger = next((_TRIGGER_OF_CODE[code] for code in codes if code in _TRIGGER_OF_CODE), None)
    deal_id = identifier(data.get("id"))
    if trigger is None:
        raise Unreadable("JSON, но не известный триггер воронки")
    if word(data.get("element_type")) not in _DEAL:
        raise Unreadable("триггер воронки не о сделке")
    if deal_id is None:
        raise Unreadable("нет пригодного id")
    return PipelineTriggerFired(
        trigger=trigger,
        deal_id=deal_id,
        pipeline_id=identifier(data.get("pipeline_id")),
        status_id=identifier(data.get("status_id")),
        at=moment(event.get("time")),
        account_id=identifier(tree.get("account_id")),
        raw=tree,
    )


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


# --- whole webhooks ---------------------------------------------------------------------------------------------------

_ROOTS: Mapping[str, Callable[[Item], Event]] = {
    "leads": decode_deal,
    "contacts": decode_client,
    "customers": decode_customer,
    "task": decode_task,
    "unsorted": decode_enquiry,
    "message": decode_message,
    "outgoing_message": decode_message,
    "talk": decode_talk,
    "catalogs": decode_list_element,
}
_ENVELOPE = "account"


def decode(body: bytes) -> list[Event]:
    """The events of one webhook, in the order of the body. Never raises, never returns an empty list."""
    if looks_like_json(body):
        return [decode_widget(body)]
    tree = php_form.parse(body)
    account = branch(tree, _ENVELOPE)
    hook = _Hook(identifier(account.get("id")), has_links="_links" in account)
    events = [event for root in tree if root != _ENVELOPE for event in hook.read_root(root, tree[root])]
    return events or [hook.unrecognised(why="пустой хук", raw=tree)]


class _Hook:
    """One webhook: what its envelope says of every item, and the items."""

    def __init__(self, account_id: int | None, *, has_links: bool) -> None:
        self.account_id = account_id
        self.has_links = has_links

    def read_root(self, root: str, content: Any) -> Iterator[Event]:
        if root == "add":
            yield from self._read_items(decode_bare_add, "", root, content)
        elif root == php_form.REST:
            yield self.unrecognised(root, why="слишком длинный хук: конец не разобран", raw={root: content})
        elif root not in _ROOTS:
            yield self.unrecognised(root, why="неизвестный корень", raw={root: content})
        elif not isinstance(content, Mapping):
            yield self.unrecognised(root, why="нет действия", raw={root: content})
        else:
            for action, listed in content.items():
                yield from self._read_items(_ROOTS[root], root, action, listed)

    def _read_items(self, decoder: Callable[[Item], Event], root: str, action: str, listed: Any) -> Iterator[Event]:
        for tree in items(listed):
            if not isinstance(tree, Mapping):
                yield self.unrecognised(root, action, why="не объект", raw={"": tree})
                continue
            try:
                yield decoder(Item(root, action, tree, self.account_id, self.has_links))
            except Unreadable as reason:
                yield self.unrecognised(root, action, why=str(reason), raw=tree)

    def unrecognised(self, root: str = "", action: str = "", *, why: str, raw: Mapping[str, Any]) -> Unrecognised:
        return Unrecognised(root=root, action=action, why=why, account_id=self.account_id, raw=raw)
