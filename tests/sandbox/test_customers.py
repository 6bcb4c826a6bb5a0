"""Customers: read in any account, written where they are on."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandbox_account import SandboxAccount


def switch_on(account: SandboxAccount) -> None:
    assert account.patch("customers/mode", {"mode": "segments", "is_enabled": True}).status == 200


def add(account: SandboxAccount, path: str, area: str, **body: Any) -> int:
    answer = account.post(path, [body])
    assert answer.status == 200, answer.raw.decode()
    return int(answer.json["_embedded"][area][0]["id"])


@pytest.mark.parametrize(("mode", "status"), [("disabled", 422), ("unavailable", 402)])
@pytest.mark.parametrize("path", ["customers", "customers/statuses", "customers/segments"])
def test_writes_are_refused_where_customers_are_off(account: SandboxAccount, mode: str, status: int, path: str) -> None:
    account.world.account["customers_mode"] = mode
    assert account.post(path, [{"name": "а", "sort": 1}]).status == status
    assert account.get(path).status == 204


def test_the_mode_is_changed_and_shown(account: SandboxAccount) -> None:
    switch_on(account)
    assert account.get("account").json["customers_mode"] == "segments"
    account.patch("customers/mode", {"mode": "segments", "is_enabled": False})
    assert account.get("account").json["customers_mode"] == "disabled"
    assert account.patch("customers/mode", {"mode": "x", "is_enabled": True}).errors == [("mode", "NotSupportedChoice")]


def test_a_customer_is_written_linked_and_read(account: SandboxAccount) -> None:
    switch_on(account)
    customer_id = add(account, "customers", "customers", name="Постоянный", _embedded={"tags": [{"name": "VIP"}]})
    person = {"to_entity_id": account.contact(), "to_entity_type": "contacts", "metadata": None}
    assert account.post(f"customers/{customer_id}/link", [person]).status == 200
    assert account.patch(f"customers/{customer_id}", {"next_price": 500}).json["id"] == customer_id
    customer = account.get(f"customers/{customer_id}?with=contacts,companies").json
    assert (customer["name"], customer["next_price"], customer["ltv"]) == ("Постоянный", 500, 0)
    assert [tag["name"] for tag in customer["_embedded"]["tags"]] == ["VIP"]
    assert [contact["id"] for contact in customer["_embedded"]["contacts"]] == [account.contact()]
    contact = account.get(f"contacts/{account.contact()}?with=customers").json
    assert [one["id"] for one in contact["_embedded"]["customers"]] == [customer_id]
    assert account.patch("customers/1", {"name": "а"}).errors == [("id", "NotSupportedChoice")]


def test_purchases_belong_to_their_customer(account: SandboxAccount) -> None:
    switch_on(account)
    one, two = (add(account, "customers", "customers", name=name) for name in ("Один", "Два"))
    purchase = add(account, f"customers/{one}/transactions", "transactions", price=100)
    assert account.post(f"customers/{one}/transactions", [{}]).errors == [("price", "FieldMissing")]
    assert account.get(f"customers/{one}/transactions/{purchase}").json["_embedded"]["customer"]["id"] == one
    assert account.get(f"customers/{two}/transactions").status == 204
    assert account.get(f"customers/{two}/transactions/{purchase}").status == 204
    assert account.get("customers/transactions").json["_embedded"]["transactions"][0]["price"] == 100
    assert account.call("DELETE", f"customers/transactions/{purchase}").status == 204
    assert account.get("customers/transactions").status == 204


def test_bonus_points_do_not_fall_below_zero(account: SandboxAccount) -> None:
    switch_on(account)
    path = f"customers/{add(account, 'customers', 'customers', name='Один')}/bonus_points"
    assert account.post(path, {"earn": 100}).json == {"bonus_points": 100}
    assert account.post(path, {"redeem": 30}).json == {"bonus_points": 70}
    assert account.post(path, {"redeem": 71}).status == 400


def test_nobody_is_told_of_a_customer(account: SandboxAccount) -> None:
    switch_on(account)
    mark = len(account.changes)
    add(account, "customers", "customers", name="Один")
    assert account.changes_since(mark) == []
