"""A file is read by a process of its own: what it says of the way, and what is said of it when it does not answer."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from amo_bridge import logs
from amo_bridge.webinars.formats import read_export, reading_process, table_reader
from amo_bridge.webinars.formats.model import ExportError

TABLE = "Имя;Почта;Минут;Дата\nАнна;a@example.ru;65;13.09.2021\n"
MAIN = "from amo_bridge.webinars.formats import reading_process as at\n"


def refusal(monkeypatch: pytest.MonkeyPatch, start: str, table: str = TABLE) -> str:
    monkeypatch.setattr(reading_process, "_START", start)
    with pytest.raises(ExportError) as refused:
        read_export("t.csv", table.encode())
    return str(refused.value)


def test_no_cell_is_read_by_the_process_that_serves_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*_: object) -> None:
        raise AssertionError("read in the wrong process")

    monkeypatch.setattr(table_reader, "visits_of", here)
    monkeypatch.setattr(reading_process, "rows_of", here)
    (visit,) = read_export("t.csv", TABLE.encode()).visits
    assert (visit.mails, visit.minutes) == (("a@example.ru",), 65)


def test_how_far_it_is_is_told_on_the_way() -> None:
    said: list[tuple[int, int]] = []
    rows = "".join(f"Анна;a{number}@example.ru;65;13.09.2021\n" for number in range(6_000))
    export = read_export("t.csv", f"Имя;Почта;Минут;Дата\n{rows}".encode(), progress=lambda *told: said.append(told))
    assert len(export.visits) == 6_000
    assert said == [(2_000, 6_000), (4_000, 6_000), (6_000, 6_000)]


def test_a_file_that_takes_too_long_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "TIMEOUT_SECONDS", 0.2)
    told = refusal(monkeypatch, "import time; time.sleep(600)")
    assert told.startswith("t.csv: файл не прочитался за 0.2 с")
    assert "разделите его на части" in told


def test_the_limit_of_processor_time_is_the_same_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)")
    assert "не прочитался за 180 с" in told


def test_the_limit_is_told_apart_from_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = f"{MAIN}at.TIMEOUT_SECONDS = 1; at._limit()\nwhile True: pass"
    assert "не прочитался за 180 с" in refusal(monkeypatch, spent)


@pytest.mark.parametrize("words", ['{"rows": [20', '{"export": {"source": "t'], ids=["progress", "answer"])
def test_a_child_that_dies_in_the_middle_of_a_line_is_told_of_by_its_end(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    start = f"import os, sys; sys.stdin.buffer.read(); os.write(1, {words.encode()!r}); os.abort()"
    assert "не хватило отведённой памяти" in refusal(monkeypatch, start)


def test_a_child_that_dies_of_memory_says_nothing_and_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "не хватило отведённой памяти" in refusal(monkeypatch, "import os; os.abort()")


def test_a_child_that_does_not_listen_to_a_big_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "не хватило" in refusal(monkeypatch, "import sys; sys.exit(1)", TABLE + "Анна;a@example.ru;65;\n" * 50_000)


def test_a_bug_is_written_down_and_not_called_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    told = refusal(monkeypatch, f"{MAIN}at.rows_of = None; at.main()")
    assert "ошибки моста" in told
    assert "NoneType" in capfd.readouterr().out


def test_a_bug_is_written_by_a_command_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The logs of commands are quiet: what is said to be in the log stands there all the same."""
    logs.set_up_later(logging.CRITICAL)
    assert "она записана в журнал сервера" in refusal(monkeypatch, f"{MAIN}at.rows_of = None; at.main()")
    assert "NoneType" in capfd.readouterr().err


def test_no_more_than_a_few_files_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "TIMEOUT_SECONDS", 0.01)
    for _ in range(reading_process.MOST_AT_ONCE):
        assert reading_process._FREE.acquire(blocking=False)
    try:
        with pytest.raises(ExportError, match="читает другие большие файлы"):
            read_export("t.csv", TABLE.encode())
    finally:
        for _ in range(reading_process.MOST_AT_ONCE):
            reading_process._FREE.release()
    monkeypatch.undo()
    assert len(read_export("t.csv", TABLE.encode()).visits) == 1, "a place is given back"


FORKED = f"""
import sys
from amo_bridge import logs
from amo_bridge.webinars.formats import read_export, reading_process
from amo_bridge.webinars.formats.model import ExportError
print("begun", end=";")
if START := sys.argv[1]:
    reading_process._START = START
try:
    visits = read_export("t.csv", {TABLE!r}.encode(), is_forked=True).visits
    print([(visit.mails, visit.minutes) for visit in visits], "rows_of" in vars(reading_process))
except ExportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("", "[(('a@example.ru',), 65.0)] True"),
        ("import os; os.abort()", "не хватило отведённой памяти"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "не прочитался за 180 с"),
        ("raise MemoryError", "не хватило отведённой памяти"),
        (f"{MAIN}at.rows_of = None; at.main()", "ошибки моста"),
        (f"{MAIN}at.rows_of = lambda *_: [bytearray(at.MEMORY_BYTES)]; at.main()", "не хватило отведённой памяти"),
    ],
    ids=["read", "dies", "too long", "memory", "bug", "over the limit"],
)
def test_a_command_has_it_read_by_a_copy_of_itself(start: str, told: str) -> None:
    run = subprocess.run([sys.executable, "-c", FORKED, start], capture_output=True, text=True, check=True)
    first, _, answer = run.stdout.partition(";")
    assert first == "begun", "what the command has not written yet is not written twice"
    assert told in answer
    assert "begun" not in answer


def test_a_process_of_several_threads_is_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "_Copy", None)
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        assert read_export("t.csv", TABLE.encode(), is_forked=True).visits
    finally:
        stop.set()
        other.join(5)


COPIES = f"""
from amo_bridge import logs
from amo_bridge.webinars.formats import read_export, reading_process
copies = []
class Copy(reading_process._Copy):
    def __init__(self, start):
        copies.append(start)
        super().__init__(start)
reading_process._Copy = Copy
for _ in range(20):
    read_export("t.csv", {TABLE!r}.encode(), is_forked=True)
print(len(copies))
"""


def test_every_file_of_a_command_is_read_by_a_copy() -> None:
    """The thread that watches the clock for one is gone before the next begins."""
    run = subprocess.run([sys.executable, "-c", COPIES], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "20"
