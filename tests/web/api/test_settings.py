"""Settings for programs: a section read, checked and written; secrets that go in; copies that stay on the server."""

from __future__ import annotations

import pytest
from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.config.loader import load
from amo_bridge.web.auth.users import Role

CALENDAR = "/settings/sections/calendar"


def test_a_section_is_read_checked_and_written(pages: Pages, master: Program) -> None:
    pages.know_account(agency())
    names = [one["name"] for one in master.get("/settings")["sections"]]
    assert names[:4] == ["calendar", "absences", "people", "roles"]
    form = master.get(CALENDAR)
    assert form["values"]["country"] == "RU"
    assert [one["key"] for one in form["options"]][:2] == ["country", "hours"]
    values = {**form["values"], "country": "KZ"}
    review = master.ask("POST", f"{CALENDAR}/check", {"values": values}).json
    assert (review["is_fit"], '+country = "KZ"' in review["difference"]) == (True, True)
    written = master.ask("PUT", CALENDAR, {"values": values, "mark": form["mark"]})
    assert (written.status_code, written.json["values"]["country"]) == (200, "KZ")
    assert load(pages.bridge.config.path, {}).calendar.country == "KZ"
    late = master.ask("PUT", CALENDAR, {"values": {**values, "country": "UA"}, "mark": form["mark"]})
    assert late.status_code == 409


def test_a_mistake_is_told_with_its_path(pages: Pages, master: Program) -> None:
    form = master.get(CALENDAR)
    wanted = {"values": {**form["values"], "timezone": "Europe/Moskow"}}
    review = master.ask("POST", f"{CALENDAR}/check", wanted).json
    assert [one["path"] for one in review["mistakes"]] == [["timezone"]]
    assert master.ask("PUT", CALENDAR, {**wanted, "mark": form["mark"]}).status_code == 422
    assert master.ask("PUT", CALENDAR, {"values": {"country": None}, "mark": form["mark"]}).status_code == 422


def test_a_section_of_names_and_an_optional_one(pages: Pages, master: Program) -> None:
    pages.know_account(agency())
    people = "/settings/sections/people"
    told = {"values": {"Иван Петров": {"telegram": 5}}, "mark": master.get(people)["mark"]}
    assert master.ask("PUT", people, told).json["values"] == {"Иван Петров": {"telegram": 5}}
    evening = "/settings/sections/evening_list"
    form = master.get(evening)
    assert form["is_set"] is False
    on = master.ask("PUT", evening, {"values": {"at": "18:00"}, "mark": form["mark"]}).json
    assert on["is_set"] is True
    off = master.ask("DELETE", f"{evening}?mark={on['mark']}")
    assert (off.status_code, off.json["is_set"]) == (200, False)
    assert master.ask("DELETE", f"{CALENDAR}?mark={off.json['mark']}").status_code == 409


def test_a_secret_is_set_and_told_to_nobody(pages: Pages, master: Program) -> None:
    path = pages.bridge.config.path
    path.write_text(f"{path.read_text('utf-8')}\n[telegram]\n", "utf-8")
    pages.bridge.watch.look(again=True)
    answer = master.ask("PUT", "/settings/secrets/AMO_BRIDGE_TELEGRAM_TOKEN", {"secret": "тайна-5512"})
    assert answer.status_code == 200
    assert "тайна-5512" not in answer.text
    sources = {one["variable"]: one["source"] for one in answer.json["secrets"]}
    assert sources["AMO_BRIDGE_TELEGRAM_TOKEN"] == "page"
    assert pages.bridge.environment["AMO_BRIDGE_TELEGRAM_TOKEN"] == "тайна-5512"
    for variable in ("AMO_BRIDGE_TOKEN", "AMO_BRIDGE_KEY", "HOME"):
        assert master.ask("PUT", f"/settings/secrets/{variable}", {"secret": "x"}).status_code == 404


def test_copies_are_made_and_stay_on_the_server(pages: Pages, master: Program) -> None:
    made = master.ask("POST", "/copies", {"note": "перед обновлением"}).json["copies"]
    assert [one["note"] for one in made] == ["перед обновлением"]
    name = made[0]["name"]
    for address in (f"/copies/{name}", f"/copies/{name}/download"):
        assert master.ask("GET", address).status_code in (404, 405)
    assert master.ask("DELETE", f"/copies/{name}").json["copies"] == []
    assert master.ask("DELETE", f"/copies/{name}").status_code == 404


def test_a_vendor_that_is_not_connected_is_not_tried(pages: Pages, master: Program) -> None:
    assert master.ask("POST", "/channels/telegram/trial", {"to": "5"}).status_code == 404
    assert master.ask("POST", "/channels/telegram/ask").status_code == 404
    assert master.get("/settings/retention") == {"rows": {}}


@pytest.mark.parametrize("path", ["/settings", CALENDAR, "/settings/secrets", "/settings/retention", "/copies"])
def test_settings_are_for_admins(pages: Pages, path: str) -> None:
    assert Program(pages, Role.HEAD).ask("GET", path).status_code == 403
