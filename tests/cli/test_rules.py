"""``amo-bridge rules``: the regulation as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from support.command_line import EXAMPLE

from amo_bridge.config.loader import load

Run = Callable[..., Result]


def test_every_rule_with_its_clause(run: Run) -> None:
    told = run("rules")
    assert told.exit_code == 0
    for rule in load(EXAMPLE, {}).rules:
        assert rule.clause in told.output
        assert rule.name in told.output


def test_switches_are_shown(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[account]\nurl = "https://a.amocrm.ru"\n'
        '[handlers.file_moves_deal.off]\nenabled = false\noff_reason = "ждём [юриста] :smile:"\n'
        'name_starts_with = ["x"]\nfrom_stages = ["a"]\nto_stage = "b"\n'
        "[handlers.file_moves_deal.dry]\nenabled = true\ndry_run = true\n"
        'name_starts_with = ["x"]\nfrom_stages = ["a"]\nto_stage = "b"\n'
        '[handlers.file_moves_deal.live]\nenabled = true\nsays = "а | б"\nclause = "A1"\n'
        'name_starts_with = ["x"]\nfrom_stages = ["a"]\nto_stage = "b"\n',
        "utf-8",
    )
    rows = {row.split("│")[2].strip(): row for row in run("rules", config=config).output.splitlines() if "│" in row}
    assert "нет: ждём [юриста] :smile:" in rows["file_moves_deal.off"]
    assert "да, вхолостую" in rows["file_moves_deal.dry"]
    assert rows["file_moves_deal.live"].split("│")[4].strip() == "да"
    assert "A file with the right name is attached" in rows["file_moves_deal.off"], "a rule without words of its own"
    markdown = run("rules", "--markdown", config=config).output.splitlines()
    assert markdown[-1] == "| A1 | `live` | а &#124; б | [`file_moves_deal`](handlers/file_moves_deal.py) |"


def test_a_config_that_has_no_rules(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[account]\nurl = "https://a.amocrm.ru"\n', "utf-8")
    assert run("rules", config=config).exit_code == 0
