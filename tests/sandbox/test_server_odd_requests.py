"""Requests that make no sense: amoCRM names what is wrong with them, and so does the sandbox. Never a 500."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.sandbox_account import SandboxAccount

QUERIES = (
    "order=id",
    "order[]=id",
    "order[id][x]=desc",
    "filter=1",
    "filter[]=1",
    "filter[id]=x",
    "filter[id][from]=1",
    "filter[created_at]=x",
    "filter[created_at][from][x]=1",
    "filter[custom_fields_values]=1",
    "filter[custom_fields_values][x]=1",
    "filter[statuses]=1",
    "filter[statuses][0]=1",
    "filter[value_after]=1",
    "filter[size]=1&filter[date]=1&filter[deleted]",
    "with[]=contacts&with[x][y]=1",
    "query[]=a&page[]=1&limit[]=1&before_id[]=1",
    "page=-1&limit=0",
    "page=99999999999999999999&limit=x",
    "contact_id[]=1&chat_id[x]=1",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "1",
    [],
    [[]],
    [None],
    ["x"],
    [{}],
    {},
    {"id": []},
    {"x": {}},
)
KEYS = (
    "id", "name", "price", "status_id", "pipeline_id", "responsible_user_id", "created_at", "custom_fields_values",
    "_embedded", "tags_to_add", "entity_id", "entity_type", "to_entity_id", "to_entity_type", "metadata",
    "note_type", "params", "text", "complete_till", "task_type_id", "result", "type", "enums", "nested", "fields",
    "rights", "settings", "destination", "external_id", "services", "source_uid", "user_id", "link", "mode",
    "is_enabled", "file_uuid", "uuid", "version_uuid", "file_name", "file_size", "phone", "direction", "duration",
    "contact_id", "chat_id", "url", "earn", "chained_lists", "search_in", "loss_reason_id", "sort", "email",
    "password", "bot_id", "request_id", "first_name",
)  # fmt: skip


def addresses(account: SandboxAccount, *methods: str) -> Iterator[tuple[str, str]]:
    """Every address of amoCRM's that the sandbox serves, with a record of the account in it."""
    numbers = {
        "lead_id": account.add_lead(),
        "pipeline_id": account.pipeline(),
        "catalog_id": account.post("catalogs", [{"name": "Товары"}]).json["_embedded"]["catalogs"][0]["id"],
        "field_id": account.field("Тип оплаты"),
    }
    for rule in account.http.application.url_map.iter_rules():
        if not rule.rule.startswith(("/api/", "/ajax/", "/drive/v1.0/files", "/drive/v1.0/sessions")):
            continue
        path = re.sub(r"<any\(([\w]+)[^)]*\):\w+>", r"\1", rule.rule)
        path = path.replace("<fielded:entity>", "leads")
        path = re.sub(r"<(?:int:)?(\w+)>", lambda name: str(numbers.get(name[1], numbers["lead_id"])), path)
        for method in methods:
            if method in (rule.methods or ()):
                yield method, path


def bodies() -> Iterator[Any]:
    for odd in ODD:
        yield odd
        for key in KEYS:
            yield {key: odd}


def test_no_query_breaks_a_list(account: SandboxAccount) -> None:
    account.add_contact(name="А")
    for method, path in addresses(account, "GET"):
        for query in QUERIES:
            answer = account.call(method, f"{path}?{query}")
            assert answer.status < 500, f"{path}?{query}"


@pytest.mark.parametrize("as_list", [True, False], ids=["a list", "one object"])
def test_no_body_breaks_a_write(account: SandboxAccount, as_list: bool) -> None:
    writes = sorted(addresses(account, "POST", "PATCH", "PUT", "DELETE"))
    assert len(writes) > 60
    for number, body in enumerate(bodies()):
        # Every body meets some addresses, every address bodies of every kind.
        for method, path in writes[number % 29 :: 29]:
            answer = account.call(method, path, [body] if as_list else body)
            assert answer.status < 500, f"{method} {path} {body}"


def test_a_doubled_slash_is_one(account: SandboxAccount) -> None:
    assert account.get("/api//v4//account").json["subdomain"] == "agency"
