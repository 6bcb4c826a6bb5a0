"""``contacts[…]`` → events about contacts and companies: amoCRM sends both under this root, told apart by ``type``."""

from __future__ import annotations

from amo_bridge.crm.hooks import notes
from amo_bridge.crm.hooks.fields import decode_fields
from amo_bridge.crm.hooks.item import Item, Unreadable
from amo_bridge.crm.values import identifier, identifiers, text, user, word
from amo_bridge.events import ClientAdded, ClientDeleted, ClientReported, ClientRestored, ClientUpdated, Event

_ACTIONS: dict[str, type[ClientReported]] = {
    "add": ClientAdded,
    "update": ClientUpdated,
    "responsible": ClientUpdated,
    "restore": ClientRestored,
    "delete": ClientDeleted,
}


def decode(item: Item) -> Event:
    if item.action == "note":
        return notes.decode(item)
    kind = _ACTIONS.get(item.action)
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
