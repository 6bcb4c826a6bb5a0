"""Lists and their elements."""

from __future__ import annotations

from support.sandbox_account import SandboxAccount


def test_elements_have_fields_of_their_list(account: SandboxAccount) -> None:
    catalog = account.post("catalogs", [{"name": "Товары", "type": "regular"}]).json["_embedded"]["catalogs"][0]
    path = f"catalogs/{catalog['id']}"
    groups = [
        {"value": "Посты", "sort": 0, "request_id": "a"},
        {"value": "Сторис", "sort": 1, "parent_request_id": "a"},
    ]
    fields = [
        {"name": "Цена", "type": "price", "code": "PRICE"},
        {"name": "Группа", "type": "category", "nested": groups},
    ]
    price, group = account.post(f"{path}/custom_fields", fields).json["_embedded"]["custom_fields"]
    assert (group["catalog_id"], group["entity_type"]) == (catalog["id"], "catalogs")
    assert group["nested"][1]["parent_id"] == group["nested"][0]["id"]

    values = [
        {"field_code": "PRICE", "values": [{"value": 500}]},
        {"field_id": group["id"], "values": [{"value": "Сторис"}]},
    ]
    element = account.post(f"{path}/elements", [{"name": "Пост", "custom_fields_values": values}])
    element_id = element.json["_embedded"]["elements"][0]["id"]
    read = account.get(f"{path}/elements/{element_id}").json
    assert [field["values"][0]["value"] for field in read["custom_fields_values"]] == ["500", "Сторис"]
    cleared = {"custom_fields_values": [{"field_id": price["id"], "values": None}]}
    changed = account.patch(f"{path}/elements/{element_id}", cleared).json
    assert [field["field_id"] for field in changed["custom_fields_values"]] == [group["id"]]
    assert account.get(f"{path}/elements?query=пост&filter[id][]={element_id}").status == 200
    assert account.get(f"{path}/elements?query=нет").status == 204


def test_there_are_ten_lists_at_most_and_none_is_deleted(account: SandboxAccount) -> None:
    for number in range(10):
        assert account.post("catalogs", [{"name": f"Список {number}"}]).status == 200
    assert account.post("catalogs", [{"name": "Ещё один"}]).status == 400
    catalog_id = account.get("catalogs").json["_embedded"]["catalogs"][0]["id"]
    assert account.call("DELETE", f"catalogs/{catalog_id}").status == 405
    assert account.get("catalogs/1").status == 204
    assert account.get("catalogs/1/elements").status == 404
    assert account.post("catalogs", [{"name": "а", "type": "странный"}]).status == 400
