"""``message[…]``, ``outgoing_message[…]``, ``talk[…]`` and the bare ``add[…]`` → what is said in chats."""

from __future__ import annotations

from typing import Any

from amo_bridge.crm.hooks.item import Item, Unreadable
from amo_bridge.crm.values import ENTITY_TYPES, branch, flag, identifier, text, user, word
from amo_bridge.events import Event, MessageReceived, TalkReported


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
