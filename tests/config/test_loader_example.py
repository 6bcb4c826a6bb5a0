"""The examples together are the manual of the config: each works, and no key is left without a word.

config.example.toml comes first; what it explains, examples/*.toml needn't explain again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from amo_bridge.config.advertising import AudienceList
from amo_bridge.config.channels import VENDOR_SECTIONS, ApprovalsSection, PersonSection
from amo_bridge.config.intake import (
    CommunitySection,
    FormSection,
    IntakeSection,
    MailboxSection,
    MaxSection,
    MetaSection,
    SiteSection,
    TelegramIntakeSection,
    VendorSection,
    ZadarmaIntakeSection,
)
from amo_bridge.config.loader import RuleSwitches, load
from amo_bridge.config.model import (
    AccountSection,
    BridgeSection,
    DailyReportSection,
    PoliciesSection,
    ProvisionSection,
    ShiftStartSection,
)
from amo_bridge.config.webinar import BizonSection, WebinarSection
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.rules.letters import SeriesSpec
from amo_bridge.rules.option_types import taken
from amo_bridge.rules.registry import shipped
from amo_bridge.rules.service_lines import ServicesSection

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
EXAMPLES = [EXAMPLE, *sorted((ROOT / "examples").glob("*.toml"))]
LINES = [line for example in EXAMPLES for line in example.read_text("utf-8").splitlines()]
KEY = re.compile(r"(?:# )?([a-z_]+) = \S")
SECTION = re.compile(r"(?:# )?\[\[?([\w.\" -]+)\]?\]")
RUSSIAN = re.compile(r"# .*[а-яё]{3}")

SHIPPED = {**shipped("handlers"), **shipped("schedules")}
SECTIONS: dict[str, type[BaseModel]] = {
    "account": AccountSection,
    "bridge": BridgeSection,
    "calendar": CalendarOptions,
    "services": ServicesSection,
    "provision": ProvisionSection,
    **VENDOR_SECTIONS,
    "webinar": WebinarSection,
    "webinar.bizon": BizonSection,
    "intake": IntakeSection,
    **{f"intake.{vendor}": FormSection for vendor in ("tilda", "elementor", "cf7", "mapped")},
    "intake.html": SiteSection,
    "intake.vk": CommunitySection,
    "intake.mail": MailboxSection,
    "intake.telegram": TelegramIntakeSection,
    "intake.max": MaxSection,
    "intake.telegram_staff": VendorSection,
    "intake.max_staff": VendorSection,
    "intake.zadarma": ZadarmaIntakeSection,
    "intake.meta_leadgen": MetaSection,
    "intake.messenger": MetaSection,
    "people": PersonSection,
    "series": SeriesSpec,
    "audiences.lists": AudienceList,
    "approvals": ApprovalsSection,
    "daily_report": DailyReportSection,
    "policies": PoliciesSection,
    "shift_start": ShiftStartSection,
    **{name: handler.options for name, handler in SHIPPED.items()},
}


def keys() -> list[tuple[str, str, int]]:
    """(section or handler, key, line from 0) of every key; one that is shown in a comment counts."""
    found = []
    section = ""
    for number, line in enumerate(LINES):
        if header := SECTION.fullmatch(line):
            steps = header[1].split(".")
            section = steps[1] if steps[0] in ("handlers", "schedules") else ".".join(steps[:2])
            section = steps[0] if steps[0] in ("people", "series") else section
        elif key := KEY.match(line):
            found.append((section, key[1], number))
    return found


def test_they_are_right() -> None:
    rules = [rule for example in EXAMPLES for rule in load(example, {}).rules]
    assert {rule.handler.name for rule in rules} == set(SHIPPED)
    assert all(rule.clause and rule.says for rule in rules)


def test_every_key_is_explained_where_it_comes_first() -> None:
    seen = set()
    for section, key, number in keys():
        is_common = key in RuleSwitches.model_fields and section in SHIPPED
        if section != "roles" and (name := ("", key) if is_common else (section, key)) not in seen:
            seen.add(name)
            before = LINES[number - 1]
            assert RUSSIAN.match(before), f"[{section}] {key} has no comment above it"
            assert not KEY.match(before), f"[{section}] {key} shares its comment"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_shown(section: str) -> None:
    shown = {key for where, key, _ in keys() if where == section}
    shown |= {table[1] for line in LINES if (table := re.match(rf"(?:# )?\[\[?{section}\.(\w+)[.\]]", line))}
    elsewhere = dict(taken(SECTIONS[section]))
    wanted = {field.alias or name for name, field in SECTIONS[section].model_fields.items() if name not in elsewhere}
    assert wanted <= shown


def test_the_keys_that_all_rules_have_are_shown() -> None:
    assert set(RuleSwitches.model_fields) <= {key for _, key, _ in keys()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_is_shown_in_a_comment_could_be_switched_on(example: Path, tmp_path: Path) -> None:
    """A key in a comment is right too: whoever takes the # away gets a config that works."""
    lines = example.read_text("utf-8").splitlines()
    path = tmp_path / "config.toml"
    (tmp_path / "my_handlers").mkdir()
    (tmp_path / "my_schedules").mkdir()
    path.write_text(
        "\n".join(line[2:] if line.startswith("# ") and is_config(line) else line for line in lines), "utf-8"
    )
    config = load(path, {})
    if example == EXAMPLE:
        assert config.bridge.own_handlers == "my_handlers"
        assert config.channels.mail is not None


def is_config(line: str) -> bool:
    return bool(KEY.match(line) or SECTION.fullmatch(line))


@pytest.mark.parametrize("document", sorted(set(re.findall(r"docs/[\w-]+\.md", "\n".join(LINES)))))
def test_the_documents_it_names_are_there(document: str) -> None:
    assert (ROOT / document).is_file()
