"""The widget trigger of the Digital Pipeline: the one hook of amoCRM's that comes as JSON.

``{"event": {"type", "type_code", "data": {"id", "element_type", "status_id", "pipeline_id", …}, "time"}, "action",
"subdomain", "account_id"}`` (amoCRM docs, digital_pipeline/integrations).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.crm.hooks.item import Unreadable
from amo_bridge.crm.values import branch, clean, identifier, moment, read_json, word
from amo_bridge.events import Event, PipelineTriggerFired, Unrecognised

_TRIGGERS = {
    **{"1": "add", "14": "status", "15": "status", "16": "mail_in", "17": "call_in", "18": "site_visit"},
    **{"19": "chat", "lead_added": "add", "lead_status_changed": "status", "lead_appeared_in_status": "status"},
    **{name: name for name in ("mail_in", "call_in", "site_visit", "chat")},
}
_DEAL = ("2", "lead", "leads", None)


def looks_like_json(body: bytes) -> bool:
    """No form of amoCRM's begins with a bracket."""
    return body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"{", b"[")


def decode(body: bytes) -> Event:
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
    told = [word(event.get(name)) for name in ("type", "type_code")]
    trigger = next((_TRIGGERS[code] for code in told if code in _TRIGGERS), None)
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
