"""What would go wrong in the image most often, read off its recipe; tests/image/prove.py builds and runs it."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from support.doc_files import ROOT

from amo_bridge.cli import main
from amo_bridge.engine.metrics import Metrics
from amo_bridge.web.app import create_app

LOCK = ROOT / "requirements-image.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _instructions() -> list[tuple[str, str]]:
    """(instruction, its arguments), in order; continued lines joined, comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line.strip()]


RECIPE = _instructions()
ORDER = [name for name, _ in RECIPE]


def _all(name: str) -> list[str]:
    return [arguments for instruction, arguments in RECIPE if instruction == name]


def _variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for arguments in [*_all("ENV"), *_all("ARG")] for pair in arguments.split())


def _command() -> list[str]:
    command: list[str] = json.loads(_all("CMD")[-1])
    return command


def _health_url() -> str:
    found = re.search(r"http://[^'\"]+", _all("HEALTHCHECK")[0])
    assert found
    return found[0]


def _serve_options() -> dict[str, Any]:
    program, name, *arguments = _command()
    assert program in PROJECT["project"]["scripts"]
    return main.commands[name].make_context(name, arguments).params


def test_the_base_image_is_named_by_version_and_fits_the_project() -> None:
    (base,) = _all("FROM")
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim(-\w+)?", base)
    assert found
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=").split(".")
    assert (int(found[1]), int(found[2])) >= tuple(map(int, oldest))


def test_the_process_is_not_root() -> None:
    user = _all("USER")[-1]
    assert user.partition(":")[0] not in ("root", "0")
    assert ORDER.index("USER") < ORDER.index("CMD")
    assert "RUN" not in ORDER[ORDER.index("USER") :], "what follows USER can't install anything"


def test_the_data_folder_is_a_volume_that_the_user_may_write_to() -> None:
    folder = _variables()["AMO_BRIDGE_DATA"]
    assert json.loads(_all("VOLUME")[0]) == [folder]
    user = _all("USER")[-1]
    made = next(place for place, (_, said) in enumerate(RECIPE) if re.search(rf"chown {user}\S* {folder}", said))
    assert made < ORDER.index("VOLUME"), "what is changed in a volume after its declaration is thrown away"


def test_dependencies_come_from_the_lock_file_by_hash() -> None:
    installs = [said for said in _all("RUN") if "pip install" in said]
    assert len(installs) == 2
    assert f"--require-hashes -r {LOCK.name}" in installs[0]
    assert {"--no-deps", "--no-build-isolation"} <= set(installs[1].split()), "nothing unpinned may be fetched"


def test_the_lock_file_holds_hashes_of_everything_even_of_what_builds() -> None:
    lock = LOCK.read_text("utf-8")
    pinned = re.findall(r"^([\w.-]+)==[^\n]*\\\n((?:    --hash=sha256:\w+(?: \\)?\n)+)", lock, re.MULTILINE)
    assert [name for name, _ in pinned] == re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    assert set(PROJECT["build-system"]["requires"]) <= {name for name, _ in pinned}


def test_the_image_has_what_a_user_installs_the_driver_of_postgresql_and_the_writers_of_office_files() -> None:
    plain, image = (
        set(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
        for lock in (ROOT / "requirements.lock", LOCK)
    )
    assert plain < image
    office = {"xlsxwriter", "docxtpl", "python-docx", "lxml"}
    assert {name for name, _ in image - plain} == {"psycopg", "psycopg-binary", *office}


def test_code_is_copied_after_the_dependencies() -> None:
    copied = next(place for place, (name, said) in enumerate(RECIPE) if name == "COPY" and "amo_bridge" in said)
    installed = next(place for place, (_, said) in enumerate(RECIPE) if "--require-hashes" in said)
    assert installed < copied, "a changed line of code must not install everything again"


def test_all_that_the_package_needs_is_copied_and_not_ignored() -> None:
    copied = {source.strip("./") for said in _all("COPY") for source in said.split()[:-1]}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel.get("force-include", {}), PROJECT["project"]["readme"]}
    assert needed | {"pyproject.toml", LOCK.name} <= copied
    assert {"letters", "scripts"} <= copied, "the example's folders"
    assert [source for source in copied if not (ROOT / source).exists() or _is_ignored(source)] == []


def test_what_is_private_stays_out_of_the_build() -> None:
    assert all(map(_is_ignored, ("config.toml", "data", ".git", ".venv")))


def _is_ignored(path: str) -> bool:
    patterns = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    return any(fnmatch(path, pattern) for pattern in patterns if pattern)


def test_no_secret_is_baked_in() -> None:
    assert [name for name in _variables() if re.search(r"TOKEN|SECRET|KEY|PASSWORD", name)] == []


def test_the_command_exists_and_listens_where_the_image_says() -> None:
    options = _serve_options()
    assert options["host"] == "0.0.0.0", "127.0.0.1 can't be reached from outside the container"
    assert str(options["port"]) == _all("EXPOSE")[0]
    assert str(options["config_path"]).startswith(_all("WORKDIR")[0])


def test_the_health_check_asks_a_page_that_lives_as_soon_as_the_process_does() -> None:
    url = urlsplit(_health_url())
    assert url.port == _serve_options()["port"]
    starting: Any = SimpleNamespace(
        is_ready=False, health=lambda: {"status": "starting"}, observed=list, process_metrics=Metrics()
    )
    web = create_app(starting, takes_hooks=False).test_client()
    assert web.get(url.path).status_code == 200, "a bridge that waits for amoCRM must not be killed for it"
    assert web.get("/health").status_code == 503
