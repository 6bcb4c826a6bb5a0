"""What is left of API v2 and the page's own addresses."""

from __future__ import annotations

from support.sandbox_account import SandboxAccount


def test_the_account_of_v2(account: SandboxAccount) -> None:
    body = account.get("/api/v2/account?with=users,pipelines,task_types,groups").json
    assert (body["subdomain"], body["timezone"]) == ("agency", "Europe/Moscow")
    assert len(body["_embedded"]["users"]) == 8
    pipeline = body["_embedded"]["pipelines"][str(account.pipeline())]
    assert {"142", "143"} < set(pipeline["statuses"])
    assert {"1", "2"} < set(body["_embedded"]["task_types"])


def test_products_are_a_list_once_they_are_on(account: SandboxAccount) -> None:
    path = "/api/v2/products_settings"
    assert account.get(path).json == {"is_enabled": False, "catalog_id": None}
    assert account.post(path, {"enable": "yes"}).status == 400
    made = account.post(path, {"enable": True}).json
    assert account.get(f"catalogs/{made['catalog_id']}").json["type"] == "products"
    assert account.post(path, {"enable": True}).json == made
    assert account.post(path, {"enable": False}).json == {**made, "is_enabled": False}


def test_there_is_no_bot_to_run(account: SandboxAccount) -> None:
    task = {"bot_id": 1, "entity_id": account.add_lead(), "entity_type": 2}
    for path in ("/api/v2/salesbot/run", "bots/run"):
        assert account.post(path, [task]).json["detail"] == "Bot not found"
        assert account.post(path, [{**task, "entity_id": 1}]).json["detail"] == "Entity not found"
        assert account.post(path, []).status == 400


def test_the_pages_counters_need_a_token(account: SandboxAccount) -> None:
    account.add_lead(price=5)
    account.add_lead(price=7)
    path = f"/ajax/leads/sum/{account.pipeline()}/"
    assert account.post(path, {}).json == {"all_count": 2, "all_price": 12}
    assert account.post("/ajax/contacts/list/companies/", {}).json["count"] == 1
    assert account.http.post(path).status_code == 401
