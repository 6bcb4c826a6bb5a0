"""Webhooks about deals, contacts, companies, customers, unsorted, lists and tasks; the widget trigger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.crm.values import (
    ENTITY_TYPES,
    branch,
    clean,
    flag,
    identifier,
    identifiers,
    moment,
    money,
    read_json,
    text,
    user,
    word,
)
from amo_bridge.crm.webhooks import notes
from amo_bridge.crm.webhooks.item import Item, Unreadable, decode_fields, decode_tags
from amo_bridge.events import (
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
    ListElementReported,
    PipelineTriggerFired,
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
        return notes.decode_note(item)
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
        return notes.decode_note(item)
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
        return notes.decode_note(item)
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
