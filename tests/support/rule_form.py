"""A rule's form as a browser without scripts would send it: what stands in its fields, with a few of them changed."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from werkzeug.test import TestResponse

from support.pages import Visit


def fields_of(page: TestResponse) -> dict[str, str]:
    """Everything the form of the rule would send."""
    body = page.text.partition('id="the-rule"')[2].partition("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input ([^>]*)>", body):
        told = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in told and (told.get("type") != "radio" or " checked" in tag):
            found[told["name"]] = unescape(told.get("value", ""))
    for tag, text in re.findall(r"<textarea ([^>]*)>\n?(.*?)</textarea>", body, re.DOTALL):
        found[_name(tag)] = unescape(text)
    for tag, inside in re.findall(r"<select ([^>]*)>(.*?)</select>", body, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', inside) or re.search(r'value="([^"]*)"', inside)
        found[_name(tag)] = unescape(chosen[1]) if chosen else ""
    return found


def sent(visit: Visit, address: str, page: TestResponse, button: str = "review", **changes: Any) -> TestResponse:
    """The form of the page with some fields changed, sent by a button; None: the field is not sent. Dots are «__»."""
    told = {name.replace("__", "."): value for name, value in changes.items()}
    fields = {**fields_of(page), **told, "do": button}
    return visit.client.post(address, data={name: value for name, value in fields.items() if value is not None})


def _name(tag: str) -> str:
    found = re.search(r'name="([^"]*)"', tag)
    assert found is not None, tag
    return found[1]
