"""The documents say what is so: links, commands, variables, tables, config blocks and the example are tried."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from support.api_table import DOCUMENT, shown
from support.api_table import HEADERS as LANGUAGES
from support.api_table import rows as endpoint_rows
from support.doc_files import (
    LINK,
    PAGES,
    READMES,
    ROOT,
    anchors,
    fences,
    headings,
    labelled_links,
    links,
    named_paths,
    prose,
    rows,
    spans,
)

from amo_bridge.cli import main
from amo_bridge.cli.click_ru import Missing
from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.web.api import SUBJECTS, api

EXAMPLE = ROOT / "config.example.toml"
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
ADD_A_RULE = DOCS / "add-a-rule.md"
PACKAGE = ROOT / "amo_bridge"
VARIABLE = re.compile(r"AMO_BRIDGE_[A-Z_]*[A-Z]")
MODULE_NAME = re.compile(r"\w+(?:/\w+)+\.py")
PACKAGE_PATH = re.compile(rf"\b(?:{'|'.join(path.name for path in PACKAGE.iterdir() if path.is_dir())})/[\w/.]*\w")
BRIEF = "Продажи / Бриф получен"
AWAITED = "Продажи / Получение брифа"
OFFER = "Продажи / Согласование КП"
DAY = 86_400

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# --- links -------------------------------------------------------------------------------------------------------


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@every_page
def test_a_link_that_shows_a_path_leads_there(page: Path) -> None:
    """A label like ``engine/outbox.py`` or ``tests/text/`` is the end of the link's target."""
    wrong = []
    for label, target in labelled_links(page):
        is_path = re.fullmatch(r"[\w.-]+(/[\w.-]+)*(/|\.\w+)|\w+(/\w+)+", label) is not None
        path = target.partition("#")[0].removesuffix("/").removesuffix("/__init__.py")
        if is_path and not f"/{path}".endswith(f"/{label.removesuffix('/').removesuffix('/__init__.py')}"):
            wrong.append((label, target))
    assert wrong == []


@every_page
def test_every_path_that_is_named_exists(page: Path) -> None:
    assert [path for path in named_paths(page) if not (ROOT / path).exists()] == []


def test_the_two_readmes_say_the_same() -> None:
    english, russian = READMES
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(russian)]
    assert _links_to_others(english) == _links_to_others(russian)
    assert _commands(english) == _commands(russian)


def _links_to_others(readme: Path) -> list[str]:
    return [link for link in links(readme) if not link.startswith("README")]


def test_the_russian_readme_says_which_pages_are_in_english() -> None:
    """Whoever does not read it wants to know before he follows the link."""
    table = rows(READMES[1], "Где искать")
    linked = {(row, link) for row in table for link in LINK.findall(row) if link.endswith(".md")}
    marked = {link for row, link in linked if f"]({link}) (по-английски)" in row}
    assert marked == {link for _, link in linked if not _is_in_russian(ROOT / link)}


def _is_in_russian(page: Path) -> bool:
    """Russian words may be examples in an English text; a Russian part has paragraphs of them."""
    return any(len(re.findall("[а-яё]{2,}", part, re.IGNORECASE)) >= 20 for part in prose(page).split("\n\n"))


# --- commands ----------------------------------------------------------------------------------------------------


def _commands(page: Path) -> list[list[str]]:
    """The words after «amo-bridge» wherever the page names a command."""
    shell = "\n".join(fences(page, "sh")).replace("\\\n", " ")
    found = []
    for line in [*shell.replace("&&", "\n").splitlines(), *spans(prose(page))]:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for place, word in enumerate(words[:-1]):
            is_command = word.rpartition("/")[2] == "amo-bridge" and re.fullmatch(r"[a-z]+", words[place + 1])
            if is_command and (place == 0 or words[place - 1] == "amo-bridge"):
                found.append(words[place + 1 :])
    return found


