"""The API described: for programs (OpenAPI), for people (the page /api, docs/api.md); all of it made of the doors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from support.api_client import Program
from support.browser import PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, words_of

from amo_bridge.web.api import SUBJECTS, api, by_subject
from amo_bridge.web.auth.users import Role

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture
def told(reader: Program) -> dict[str, Any]:
    found: dict[str, Any] = reader.get("/openapi.json")
    return found


def operations(told: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_published_operations_keep_their_names(told: dict[str, Any]) -> None:
    """Programs are generated from them: an operation may come, none may go or change its id."""
    published = (Path(__file__).parent / "operation_ids.txt").read_text("utf-8").splitlines()
    there = {f"{method.upper()} {path} {operation['operationId']}" for method, path, operation in operations(told)}
    assert there >= {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", line) for line in published}


def test_every_operation_has_a_tag_that_is_described_and_a_name_of_its_own(told: dict[str, Any]) -> None:
    described = {tag["name"] for tag in told["tags"] if tag["description"]}
    names = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(set(names)) == len(names)
    assert {tag for _, _, operation in operations(told) for tag in operation["tags"]} == described


def test_every_operation_says_which_role_it_needs_and_how_it_says_no(told: dict[str, Any]) -> None:
    for method, path, operation in operations(told):
        assert operation["description"].split()[:2] in (["Role:", role] for role in Role), path
        assert {"200", "401", "403", "404", "503", "default"} <= set(operation["responses"]), path
        asked = "requestBody" in operation or any(one["in"] == "query" for one in operation["parameters"])
        assert ("422" in operation["responses"]) == asked, path
        assert ("409" in operation["responses"]) or method == "get", path


def test_every_parameter_of_a_path_is_described(told: dict[str, Any]) -> None:
    for _, path, operation in operations(told):
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_to_a_shape_that_says_what_it_is(told: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    schemas = told["components"]["schemas"]
    assert named <= set(schemas)
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []


def test_the_page_shows_the_doors_by_subject(admin: Visit) -> None:
    words = words_of(admin.get("/api"))
    assert set(by_subject(api.all)) == set(SUBJECTS), "no title of nothing"
    assert [name for name in SUBJECTS if str(SUBJECTS[name]) not in words] == []
    assert "PATCH /rules/{name} Включить или выключить правило; действует сразу RuleChange Администратор Rule" in words


@pytest.mark.parametrize("theme", ["dark"])
def test_the_page_is_read_on_a_phone(pages: Pages, browser: Browser, tmp_path: Path, theme: str) -> None:
    pages.add_user("Анна", Role.ADMIN)
    with served(pages.app) as url, opened(browser, url, viewport=PHONE, color_scheme=theme) as context:
        page = context.new_page()
        page.goto("/login?next=/api")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Репетиции")).to_be_visible()
        longest = page.get_by_text("/deals/{deal_id}/services/bloggers").bounding_box()
        assert longest is not None
        assert longest["x"] + longest["width"] <= PHONE["width"], "nothing is cut"
        assert fits_its_width(page)
        assert serious_findings(page) == []
        page.screenshot(path=tmp_path / f"api-{theme}.png", full_page=True)
