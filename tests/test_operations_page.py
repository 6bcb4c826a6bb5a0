"""docs/operations.md names every metric that /metrics tells, and no other."""

from __future__ import annotations

from support.doc_files import ROOT, spans

from amo_bridge.engine.metrics import Metrics
from amo_bridge.web.metrics import StoredMetrics

PAGE = ROOT / "docs" / "operations.md"


def told() -> list[str]:
    table = PAGE.read_text("utf-8").partition("<!-- metrics:begin -->")[2].partition("<!-- metrics:end -->")[0]
    return [spans(line)[0] for line in table.splitlines() if line.startswith("| `")]


def measured() -> set[str]:
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().registry.collect()
    }  # fmt: skip
    return counted | {family.name for family in StoredMetrics(lambda: []).collect()}


def test_every_metric_is_told_of_once() -> None:
    assert sorted(told()) == sorted(measured())