@every_page
def test_every_command_that_is_named_exists_with_its_options(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, *arguments in _commands(page):
        for file in (argument for argument in arguments if re.fullmatch(r"\w+\.(tar|form|csv|xlsx)", argument)):
            Path(file).touch()
        assert name in main.commands, f"amo-bridge {name}"
        command = main.commands[name]
        if isinstance(command, click.Group) and arguments:
            assert arguments[0] in command.commands, f"amo-bridge {name} {arguments[0]}"
            command, arguments = command.commands[arguments[0]], arguments[1:]
        try:
            command.make_context(name, list(arguments))
        except (Missing, click.exceptions.NoArgsIsHelpError):
            continue  # spoken of, not spelled out


@pytest.mark.parametrize("heading", ["Команды", "Commands"])
def test_the_table_of_commands_is_complete(heading: str) -> None:
    documented = {}
    for row in rows(DOCS / "commands.md", heading):
        code = spans(row)
        documented[code[0].split()[1]] = {span for span in code[1:] if span.startswith("--")}
    assert documented == {name: _options(command) for name, command in main.commands.items()}


def _options(command: click.Command) -> set[str]:
    names = {name for option in command.params if isinstance(option, click.Option) for name in option.opts}
    return {name for name in names if name.startswith("--")} - {"--config", "--help"}


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"^make ([a-z]+)", "\n".join([*fences(page, "sh"), *spans(prose(page))]), re.MULTILINE)
    assert [target for target in named if target not in targets] == []


# --- tables ------------------------------------------------------------------------------------------------------


def test_the_pictures_of_the_stages_show_rules_that_there_are() -> None:
    pictures = [body for body in fences(DOCS / "rules.md", "mermaid") if body.startswith("stateDiagram")]
    clauses = {clause for rule in load(EXAMPLE, {}).rules for clause in rule.clauses}
    example = EXAMPLE.read_text("utf-8")
    assert len(pictures) == len(READMES), "one a language"
    for picture in pictures:
        assert {"A40", "A51", "A81", "A82"} <= set(re.findall(r"\bA\d+\b", picture)) <= clauses
        assert [name for name in re.findall(r'state "([^"]+)"', picture) if name not in example] == []


@pytest.mark.parametrize("page", [*READMES, DOCS / "design.md"], ids=lambda page: page.name)
def test_the_pictures_of_the_flow_name_modules_that_there_are(page: Path) -> None:
    named = [name for picture in fences(page, "mermaid") for name in MODULE_NAME.findall(picture)]
    assert "engine/inbox.py" in named
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_the_packages_own_picture_names_modules_that_there_are() -> None:
    named = PACKAGE_PATH.findall((PACKAGE / "__init__.py").read_text("utf-8"))
    assert "engine/inbox.py" in named
    assert [name for name in named if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize("heading", ["Переменные окружения", "Environment variables"])
def test_the_table_of_variables_names_all_that_the_code_reads_and_no_other(heading: str) -> None:
    documented = {name for row in rows(DOCS / "variables.md", heading) for name in VARIABLE.findall(row)}
    read = {name for source in PACKAGE.rglob("*.py") for name in VARIABLE.findall(source.read_text("utf-8"))}
    assert documented == read


def test_the_layers_are_those_that_the_imports_are_tested_by() -> None:
    source = ast.parse((ROOT / "tests" / "test_layers.py").read_text("utf-8"))
    (layers,) = (
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "LAYERS"
    )
    *listed, beside = (row.split(" | ")[1] for row in rows(DOCS / "design.md", "Layers"))
    assert [tuple(re.findall(r"[`\[](\w+)[`\]]", cell)) for cell in listed] == list(layers)
    assert "sandbox" in beside


def test_the_glossary_has_the_same_terms_in_both_languages() -> None:
    russian, english = (_terms(heading) for heading in ("Словарь", "Glossary"))
    assert list(russian) == list(english)
    assert russian == english, "and the same modules"


def test_every_term_of_the_glossary_names_where_it_is_in_the_code() -> None:
    for term, modules in _terms("Glossary").items():
        assert modules, term
        for module in modules:
            assert (ROOT / module).exists(), f"{term}: {module}"


def _terms(heading: str) -> dict[str, list[str]]:
    """Each term with the paths that its last cell links to, from the project's root."""
    terms = {}
    for row in rows(DOCS / "glossary.md", heading):
        cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
        terms[cells[0].strip("*")] = [link.removeprefix("../") for link in LINK.findall(cells[-1])]
    return terms


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_of_the_apis_endpoints_is_complete(language: str) -> None:
    assert {endpoint.subject for endpoint in api.all} <= set(SUBJECTS), "amo_bridge/web/api/__init__.py"
    assert shown(DOCUMENT.read_text("utf-8"), language).splitlines() == endpoint_rows(language), (
        "python tests/support/api_table.py writes the tables anew"
    )  # fmt: skip


def test_variables_named_elsewhere_are_in_the_table() -> None:
    known = set(VARIABLE.findall((DOCS / "variables.md").read_text("utf-8")))
    for page in PAGES:
        # AMO_BRIDGE_TOKEN__ACME is the token of acme.toml.
        named = {name.partition("__")[0] for name in VARIABLE.findall(page.read_text("utf-8"))}
        added = {
            name for block in fences(page, "diff") for name in re.findall(rf"^\+.*\b({VARIABLE.pattern})", block, re.M)
        }
        assert named <= known | added, page


# --- config blocks and the worked example -------------------------------------------------------------------------


@pytest.fixture
def config_with_the_blocks(tmp_path: Path) -> Path:
    """The example config with every rule that the documents show, and the folders of the worked examples."""
    blocks = [
        block for page in PAGES for block in fences(page, "toml") if "[handlers." in block or "[schedules." in block
    ]
    assert blocks
    folders = [f'own_{section} = "{EXAMPLES / section}"' for section in ("handlers", "schedules")]
    own = "\n".join(["[bridge]", *folders, ""])
    path = tmp_path / "config.toml"
    path.write_text("\n".join([EXAMPLE.read_text("utf-8").replace("[bridge]\n", own), *blocks]), "utf-8")
    return path


def test_the_blocks_in_the_documents_are_good_and_name_what_the_account_has(config_with_the_blocks, sandbox) -> None:
    config = load(config_with_the_blocks, {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url})
    account = Account.read(CrmClient(sandbox.url, LongLivedToken("sandbox-token"), LocalRateLimiter(5000)))
    assert unknown_names(config, account) == []


def test_the_example_handler_works_in_a_running_bridge(config_with_the_blocks, sandbox, office, start_bridge) -> None:
    told = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(config_with_the_blocks.parent / "data")}
    config = load(config_with_the_blocks, told)
    config = replace(config, account=config.account.model_copy(update={"requests_per_second": 5000.0}))
    bridge = start_bridge(config).wait_ready()
    contact = office.new_contact("Иван Петров", "Ольга Ромашкина")
    deal = office.new_deal("Иван Петров", "Ромашка", AWAITED, contact, 1000)
    bridge.settle(sandbox)
    assert _tags(office) == {deal: []}
    office.move("Иван Петров", deal, BRIEF)
    bridge.settle(sandbox)
    assert _tags(office) == {deal: ["бриф есть"]}
    said = [entry.reason for entry in bridge.journal(deal) if entry.rule == "deal_gets_tag.brief"]
    assert said == ["этап «Продажи / Получение брифа» не из этого правила", ""]


