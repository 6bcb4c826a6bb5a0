"""The bridge's own words, stored in Russian, in English: each sentence that the code can make, and nothing guessed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_client import Program
from support.pages import NOWHERE, Pages, Visit, agency, words_of
from support.running_bridge import EXAMPLE

from amo_bridge.channels.vendor_states import ADVICE, OTHERWISE
from amo_bridge.channels.vendors import VENDORS
from amo_bridge.config.loader import load
from amo_bridge.crm.responses import _WORDS
from amo_bridge.errors import AmbiguousName, UnknownName
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.web.auth.users import Role
from amo_bridge.web.stored_sentences import LONGEST, PLACE, RUSSIAN_LETTERS, all_stored, catalogue, in_english

ROOT = Path(__file__).parents[2]
ENGINE = (
    "deal_view", "dead_letters", "dispatcher", "effects", "freshness", "journal", "manual_edits",
    "outbox", "processor", "recorder", "resolver", "sender", "task_ends", "undo",
)  # fmt: skip
RULES = ("answers", "enquiries", "gates", "handler", "ladders")
MODULES = sorted(
    [
        *ROOT.glob("handlers/*.py"),
        *ROOT.glob("schedules/*.py"),
        *(ROOT / "amo_bridge/events").glob("*.py"),
        *(ROOT / f"amo_bridge/engine/{name}.py" for name in ENGINE),
        *(ROOT / f"amo_bridge/rules/{name}.py" for name in RULES),
    ]
)
"""Where sentences of the journal are made: what happened, why nothing was done, what was done, what is taken back."""
SAYS = {"Skip", "Waiting", "Withheld", "verdict", "Undoing", "Effect", "_effect"}
"""Calls whose texts go into the journal as they are."""
LISTS = {"STAYS", "GUARDED", "DEAL_GONE", "GONE", "AWAITS_ITS_STEPS", "UNSEEN"}
"""Constants of such texts."""


def forms(node: ast.AST) -> Iterator[str]:
    """The Russian texts in an expression, with {1}, {2} where an f-string has values; conditions have two texts."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        number, parts = 0, []
        for value in node.values:
            number += isinstance(value, ast.FormattedValue)
            parts.append(value.value if isinstance(value, ast.Constant) else f"{{{number}}}")
        yield "".join(map(str, parts))
    elif isinstance(node, ast.IfExp):
        yield from forms(node.body)
        yield from forms(node.orelse)
    elif isinstance(node, ast.Dict | ast.BoolOp):
        for value in node.values:
            yield from forms(value)


def said_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SAYS:
                for argument in (*node.args, *(key.value for key in node.keywords if key.arg in ("why", "reason"))):
                    yield from forms(argument)
            elif name == "replace":
                for key in node.keywords:
                    if key.arg == "reason":
                        yield from forms(key.value)
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from forms(node.value)
        elif isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            if names & ({"label", "reason", "words", "why"} | LISTS):
                yield from forms(node.value)


RAISED = re.compile("Channel(Error|Down|Busy|Uncertain|Refused)|Crm[A-Z][a-z]+|NotConnected|StoreUnavailable")
"""Errors that a person reads: on the overview, among the channels, on the page of the connection."""
NAMED = {"words", "why", "told", "reason", "detail"}


