"""Records of pipelines and statuses (amoCRM docs, leads_pipelines)."""

from __future__ import annotations

from typing import Any

COLORS = (
    "#fffeb2", "#fffd7f", "#fff000", "#ffeab2", "#ffdc7f", "#ffce5a", "#ffdbdb", "#ffc8c8", "#ff8f92", "#d6eaff",
    "#c1e0ff", "#98cbff", "#ebffb1", "#deff81", "#87f2c0", "#f9deff", "#f3beff", "#ccc8f9", "#eb93ff",
    "#f2f3f4", "#e6e8ea",
)  # fmt: skip


def pipeline_record(pipeline_id: int, name: str, sort: int, account_id: int, *, is_main: bool) -> dict[str, Any]:
    return {
        "id": pipeline_id,
        "name": name,
        "sort": sort,
        "is_main": is_main,
        "is_unsorted_on": True,
        "is_archive": False,
        "account_id": account_id,
    }


def status_record(
    status_id: int,
    pipeline_id: int,
    name: str,
    sort: int,
    account_id: int,
    *,
    color: str | None = None,
    kind: int = 0,
    is_editable: bool = True,
) -> dict[str, Any]:
    """``kind`` is amoCRM's ``type``: 1 for «Неразобранное», 0 for any other."""
    return {
        "id": status_id,
        "name": name,
        "sort": sort,
        "is_editable": is_editable,
        "pipeline_id": pipeline_id,
        "color": color or COLORS[(sort // 10) % len(COLORS)],
        "type": kind,
        "account_id": account_id,
    }


def system_statuses(pipeline_id: int, unsorted_id: int, account_id: int) -> list[dict[str, Any]]:
    """The three every pipeline has; 142 and 143 are the same numbers in all of them."""

    def make(status_id: int, name: str, sort: int, color: str, kind: int, is_editable: bool) -> dict[str, Any]:
        return status_record(
            status_id, pipeline_id, name, sort, account_id, color=color, kind=kind, is_editable=is_editable
        )

    return [
        make(unsorted_id, "Неразобранное", 10, "#c1c1c1", 1, False),
        make(142, "Успешно реализовано", 10_000, "#CCFF66", 0, False),
        make(143, "Закрыто и не реализовано", 11_000, "#D5D8DB", 0, False),
    ]
