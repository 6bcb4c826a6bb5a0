"""Yandex table: a workbook on a disk that people edit too; nothing of theirs is lost, nothing is written over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from support.sheet_kits import YandexKit, book_of, sheets_of

from amo_bridge.channels import yandex_disk
from amo_bridge.channels.sheets import SheetRow
from amo_bridge.channels.yandex_disk import YandexTable
from amo_bridge.config.channels import YandexTableSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelUncertain
from amo_bridge.standins.server import StandIns, serving

HEAD = ("Ключ", "День", "Сумма")
ROW = SheetRow("1", ["23.11.2026", 1_000])
LISTED = ["1", "23.11.2026", 1_000]
API = "https://cloud-api.yandex.net/v1/disk"
PATH = "disk:/Отчёты.xlsx"


@pytest.fixture
def kit() -> Iterator[YandexKit]:
    stand_ins = StandIns(["yandex_disk"], live=False)
    with serving(stand_ins):
        yield YandexKit(stand_ins)


def write(kit: YandexKit, *rows: SheetRow, sheet: str = "Отчёты") -> None:
    kit.service().write(sheet, HEAD, rows or [ROW], lambda key: None)


def test_a_file_that_is_not_there_is_made_with_every_sheet_that_is_kept(kit: YandexKit) -> None:
    kit.section = kit.section.model_copy(update={"kpi": "KPI", "losses": "Потери"})
    assert kit.service().check() == f"Яндекс.Диск пускает, книги {kit.path} ещё нет: мост создаст её"
    write(kit, sheet="KPI")
    assert kit.sheets() == {"Отчёты": [], "KPI": [list(HEAD), LISTED], "Потери": []}
    assert kit.service().check() == (
        "Яндекс Таблица открыта, на листе «Отчёты» строк: 0, на листе «KPI» строк: 2, на листе «Потери» строк: 0"
    )


def test_what_is_so_already_is_not_uploaded(kit: YandexKit) -> None:
    write(kit)
    write(kit)
    assert len(kit.disk.history) == 1


def test_what_somebody_saves_meanwhile_is_kept(kit: YandexKit) -> None:
    write(kit)
    theirs = book_of({"Отчёты": [[*HEAD, "Заметка"], [*LISTED, "молодец"]]})
    kit.disk.saved_meanwhile = [theirs]
    write(kit, ROW, SheetRow("2", ["24.11.2026", 5]))
    assert kit.sheets()["Отчёты"] == [[*HEAD, "Заметка"], [*LISTED, "молодец"], ["2", "24.11.2026", 5]]
    assert [content for _, content in kit.disk.history].index(theirs) == 1


def test_a_file_that_is_made_by_somebody_meanwhile_is_not_overwritten(kit: YandexKit) -> None:
    kit.disk.saved_meanwhile = [book_of({"Отчёты": [["Моё"]]})]
    with pytest.raises(ChannelDown, match="нет столбца «Ключ»"):
        write(kit)
    assert kit.sheets() == {"Отчёты": [["Моё"]]}


def test_who_saves_without_end_is_waited_for(kit: YandexKit) -> None:
    write(kit)
    kit.disk.saved_meanwhile = [book_of({"Отчёты": [list(HEAD), [str(number)]]}) for number in range(9)]
    with pytest.raises(ChannelBusy, match="всё время меняют"):
        write(kit, SheetRow("2", ["24.11.2026", 5]))
    assert len(kit.disk.saved_meanwhile) == 9 - yandex_disk.TRIES


def test_a_workbook_that_can_not_be_read_is_told_and_left_alone(kit: YandexKit) -> None:
    kit.disk.save(kit.path, b"PK not a book")
    for call in (lambda: write(kit), kit.service().check):
        with pytest.raises(ChannelDown, match="это не книга XLSX, или она повреждена; мост её не трогает"):
            call()
    assert len(kit.disk.history) == 1


@pytest.mark.parametrize(
    ("setting", "value", "words", "kind"),
    [
        ("locked", True, "занят, его кто-то правит", ChannelBusy),
        ("quota", 10, "507", ChannelDown),
        ("takes_later", True, "пока показывает другой", ChannelUncertain),
        ("hides_md5", True, "ещё не принял последнюю правку", ChannelBusy),
    ],
)
def test_what_the_disk_says_is_told(
    kit: YandexKit, setting: str, value: object, words: str, kind: type[ChannelError]
) -> None:
    write(kit)
    kept = getattr(kit.disk, setting)
    setattr(kit.disk, setting, value)
    with pytest.raises(kind, match=words):
        write(kit, SheetRow("2", ["24.11.2026", 5]))
    setattr(kit.disk, setting, kept)
    for _ in range(2):
        write(kit, SheetRow("2", ["24.11.2026", 5]))
    assert kit.sheets()["Отчёты"] == [list(HEAD), LISTED, ["2", "24.11.2026", 5]]


def test_a_folder_in_its_place_is_told(kit: YandexKit) -> None:
    kit.disk.save(f"{kit.path}/1", b"")
    with pytest.raises(ChannelDown, match="не файл, поправьте path"):
        kit.service().check()


# --- answers word for word ---


def service(**keys: Any) -> YandexTable:
    return YandexTable(YandexTableSection(path=PATH, **keys), "token-1")


def told(content: bytes) -> dict[str, Any]:
    return {"type": "file", "size": len(content), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}


@responses.activate
def test_the_requests_are_those_of_the_disk() -> None:
    before, after = book_of({"Отчёты": [list(HEAD)]}), list[bytes]()

    def taken(request: Any) -> tuple[int, dict[str, str], str]:
        assert "Authorization" not in request.headers
        after.append(request.body)
        return 201, {}, ""

    def shown(request: Any) -> tuple[int, dict[str, str], str]:
        assert request.headers["Authorization"] == "OAuth token-1"
        assert request.params == {"path": PATH, "fields": "type,size,md5"}
        return 200, {}, json.dumps(told(after[-1] if after else before))

    responses.add_callback("GET", f"{API}/resources", shown)
    responses.get(f"{API}/resources/download", json={"href": "https://downloader.disk.yandex.ru/1"})
    responses.get("https://downloader.disk.yandex.ru/1", body=before)
    responses.get(f"{API}/resources/upload", json={"href": "https://uploader1.disk.yandex.net/2", "method": "PUT"})
    responses.add_callback("PUT", "https://uploader1.disk.yandex.net/2", taken)
    service().write("Отчёты", HEAD, [ROW], lambda key: None)
    assert sheets_of(after[0]) == {"Отчёты": [list(HEAD), LISTED]}
    asked = [(one.request.method, str(one.request.url).split("?")[0].rpartition("/")[2]) for one in responses.calls]
    assert asked == [
        ("GET", "resources"), ("GET", "download"), ("GET", "1"),
        ("GET", "upload"), ("GET", "resources"), ("PUT", "2"), ("GET", "resources"),
    ]  # fmt: skip
    assert responses.calls[3].request.params["overwrite"] == "true"  # type: ignore[union-attr]


@responses.activate
@pytest.mark.parametrize(
    ("answer", "words", "kind"),
    [
        ({"status": 401, "json": {"error": "UnauthorizedError"}}, "AMO_BRIDGE_YANDEX_TABLE_TOKEN", ChannelDown),
        ({"status": 403, "json": {"error": "ForbiddenError"}}, "токен не пускает", ChannelDown),
        ({"status": 423, "json": {"error": "DiskResourceLockedError"}}, "закройте его в редакторе", ChannelBusy),
        ({"status": 429, "json": {"error": "TooManyRequestsError"}}, "429", ChannelBusy),
        ({"status": 503, "body": "<html>"}, "503", ChannelBusy),
        ({"status": 500, "body": "<html>"}, "500", ChannelUncertain),
        ({"status": 200, "body": "<html>Вход</html>"}, "не ответил как надо", ChannelUncertain),
        ({"status": 200, "json": {"type": "dir"}}, "не файл", ChannelDown),
        ({"status": 200, "json": {"type": "file", "size": 1 << 30, "md5": "1"}}, "файл больше 20 МБ", ChannelDown),
    ],
)
def test_a_refusal_is_told_in_words(answer: dict[str, Any], words: str, kind: type[ChannelError]) -> None:
    responses.get(f"{API}/resources", **answer)
    with pytest.raises(kind, match=words) as error:
        service().write("Отчёты", HEAD, [ROW], lambda key: None)
    assert "token-1" not in str(error.value)


@responses.activate
def test_a_page_instead_of_the_file_is_no_workbook() -> None:
    responses.get(f"{API}/resources", json=told(book_of({"Отчёты": []})))
    responses.get(f"{API}/resources/download", json={"href": "https://downloader.disk.yandex.ru/1"})
    responses.get("https://downloader.disk.yandex.ru/1", body="<html>Подтвердите, что вы не робот</html>")
    with pytest.raises(ChannelUncertain, match="скачалось не то, что лежит на Диске"):
        service().write("Отчёты", HEAD, [ROW], lambda key: None)