def raised() -> dict[str, str]:
    """Every sentence of errors of amoCRM, of channels and of the store, and what their texts are made of → where."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "amo_bridge").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and RAISED.fullmatch(_name_of(node))]
        texts = [text for call in calls for argument in call.args for text in forms(argument)]
        if calls:
            assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
            named = (one for one in assigned if NAMED & {getattr(target, "id", "") for target in one.targets})
            texts += [text for one in named for text in forms(one.value)]
        found |= {text: path.name for text in texts if RUSSIAN_LETTERS.search(text)}
    return found


def _name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def told_of_amocrm() -> list[str]:
    """What is told of amoCRM's errors, and what to do about a channel's."""
    reasons = [f"{words} (GET /api/v4/leads: 500)" for _, words in _WORDS]
    vendors = [one.no_secret for one in VENDORS if one.no_secret]
    advice = filter(None, dict(ADVICE).values())
    return [*reasons, *(f"{words} (AMO_BRIDGE_KEY)" for words in vendors), *advice, OTHERWISE]


def said() -> dict[str, str]:
    """Every sentence that these modules put into the journal → where."""
    found: dict[str, str] = {}
    for path in MODULES:
        for text in said_in(ast.parse(path.read_text("utf-8"))):
            if RUSSIAN_LETTERS.search(text):
                found.setdefault(text, path.name)
    return found


WHOLE, IN_AMOCRM = "the catalogue has the whole of it, with and without", "a text in amoCRM, quoted as it stands there"
PARTS = {
    "найдено позже: ": WHOLE,
    "новая сделка «{1}» в «Неразобранном» воронки «{2}»{3}": WHOLE,
    "письмо клиенту «{1}»{2}": WHOLE,
    "правило сломано: ": WHOLE,
    "с начала счёта с клиентом ": WHOLE,
    "сделка пришла на этап «{1}»{2}": WHOLE,
    "{1} без темы": WHOLE,
    "{1} в чате": WHOLE,
    "длина неизвестна": WHOLE,
    "{1} с": WHOLE,
    "{1} (ответ по другой его сделке: «{2}», {3})": IN_AMOCRM,
    "Завести контакт блогера «{1}» и прикрепить к сделке: среди контактов его нет": IN_AMOCRM,
    "Прикрепить к сделке контакт блогера «{1}»: с таким именем их несколько, мост не знает, кто нужен": IN_AMOCRM,
    "Услуги в сделке изменились: эта задача больше не нужна": IN_AMOCRM,
    "звонок{1}, разговор от {2} секунд": IN_AMOCRM,
    "{1} … (или любая картинка)": IN_AMOCRM,
    "любая картинка": IN_AMOCRM,
    "без имени": "stands for a name",
    "поле {1}": "stands for a field's name",
    "элемент {1} списка {2}": "stands for a value",
    "сразу": "a step's name",
    ", но номера {1} (number) среди арендованных нет": "the end of what an exchange says when it is asked by a button",
    "у «{1}» {2}": "what is wrong with a person's extension, told by a button",
    "onlinePBX не пускает: проверьте {1}, {2} — в кабинете АТС": WHOLE,
    "onlinePBX не пускает: {1}; проверьте {2} и domain, {3} — в АТС": WHOLE,
}
"""What is no sentence of its own → why it needs no English."""


@pytest.mark.parametrize("kind", ["journal", "errors"])
def test_every_sentence_has_its_english(kind: str) -> None:
    lacking = {
        text: name
        for text, name in (said() if kind == "journal" else raised()).items()
        if text not in PARTS and not in_english(PLACE.sub("Ромашка", re.sub(r"\{0\}", "", text)))
    }
    assert not lacking, "\n".join(map(str, lacking.items()))


def test_enough_was_looked_at() -> None:
    assert len(said()) > 250
    assert len(raised()) > 150


@pytest.mark.parametrize("russian", told_of_amocrm())
def test_what_holds_amocrm_or_a_channel_up_has_its_english(russian: str) -> None:
    assert not RUSSIAN_LETTERS.search(in_english(russian) or russian)


@pytest.mark.parametrize("kind", ["воронки", "этапа", "поля", "пользователя", "причины отказа", "типа задачи"])
def test_a_lost_name_has_its_english(kind: str) -> None:
    lost = (UnknownName(kind, "Бриф"), UnknownName(kind, "Бриф", nearest="Брифы"), AmbiguousName(kind, "А", ["Б", "В"]))
    told = [in_english(f"{error}; правило работает без этого") for error in lost]
    assert all(told)
    left = {word for words in told for word in re.findall("[а-яё]{4,}", words or "", re.IGNORECASE)}
    assert left <= {"Бриф", "Брифы"}


def test_nothing_is_translated_that_the_code_does_not_say() -> None:
    sources = [path for folder in ("amo_bridge", "handlers", "schedules") for path in (ROOT / folder).rglob("*.py")]
    texts = " ".join(
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and RUSSIAN_LETTERS.search(node.value)
    )
    gone = {
        form: word
        for form in catalogue()
        for word in re.findall("[а-яё]{4,}", PLACE.sub(" ", form))
        if word not in texts
    }
    assert gone == {}


@pytest.mark.parametrize(("russian", "english"), catalogue().items())
def test_each_form_is_known_by_itself(russian: str, english: str) -> None:
    """And keeps what stands in it; no Russian word of its own is left."""
    names = {place: f"Name{place}" for place, _ in PLACE.findall(russian)}
    told = in_english(PLACE.sub(lambda place: names[place[1]], russian))
    assert told == PLACE.sub(lambda place: names[place[1]], english)
    assert sorted(names) == sorted({place for place, _ in PLACE.findall(english)})
    assert not RUSSIAN_LETTERS.search(told.replace("«/клиенту»", ""))


@pytest.mark.parametrize(
    ("russian", "english"),
    [
        ("этап «Бриф „А“» не из этого правила", "stage «Бриф „А“» is not this rule's"),
        ("найдено позже: поле «Дата» = 5 (было 4)", "found later: field «Дата» = 5 (was 4)"),
        ("задача «Позвонить» — Иван, до 02.12.2026 10:00", "task «Позвонить» — Иван, due 02.12.2026 10:00"),
        ("этап → «Х»; поле «Сумма»: как было", "stage → «Х»; field «Сумма»: as it was"),
        ("вхолостую: весь мост ([bridge] dry_run)", "dry run: the whole bridge ([bridge] dry_run)"),
        (
            "слишком поздно: случилось 01.12.2026 09:00 UTC, правило ждёт 2 рабочих дня",
            "too late: it happened on 01.12.2026 09:00 UTC, the rule waits 2 working days",
        ),
        ("задача 7: срок 02.12.2026, исполнитель Иван", "task 7: due 02.12.2026, assignee Иван"),
        (
            "поля нет; правило ждёт, пока сделка на этапе «Х»",
            "поля нет; the rule waits as long as the deal is on stage «Х»",
        ),
    ],
)
def test_names_stay_and_sentences_in_sentences_are_english_too(russian: str, english: str) -> None:
    assert in_english(russian) == english


@pytest.mark.parametrize(
    "russian",
    [
        "",
        "Позвонить клиенту",
        "сделка закрыта, но деньги не пришли",
        "этап «Бриф» не из этого правила!",
        "сделка закрыта; деньги не пришли",
        # Two ways to read it.
        "поле «Дата» = 5 (было 4) (было 3)",
    ],
)
def test_what_the_bridge_did_not_say_is_not_translated(russian: str) -> None:
    assert in_english(russian) is None


@pytest.mark.parametrize(
    ("beginning", "again", "end"),
    [
        ("", "остаётся: ", "поле"),
        ("поле «Имя» = Иван", ": как было", ""),
        ("загрузка вебинара № 1", " (2", ""),
        ("нарушение пункта 1", " — 2", ""),
        ("", "; ", "."),
    ],
)
@pytest.mark.parametrize("signs", [LONGEST - 100, 10_000])
def test_words_of_people_can_neither_break_nor_hold_up_a_page(beginning: str, again: str, end: str, signs: int) -> None:
    """What a client writes stands in some sentences, and may look like hundreds of ours, one within another."""
    told = in_english(f"{beginning}{again * (signs // len(again))}{end}")
    assert told is None or signs <= LONGEST, "trying the forms costs the square of the length"


REASON = "этап «Бриф» не из этого правила"


@pytest.fixture
def told(pages: Pages) -> Pages:
    pages.say("acts", what="найдено позже: смена этапа", actions='["этап → «Бриф»"]', source="timer")
    pages.say("failed", event_id=2, what="задача удалена", reason="своё правило агентства сломалось")
    pages.say("skipped", event_id=3, reason=REASON)
    return pages


def in_both(visit: Visit, path: str) -> tuple[str, str]:
    russian = visit.get(path)
    visit.post("/settings/language/en", page="/")
    english = visit.get(path)
    assert '<span lang="ru">' in english.text, "whoever has it read aloud hears Russian words in Russian"
    assert '<span lang="ru">' not in russian.text
    return words_of(russian), words_of(english)


@pytest.mark.parametrize("path", ["/done", "/deals/30000001", "/rules/stage_creates_tasks.new_client"])
def test_pages_say_it_in_the_readers_language(told: Pages, viewer: Visit, path: str) -> None:
    russian, english = in_both(viewer, path)
    assert "найдено позже: смена этапа" in russian
    assert "найдено" not in english
    assert "found later: change of stage" in english
    assert "stage → «Бриф»" in english or path.startswith("/deals")
    assert "своё правило агентства сломалось" in english
    assert path == "/done" or ("stage «Бриф» is not this rule's" in english and REASON in russian)


def speaking(reader: Program, languages: str) -> Program:
    reader.headers["Accept-Language"] = languages
    return reader


def test_a_program_says_which_language_it_wants(told: Pages) -> None:
    reader = Program(told, Role.VIEWER)
    path = "/deals/30000001/journal"
    plain = reader.get(path)["entries"]
    english = speaking(reader, "en-GB,en;q=0.9").get(path)["entries"]
    assert [one["reason"] for one in plain] == ["", "своё правило агентства сломалось", REASON]
    assert [one["reason"] for one in english] == [
        "", "своё правило агентства сломалось", "stage «Бриф» is not this rule's",
    ]  # fmt: skip
    assert english[0]["what"] == "found later: change of stage"
    assert speaking(reader, "fr").get(path)["entries"] == plain


NO_ANSWER = "почтовый сервер mail.example.ru прервал связь: reset"
ENGLISH_OF_IT = "the mail server mail.example.ru broke the connection off: reset"


@pytest.fixture
def in_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """A bridge that amoCRM does not let in, and whose channel does not answer."""
    path = tmp_path / "config.toml"
    path.write_text(
        EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", NOWHERE) + "\n[telegram]\n", "utf-8"
    )
    pages = Pages.of(load(path, {}))
    pages.meet_account()
    pages.know_account(agency())
    pages.say("acts")
    trouble = "токен не подошёл: создайте новый (docs/connect-account.md) (GET /api/v4/account: 401)"
    monkeypatch.setattr(AccountRuntime, "trouble", trouble)
    monkeypatch.setattr(AccountRuntime, "channel_outages", {"notices": NO_ANSWER})
    yield pages
    pages.close()


@pytest.mark.parametrize("path", ["/", "/channels", "/connection"])
def test_warnings_are_in_the_readers_language(in_trouble: Pages, path: str) -> None:
    visit = in_trouble.visit(Role.ADMIN)
    told = {"/": "the token does not fit", "/channels": ENGLISH_OF_IT, "/connection": "the token does not fit"}[path]
    assert told not in words_of(visit.get(path))
    visit.post("/settings/language/en", page="/")
    english = words_of(visit.get(path))
    assert told in english
    assert not re.search("токен не|прервал связь", english)


def test_the_health_page_says_it_too(in_trouble: Pages) -> None:
    ask = in_trouble.app.test_client().get
    russian, english = (ask("/health", headers={"Accept-Language": one}).get_json() for one in ("ru", "en"))
    assert russian["channels"] == {"notices": NO_ANSWER}
    assert english["channels"] == {"notices": ENGLISH_OF_IT}
    assert english["trouble"].startswith("the token does not fit")
    with in_trouble.app.test_request_context(headers={"Cookie": "language=en"}):
        assert all_stored([f"канал mail: {NO_ANSWER}"]) == [f"channel mail: {ENGLISH_OF_IT}"]
        broken = {"issues": ["stage.new: поля «А» нет в аккаунте"]}
        assert all_stored(broken) == {"issues": ["stage.new: the account has no field «А»"]}
