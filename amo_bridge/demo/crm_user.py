"""Person at amoCRM's web page: clicks and looks as calls to the sandbox in that person's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import requests

TOKEN = "sandbox-token"
PAGE = 250


class CrmUser:
    """One account, seen by its people. Names are the account's own: «Продажи / Бриф получен», «Иван Петров»."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"
        # Not through the API: until somebody is known, nobody's request is a person's, and it would be limited.
        known = self._session.get(f"{url}/sandbox/state?kind=users", timeout=60).json()["tables"]["users"].values()
        self.users = {row["name"]: row["id"] for row in known}
        self.reasons = {row["name"]: row["id"] for row in self._rows("/api/v4/leads/loss_reasons", "loss_reasons")}
        self.fields = {row["name"]: row["id"] for row in self._rows("/api/v4/leads/custom_fields", "custom_fields")}
        self.stages = {
            f"{pipeline['name']} / {status['name']}": (pipeline["id"], status["id"])
            for pipeline in self._rows("/api/v4/leads/pipelines", "pipelines")
            for status in pipeline["_embedded"]["statuses"]
        }
        self._stage_names = {ids: name for name, ids in self.stages.items()}

    # --- what people do ---

    def new_contact(self, person: str, name: str, email: str = "", phone: str = "", position: str = "") -> int:
        contact: dict[str, Any] = {"name": name}
        told = {"EMAIL": email, "PHONE": phone, "POSITION": position}
        if cells := [{"field_code": code, "values": [{"value": value}]} for code, value in told.items() if value]:
            contact["custom_fields_values"] = cells
        return int(self._ask("POST", "/api/v4/contacts", [contact], person)["_embedded"]["contacts"][0]["id"])

    def set_phone(self, person: str, contact: int, phone: str) -> None:
        values = [{"field_code": "PHONE", "values": [{"value": phone}]}]
        self._ask("PATCH", f"/api/v4/contacts/{contact}", {"custom_fields_values": values}, person)

    def new_deal(self, person: str, name: str, stage: str, contact: int, price: int) -> int:
        pipeline_id, status_id = self.stages[stage]
        deal = {
            "name": name,
            "price": price,
            "pipeline_id": pipeline_id,
            "status_id": status_id,
            "responsible_user_id": self.users[person],
            "_embedded": {"contacts": [{"id": contact}]},
        }
        return int(self._ask("POST", "/api/v4/leads", [deal], person)["_embedded"]["leads"][0]["id"])

    def move(self, person: str, deal: int, stage: str, **more: Any) -> None:
        pipeline_id, status_id = self.stages[stage]
        self._ask(
            "PATCH", f"/api/v4/leads/{deal}", {"pipeline_id": pipeline_id, "status_id": status_id, **more}, person
        )

    def fill(self, person: str, deal: int, field: str, value: Any) -> None:
        values = [{"field_id": self.fields[field], "values": [{"value": value}]}]
        self._ask("PATCH", f"/api/v4/leads/{deal}", {"custom_fields_values": values}, person)

    def empty(self, person: str, deal: int, field: str) -> None:
        values = [{"field_id": self.fields[field], "values": None}]
        self._ask("PATCH", f"/api/v4/leads/{deal}", {"custom_fields_values": values}, person)

    def attach(self, person: str, deal: int, file_name: str) -> None:
        body = {"entity_type": "leads", "entity_id": deal, "file_name": file_name, "user_id": self.users[person]}
        self._ask("POST", "/sandbox/ui/attach_file", body, person)

    def new_task(self, person: str, deal: int, text: str, seconds: int = 86_400) -> int:
        """A task of one's own on a deal, due in so many seconds."""
        due = int(self.now().timestamp()) + seconds
        task = {"text": text, "complete_till": due, "entity_type": "leads", "entity_id": deal}
        return int(self._ask("POST", "/api/v4/tasks", [task], person)["_embedded"]["tasks"][0]["id"])

    def change_task(self, person: str, task: int, **changed: Any) -> None:
        self._ask("PATCH", f"/api/v4/tasks/{task}", changed, person)

    def finish(self, person: str, deal: int, text: str, result: str = "") -> None:
        """Finish the open task that says this, with this result."""
        (task,) = [row for row in self.tasks(deal) if row["text"] == text and not row["is_completed"]]
        body: dict[str, Any] = {"is_completed": True}
        if result:
            body["result"] = {"text": result}
        self._ask("PATCH", f"/api/v4/tasks/{task['id']}", body, person)

    def call(self, person: str, deal: int, *, seconds: int, incoming: bool = False) -> None:
        """A call on the deal's card, as a telephone exchange notes it: each has an id of its own."""
        call = {"phone": "+79161234567", "duration": seconds, "source": "АТС", "uniq": uuid4().hex}
        note = {"note_type": "call_in" if incoming else "call_out", "params": call}
        self._ask("POST", f"/api/v4/leads/{deal}/notes", [note], person)

    def write_note(self, person: str, deal: int, text: str) -> None:
        note = {"note_type": "common", "params": {"text": text}}
        self._ask("POST", f"/api/v4/leads/{deal}/notes", [note], person)

    # --- what they see ---

    def deal(self, deal: int) -> dict[str, Any]:
        return dict(self._ask("GET", f"/api/v4/leads/{deal}?with=contacts,loss_reason"))

    def stage_of(self, deal: int) -> str:
        row = self.deal(deal)
        return self._stage_names[row["pipeline_id"], row["status_id"]]

    def tasks(self, deal: int) -> list[dict[str, Any]]:
        rows = self._rows(f"/api/v4/tasks?filter[entity_type]=leads&filter[entity_id][]={deal}&order[id]=asc", "tasks")
        names = {user: name for name, user in self.users.items()}
        return [{**row, "who": names[row["responsible_user_id"]]} for row in rows if row["entity_id"] == deal]

    def notes(self, deal: int) -> list[str]:
        rows = self._rows(f"/api/v4/leads/{deal}/notes?order[id]=asc", "notes")
        return [row["params"].get("text", "") for row in rows if row["note_type"] == "common"]

    def deals_on(self, stage: str) -> list[dict[str, Any]]:
        rows = self._rows("/api/v4/leads?with=contacts&order[id]=asc", "leads")
        return [row for row in rows if (row["pipeline_id"], row["status_id"]) == self.stages[stage]]

    def contacts_named(self, name: str) -> list[int]:
        rows = self._rows("/api/v4/contacts?order[id]=asc", "contacts")
        return [row["id"] for row in rows if row["name"] == name]

    def value(self, deal: int, field: str) -> Any:
        for row in self.deal(deal).get("custom_fields_values") or []:
            if row["field_id"] == self.fields[field]:
                return row["values"][0]["value"]
        return None

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._ask("GET", "/sandbox/clock")["now"], UTC)

    # --- the sandbox itself ---

    def begin_at(self, moment: str) -> None:
        """Set the account's clock: «2027-04-05T12:00» in its own zone. It goes on from there."""
        self._ask("POST", "/sandbox/clock", {"set": moment})

    def let_pass(self, time: timedelta) -> None:
        """Time passes. Then somebody does something somewhere, as somebody always does: by that the bridge hears how
        late it is."""
        self._ask("POST", "/sandbox/clock", {"advance": time.total_seconds()})
        self._ask("POST", "/api/v4/leads", [{"name": "Чужая сделка", "price": 1}], next(iter(self.users)))

    def every_hook_twice(self) -> None:
        self._ask("POST", "/sandbox/faults", {"kind": "hook_duplicate"})

    def wait_for_hooks(self) -> None:
        self._ask("POST", "/sandbox/hooks/flush", {"timeout": 30})

    def hooks_sent(self) -> int:
        return len(self._ask("GET", "/sandbox/hooks")["attempts"])

    def requests_made(self) -> int:
        return int(self._ask("GET", "/sandbox/requests/count")["total"])

    def _rows(self, path: str, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page, more = 1, True
        while more:
            join = "&" if "?" in path else "?"
            answer = self._ask("GET", f"{path}{join}limit={PAGE}&page={page}") or {}
            rows += answer.get("_embedded", {}).get(name, [])
            more = "next" in answer.get("_links", {})
            page += 1
        return rows

    def _ask(self, method: str, path: str, body: Any = None, person: str | None = None) -> Any:
        user = self.users[person] if person else next(iter(self.users.values()))
        headers = {"X-Sandbox-Person": str(user)}
        answer = self._session.request(method, self.url + path, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None