def test_the_example_schedule_works_in_a_running_bridge(config_with_the_blocks, sandbox, office, start_bridge) -> None:
    told = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(config_with_the_blocks.parent / "data")}
    bridge = start_bridge(load(config_with_the_blocks, told)).wait_ready()
    deal = office.new_deal("Иван Петров", "Ромашка", AWAITED, office.new_contact("Иван Петров", "Ольга"), 1000)
    office.move("Иван Петров", deal, OFFER)
    bridge.settle_at(sandbox, advance=13 * DAY)
    assert "застряла" not in tags_of(office, deal)
    bridge.settle_at(sandbox, advance=DAY + 60)
    assert "застряла" in tags_of(office, deal)


def tags_of(office: CrmUser, deal: int) -> list[str]:
    return next(tags for number, tags in _tags(office).items() if number == deal)


def _tags(office: CrmUser) -> dict[int, list[str]]:
    return {
        row["id"]: [tag["name"] for tag in row["_embedded"]["tags"]]
        for stage in (BRIEF, AWAITED, OFFER)
        for row in office.deals_on(stage)
    }


def imports_shown() -> list[tuple[str, str]]:
    """(module, name) of every import of ours in the code that the pages show, but what a page itself adds."""
    shown = set()
    for page in PAGES:
        added = set(re.findall(r"^(?:\+?class |\+(?=[A-Z_]+ = ))(\w+)", page.read_text("utf-8"), re.MULTILINE))
        for body in fences(page, "python"):
            for node in ast.walk(ast.parse(body)):
                if isinstance(node, ast.ImportFrom):
                    shown |= {(node.module or "", alias.name) for alias in node.names if alias.name not in added}
    return sorted(shown)


@pytest.mark.parametrize(("module", "name"), [one for one in imports_shown() if one[0].startswith("amo_bridge")])
def test_what_the_code_shown_imports_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_the_code_shown_is_the_examples_own() -> None:
    shown = fences(ADD_A_RULE, "python")
    files = [
        EXAMPLES / "handlers" / "deal_gets_tag.py",
        EXAMPLES / "test_deal_gets_tag.py",
        EXAMPLES / "schedules" / "slow_deal_gets_tag.py",
        EXAMPLES / "test_slow_deal_gets_tag.py",
    ]
    assert shown == [file.read_text("utf-8") for file in files]


def test_the_examples_own_test_passes() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "docs/examples"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
