"""Leads as amoCRM keeps them: stages, closing, tags, what is embedded, filters."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from support.sandbox_account import SandboxAccount


def test_a_new_lead_stands_on_the_first_stage_and_is_the_tokens_user(account: SandboxAccount) -> None:
    lead = account.lead(account.add_lead(name="Новая"))
    assert {name: lead[name] for name in ("pipeline_id", "status_id")} == account.stage("Новый клиент")
    assert lead["responsible_user_id"] == lead["created_by"] == account.user("Интеграция amo-bridge")
    assert lead["custom_fields_values"] is None
    assert lead["closed_at"] is None
    assert lead["_embedded"]["tags"] == []


def test_contacts_and_loss_reason_are_embedded_only_when_asked_for(account: SandboxAccount) -> None:
    lead_id = account.add_lead(_embedded={"contacts": [{"id": account.contact()}]})
    assert account.lead(lead_id, "")["_embedded"].keys() == {"tags", "companies"}
    embedded = account.lead(lead_id)["_embedded"]
    assert [(item["id"], item["is_main"]) for item in embedded["contacts"]] == [(account.contact(), True)]
    assert embedded["loss_reason"] == []


def test_a_lost_lead_gets_closed_at_and_a_reopened_one_loses_it_with_its_reason(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    account.world.clock.freeze()
    now = account.world.clock.advance(100)
    account.patch(f"leads/{lead_id}", {"status_id": 143, "loss_reason_id": account.reason("Дорого")})
    lost = account.lead(lead_id)
    assert (lost["closed_at"], lost["updated_at"]) == (now, now)
    assert [reason["name"] for reason in lost["_embedded"]["loss_reason"]] == ["Дорого"]
    account.patch(f"leads/{lead_id}", account.stage("Получение брифа"))
    back = account.lead(lead_id)
    assert (back["closed_at"], back["loss_reason_id"]) == (None, None)


def test_a_loss_reason_for_a_living_lead_is_refused(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    answer = account.patch(f"leads/{lead_id}", {"loss_reason_id": account.reason("Дорого")})
    assert answer.status == 400
    assert answer.json["errors"] == {str(lead_id): "Loss reason can be specified only for lost lead"}


def test_won_and_lost_are_statuses_of_every_pipeline(account: SandboxAccount) -> None:
    lead_id = account.add_lead(**account.stage("Тайминг", "Реализация"))
    account.patch(f"leads/{lead_id}", {"status_id": 142})
    lead = account.lead(lead_id)
    assert (lead["pipeline_id"], lead["status_id"]) == (account.pipeline("Реализация"), 142)
    assert lead["closed_at"] is not None


@pytest.mark.parametrize("name", ["Неразобранное", "Тайминг"])
def test_a_stage_that_is_not_the_pipelines_or_is_unsorted_is_refused(account: SandboxAccount, name: str) -> None:
    lead_id = account.add_lead()
    pipeline = "Реализация" if name == "Тайминг" else "Продажи"
    status_id = account.stage(name, pipeline)["status_id"]
    wanted = {"pipeline_id": account.pipeline(), "status_id": status_id}
    assert account.patch(f"leads/{lead_id}", wanted).errors == [("status_id", "NotSupportedChoice")]
    assert account.lead(lead_id)["status_id"] == account.stage("Новый клиент")["status_id"]


def test_a_pipeline_alone_means_its_first_stage(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    account.patch(f"leads/{lead_id}", {"pipeline_id": account.pipeline("Работа с потерянными")})
    assert account.lead(lead_id)["status_id"] == account.stage("Потерянные", "Работа с потерянными")["status_id"]


def test_a_deactivated_user_in_a_model_sent_back_is_refused(account: SandboxAccount) -> None:
    ivan = account.user("Иван Петров")
    lead_id = account.add_lead(responsible_user_id=ivan)
    switched = {"user_id": account.user("Елена Орлова"), "target_id": ivan}
    assert account.post("/sandbox/ui/deactivate_user", switched).status == 200
    answer = account.patch(f"leads/{lead_id}", account.lead(lead_id))
    assert answer.errors == [("responsible_user_id", "NotSupportedChoice")]


def test_tags_are_added_deleted_replaced_and_cleared(account: SandboxAccount) -> None:
    lead_id = account.add_lead(tags_to_add=[{"name": "а"}, {"name": "б"}])

    def after(**patch: object) -> list[str]:
        assert account.patch(f"leads/{lead_id}", patch).status == 200
        return [tag["name"] for tag in account.lead(lead_id)["_embedded"]["tags"]]

    assert after(tags_to_add=[{"name": "в"}, {"name": "а"}]) == ["а", "б", "в"]
    assert after(tags_to_delete=[{"name": "б"}, {"name": "нет такого"}]) == ["а", "в"]
    assert after(_embedded={"tags": [{"name": "г"}]}) == ["г"]
    assert after(name="теги не названы") == ["г"]
    assert after(_embedded={"tags": None}) == []


def test_the_tags_dictionary_keeps_one_tag_a_name(account: SandboxAccount) -> None:
    first = account.post("leads/tags", [{"name": "vip"}]).json["_embedded"]["tags"][0]["id"]
    second = account.post("leads/tags", [{"name": "vip"}]).json["_embedded"]["tags"][0]["id"]
    assert first == second
    assert [tag["name"] for tag in account.get("leads/tags?filter[name]=vip").json["_embedded"]["tags"]] == ["vip"]
    assert account.get("contacts/tags").status == 204


def test_a_batch_patch_needs_known_ids(account: SandboxAccount) -> None:
    lead_id = account.add_lead(name="было")
    answer = account.patch("leads", [{"id": lead_id, "name": "стало"}, {"name": "без id"}, {"id": 5}])
    assert answer.errors == [("id", "FieldMissing"), ("id", "NotSupportedChoice")]
    assert account.lead(lead_id)["name"] == "было"


def test_a_patch_answers_with_id_and_updated_at_only(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    assert account.patch(f"leads/{lead_id}", {"price": 5}).json.keys() == {"id", "updated_at", "_links"}
    (item,) = account.patch("leads", [{"id": lead_id, "price": 6}]).json["_embedded"]["leads"]
    assert item.keys() == {"id", "updated_at", "_links"}


def test_one_patch_of_many_things_is_one_change(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    mark = len(account.changes)
    patch = {**account.stage("Бриф получен"), "responsible_user_id": account.user("Иван Петров"), "price": 7}
    account.patch(f"leads/{lead_id}", patch)
    (change,) = account.changes[mark:]
    assert change.before is not None
    assert change.after is not None
    assert (change.before["price"], change.after["price"]) == (0, 7)
    assert change.after["status_id"] == account.stage("Бриф получен")["status_id"]


def test_a_patch_that_changes_nothing_is_no_change(account: SandboxAccount) -> None:
    lead_id = account.add_lead(name="а", price=5)
    mark = len(account.changes)
    account.world.clock.advance(100)
    before = account.lead(lead_id)["updated_at"]
    assert account.patch(f"leads/{lead_id}", {"name": "а", "price": 5}).json["updated_at"] == before
    assert account.changes[mark:] == []


def test_contacts_sent_in_a_patch_are_ignored(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    account.patch(f"leads/{lead_id}", {"_embedded": {"contacts": [{"id": account.contact()}]}})
    assert account.lead(lead_id)["_embedded"]["contacts"] == []


def test_closest_task_is_the_first_open_one(account: SandboxAccount) -> None:
    lead_id = account.add_lead()
    about = {"entity_id": lead_id, "entity_type": "leads"}
    account.add_task(complete_till=300, **about)
    soon = account.add_task(complete_till=200, **about)
    assert account.lead(lead_id)["closest_task_at"] == 200
    account.patch(f"tasks/{soon}", {"is_completed": True})
    assert account.lead(lead_id)["closest_task_at"] == 300


def found(account: SandboxAccount, *query: tuple[str, object]) -> set[int]:
    answer = account.get(f"leads?{urlencode(query)}")
    return {lead["id"] for lead in answer.json["_embedded"]["leads"]} if answer.status == 200 else set()


def test_filters(account: SandboxAccount) -> None:
    field, ivan = account.field("Тип оплаты"), account.user("Иван Петров")
    stage = account.stage("Бриф получен")
    one = account.add_lead(name="Один", price=100, responsible_user_id=ivan)
    two = account.add_lead(name="Два", price=200, **stage)
    prepaid = [{"field_id": field, "values": [{"value": "Предоплата"}]}]
    three = account.add_lead(name="Три", price=300, custom_fields_values=prepaid, **stage)
    enums = account.world.table("custom_fields/leads")[field]["enums"]
    enum_id = next(enum["id"] for enum in enums if enum["value"] == "Предоплата")
    assert found(account, ("filter[id][]", one), ("filter[id][]", three)) == {one, three}
    assert found(account, ("filter[price][from]", 150), ("filter[price][to]", 250)) == {two}
    assert found(account, ("filter[responsible_user_id]", ivan)) == {one}
    pair = [(f"filter[statuses][0][{name}]", value) for name, value in stage.items()]
    assert found(account, *pair) == {two, three}
    assert found(account, (f"filter[custom_fields_values][{field}][]", enum_id)) == {three}
    assert found(account, ("query", "дВа")) == {two}


def test_filters_that_are_off_are_ignored_in_silence(account: SandboxAccount) -> None:
    ids = {account.add_lead(name="Один"), account.add_lead(name="Два")}
    account.world.account["is_api_filter_enabled"] = False
    assert found(account, ("filter[name]", "Один")) == ids
    assert account.get("account?with=is_api_filter_enabled").json["is_api_filter_enabled"] is False


def test_order_by_updated_at(account: SandboxAccount) -> None:
    account.world.clock.freeze()
    ids = []
    for _ in range(3):
        ids.append(account.add_lead())
        account.world.clock.advance(10)
    account.patch(f"leads/{ids[0]}", {"price": 1})
    leads = account.get("leads?order[updated_at]=desc").json["_embedded"]["leads"]
    assert [lead["id"] for lead in leads] == [ids[0], ids[2], ids[1]]


def test_a_deleted_lead_is_only_in_the_bin(account: SandboxAccount) -> None:
    lead_id = account.add_lead(name="а", price=5)
    by = {"user_id": account.user("Иван Петров"), "lead_id": lead_id}
    account.post("/sandbox/ui/delete_lead", by)
    assert account.get(f"leads/{lead_id}").status == 204
    assert account.get("leads").status == 204
    (deleted,) = account.get("leads?with=only_deleted").json["_embedded"]["leads"]
    assert (deleted["id"], deleted["name"], deleted["is_deleted"]) == (lead_id, None, True)
    assert account.patch(f"leads/{lead_id}", {"price": 6}).errors == [("id", "NotSupportedChoice")]
    account.post("/sandbox/ui/restore_lead", by)
    assert account.lead(lead_id)["price"] == 5
    assert [change.action for change in account.changes] == ["add", "delete", "restore"]


def test_complex_add_makes_lead_contact_and_company_in_a_bare_list(account: SandboxAccount) -> None:
    phone = {"field_code": "PHONE", "values": [{"value": "+7 999 000-00-00"}]}
    answer = account.post(
        "leads/complex",
        [
            {
                "name": "Сайт",
                "_embedded": {
                    "contacts": [{"first_name": "Пётр", "last_name": "Ильин", "custom_fields_values": [phone]}],
                    "companies": [{"name": "ООО «Ильин»"}],
                },
                "request_id": "x",
            }
        ],
    )
    (made,) = answer.json
    assert (made["request_id"], made["merged"]) == (["x"], False)
    assert account.get(f"contacts/{made['contact_id']}").json["name"] == "Пётр Ильин"
    lead = account.lead(made["id"])
    assert [item["id"] for item in lead["_embedded"]["contacts"]] == [made["contact_id"]]
    assert [item["id"] for item in lead["_embedded"]["companies"]] == [made["company_id"]]


def test_complex_add_names_the_place_inside_the_contact(account: SandboxAccount) -> None:
    wrong = {"field_code": "PHONE", "values": [{"value": "1", "enum_code": "CAR"}]}
    answer = account.post("leads/complex", [{"_embedded": {"contacts": [{"custom_fields_values": [wrong]}]}}])
    path = "_embedded.contacts.0.custom_fields_values.0.values.0.enum_code"
    assert answer.errors == [(path, "NotSupportedChoice")]
    assert account.get("leads").status == 204


def test_complex_add_takes_fifty_at_most(account: SandboxAccount) -> None:
    assert account.post("leads/complex", [{}] * 51).status == 422


@pytest.mark.parametrize(("is_on", "merged"), [(True, True), (False, False)])
def test_duplicate_control_merges_into_the_open_lead(account: SandboxAccount, is_on: bool, merged: bool) -> None:
    account.world.account["is_duplicate_control_enabled"] = is_on
    lead_id = account.add_lead(_embedded={"contacts": [{"id": account.contact()}]})
    phone = {"field_code": "PHONE", "values": [{"value": "8 (903) 111-22-33"}]}
    contact = {"name": "Аня", "custom_fields_values": [phone]}
    (made,) = account.post("leads/complex", [{"_embedded": {"contacts": [contact]}}]).json
    assert made["merged"] is merged
    assert (made["id"] == lead_id) is merged
    assert (made["contact_id"] == account.contact()) is merged
