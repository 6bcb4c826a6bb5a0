import pytest
from support.builders import deal, file_attached

from amo_bridge.rules.actions import Skip, StoreFile
from handlers.file_is_stored import FileIsStored, file_is_stored

PROJECT = "Продажи / Утвержденный проект"


def options(**changed):
    return FileIsStored.model_validate(changed)


def test_every_file_goes_into_the_deals_folder():
    event, now = file_attached("Договор.pdf"), deal(PROJECT)
    stored = file_is_stored(event, now, options())
    assert stored == StoreFile(
        deal_id=now.id, file_name="Договор.pdf", file_uuid=event.file_uuid, folder=now.name, link_field=None
    )


def test_the_folder_and_the_field_of_its_address_are_the_configs():
    folder = {"name": "{Этап} — {Название}", "link_field": "Папка документов"}
    now = deal(PROJECT)
    stored = file_is_stored(file_attached("Договор.pdf"), now, options(folder=folder))
    assert isinstance(stored, StoreFile)
    assert (stored.folder, stored.link_field) == (f"{PROJECT} — {now.name}", "Папка документов")


def test_fields_for_the_newest_file_of_each_kind():
    links = {"Ссылка на КП": ["КП", "Коммерческое предложение"], "Ссылка на договор": "Договор"}
    stored = file_is_stored(file_attached("Договор.pdf"), deal(PROJECT), options(links=links))
    assert isinstance(stored, StoreFile)
    wanted = {"Ссылка на КП": ("КП", "Коммерческое предложение"), "Ссылка на договор": ("Договор",)}
    assert stored.links == wanted


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        pytest.param("Бриф.pdf", {"name_starts_with": ["Договор"]}, "назван не так", id="другой файл"),
        pytest.param("Договор.pdf", {"pipelines": ["Реализация"]}, "не хранит", id="другая воронка"),
        pytest.param("Договор.pdf", {"when": {"tag": "vip"}}, "условие", id="условие"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(name, changed, reason):
    told = file_is_stored(file_attached(name), deal(PROJECT), options(**changed))
    assert isinstance(told, Skip)
    assert reason in told.reason
