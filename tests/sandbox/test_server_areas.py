"""The areas of the API: docs/sandbox.md says which are supported, simple, empty or missing, and it is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sandbox_account import SandboxAccount

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| [^|]+ \| (?P<addresses>[^|]+) \| (?P<state>supported|simple|empty|missing) \|$", re.M)
ADDRESSES = [
    (address, row["state"])
    for row in ROW.finditer(DOCUMENT)
    for address in re.findall(r"`([^`]+)`", row["addresses"])
    if address != "drive_url"
]
EMPTY_LISTS = [
    address for address, state in ADDRESSES if state == "empty" and "{" not in address and address != "bots/run"
]
WRITTEN_ONLY = ("bonus_points", "mode", "link", "unlink", "calls", "complex", "short_links", "close", "run", "{step}")
DEEDS = ("accept", "decline", "forms", "sip", "summary", "stop")


def filled(account: SandboxAccount, address: str) -> str:
    """The address with a record of the account for ``{id}``."""
    area = address.partition("/{id}")[0]
    if area == "leads":
        number = account.add_lead()
    elif area == "leads/pipelines":
        number = account.pipeline()
    elif area == "catalogs":
        number = account.post("catalogs", [{"name": "Товары"}]).json["_embedded"]["catalogs"][0]["id"]
    elif area == "customers":
        account.patch("customers/mode", {"mode": "segments", "is_enabled": True})
        number = account.post("customers", [{"name": "Постоянный"}]).json["_embedded"]["customers"][0]["id"]
    else:
        number = 1
    return address.replace("{id}", str(number)).replace("{step}", "1").replace("{uuid}", "x")


@pytest.mark.parametrize(("address", "state"), ADDRESSES)
def test_an_address_answers_as_the_document_says(account: SandboxAccount, address: str, state: str) -> None:
    path = filled(account, address) if "{" in address else address
    is_served = state != "missing"
    if address.endswith(WRITTEN_ONLY):
        answer = account.call("PATCH" if address == "customers/mode" else "POST", path, [])
        assert answer.status == (404 if state == "empty" and "{" in address else 400)
        assert answer.json["detail"] in ("Not found", "Request data can not be empty")
    else:
        answer = account.get(path)
        unknown = "Cannot GET http://localhost" + (path if path.startswith("/") else f"/api/v4/{path}")
        assert (unknown.encode() in answer.raw) is not is_served
        # 400: mass links want their filter; 404: a file that isn't there.
        others = {"leads/links": 400, "files/x/links": 404}
        assert answer.status in (204 if state == "empty" else 200, 204, others.get(path, 200 if is_served else 404))


def test_the_document_leaves_no_address_out(account: SandboxAccount) -> None:
    told = {re.sub(r"\{\w+\}", "*", address) for address, _ in ADDRESSES}
    served = {bare(rule.rule) for rule in account.http.application.url_map.iter_rules() if "/api/v4/" in rule.rule}
    assert len(served) > 60
    assert [path for path in sorted(served) if not told & set(shortened(path))] == []


def bare(rule: str) -> str:
    """``/api/v4/<any(leads, contacts):kind>/<int:id>/links`` → ``leads/*/links``."""
    path = re.sub(r"<any\((\w+)[^)]*\):\w+>", r"\1", rule.removeprefix("/api/v4/"))
    return re.sub(r"<[^>]+>", "*", path.replace("<fielded:entity>", "leads"))


def shortened(path: str) -> Iterator[str]:
    """The address, and the list that it is a single one of, or a deed in."""
    parts = path.split("/")
    while parts:
        yield "/".join(parts)
        if parts.pop() not in ("*", *DEEDS):
            return


@pytest.mark.parametrize("address", EMPTY_LISTS)
def test_an_empty_list_has_neither_body_nor_type(account: SandboxAccount, address: str) -> None:
    answer = account.get(address)
    assert (answer.status, answer.raw) == (204, b"")
    assert "Content-Type" not in answer.headers
