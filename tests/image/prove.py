"""Builds the image of the Dockerfile and runs it as compose.yaml does, without Docker: `.venv/bin/python
tests/image/prove.py` as root, with buildah and mmdebstrap (.ci/run installs them). Each promise is printed with «ok»
or «FAILED»; exit code 1 if any failed. Who is not root is told so and nothing is tried (exit code 0).

The base image is stood in for by Debian's Python: a registry of images is not needed. A container here is a mount
namespace with the image's files read-only, a chroot, the image's user, no capabilities; network and processes are the
machine's own, so ports are free ones instead of 8080.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from stories.test_older_store import STORES, Left, rows  # noqa: E402
from support.local_crm import TOKEN, LocalCrm, served  # noqa: E402
from support.running_bridge import wait_until  # noqa: E402

from amo_bridge.demo.crm_user import CrmUser  # noqa: E402
from amo_bridge.sandbox.account_start import load_world  # noqa: E402
from amo_bridge.storage import migrate  # noqa: E402
from bench.databases import POSTGRES, database_of  # noqa: E402
from bench.processes import free_port  # noqa: E402

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "amo-bridge"
SUITE, INCLUDED = "bookworm", "python3,python3-pip,python3-venv,ca-certificates"
OWNER = 10001
# What a minimal Debian lets anybody write to; /data is ours. With a read-only root only /data and /tmp are left.
WRITABLE = {"/data", "/tmp", "/var/tmp", "/run/lock"}
IVAN, NEW = "Иван Петров", "Продажи / Новый клиент"

# As Docker: the image's files read-only, a volume, what is in memory; then the image's user without any right.
ENTER = """
set -eu
root=$1 user=$2 folder=$3; shift 3
mount --bind "$root" "$root"
mount --bind /dev "$root/dev"
mount --bind /proc "$root/proc"
while [ "$1" != -- ]; do
    case $1 in
        tmpfs) mount -t tmpfs -o "mode=1777" tmpfs "$root$2" ;;
        rw) mount --bind "$3" "$root$2" ;;
        ro) mount --bind "$3" "$root$2"; mount -o remount,bind,ro "$root$2" ;;
    esac
    shift 3
done
shift
[ "${WRITABLE_ROOT:-}" ] || mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all sh -c 'cd "$0" && exec env -i "$@"' "$folder" "$@"
"""

failed: list[str] = []


@contextmanager
def proof(promise: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the promise is not proved, and the next one is tried
        failed.append(promise)
        print(f"FAILED  {promise}\n        {type(error).__name__}: {error}", flush=True)  # noqa: T201
    else:
        print(f"ok      {promise} ({time.monotonic() - began:.0f} s)", flush=True)  # noqa: T201


def expect(truth: object, told: str) -> None:
    if not truth:
        raise AssertionError(told)


# --- building ---


class Buildah:
    """Images and containers in ``folder``, which nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self._options = [
            "--storage-driver=vfs", f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}",
        ]  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *self._options, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout.strip()

    def make_base(self, name: str, tar: Path) -> None:
        container = self("from", "scratch")
        self("add", "--quiet", container, str(tar), "/")
        # The base image's Python is pip's own to install into, and called «python».
        made = "ln -sf /usr/bin/python3 /usr/local/bin/python; rm -f /usr/lib/python3*/EXTERNALLY-MANAGED"
        self("run", "--isolation=chroot", container, "--", "sh", "-c", made)
        self("commit", "--quiet", "--rm", container, f"docker.io/library/{name}")

    def build(self, name: str) -> None:
        mounted = [f"--volume={here}:{there}:ro" for here, there in packages_are_found_by()]
        how = ["--isolation=chroot", "--pull-never", "--network=host", "--format=docker", "--layers=false"]
        self("bud", *how, *mounted, "--tag", name, ".")


def packages_are_found_by() -> Iterator[tuple[str, str]]:
    """What this machine's pip needs to find packages: certificates, its settings, folders named in them."""
    yield "/etc/ssl/certs", "/etc/ssl/certs"
    told = ""
    own = Path.home() / ".config" / "pip" / "pip.conf"
    for here, there in ((own, "/root/.config/pip/pip.conf"), (Path("/etc/pip.conf"), "/etc/pip.conf")):
        if here.exists():
            told += here.read_text("utf-8")
            yield str(here), there
    folders = {Path(found).parts[:3] for found in re.findall(r"(?:file://|=\s*)(/(?!etc/)[^\s,]+)", told)}
    for parts in sorted(folders):
        if (folder := Path(*parts)).is_dir():
            yield str(folder), str(folder)


def base_archive() -> Path:
    tar = CACHE / f"base-{SUITE}.tar"
    if not tar.exists():
        tar.parent.mkdir(parents=True, exist_ok=True)
        making = tar.with_suffix(".new.tar")
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(making)], check=True
        )
        making.replace(tar)
    return tar


# --- running ---


class Image:
    """The image's files in ``files``, and what it says of itself."""

    def __init__(self, buildah: Buildah, name: str) -> None:
        told = json.loads(buildah("inspect", "--type=image", name))
        self.config: dict[str, Any] = told["Docker"]["config"]
        self.container = buildah("from", "--pull-never", name)
        self.files = Path(buildah("mount", self.container))
        for place in ("app/config.toml", "run/secrets/amo_token", "run/secrets/db_password", "run/secrets/bridge_key"):
            # Docker makes what something is mounted on.
            (self.files / place).parent.mkdir(parents=True, exist_ok=True)
            (self.files / place).touch()

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.config["Env"])


class Container:
    """The image at work in ``folder``, whose ``data`` is the volume."""

    def __init__(
        self, image: Image, folder: Path, command: list[str], *, writable_root: bool = False,
        mounts: dict[str, Path] | None = None, **environment: str,
    ) -> None:  # fmt: skip
        self._log = folder / "container.log"
        self.data = folder / "data"
        if not self.data.exists():
            self.data.mkdir()
            os.chown(self.data, OWNER, OWNER)
        told = {**image.environment, **environment}
        places = ["tmpfs", "/tmp", "-", "rw", "/data", str(self.data)]
        for target, source in (mounts or {}).items():
            places += ["ro", target, str(source)]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "enter",
                 str(image.files), image.config["User"], image.config["WorkingDir"], *places, "--",
                 *(f"{name}={value}" for name, value in told.items()), *command],
                stdout=output, stderr=output, start_new_session=True,
                env={"PATH": os.environ["PATH"], "WRITABLE_ROOT": "yes" if writable_root else ""},
            )  # fmt: skip

    @property
    def told(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def ended(self) -> int:
        return self.process.wait(timeout=120)

    def stop(self, grace: int) -> int:
        """As ``docker stop``: SIGTERM, and SIGKILL when the grace time is over."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=grace)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Machine:
    """Starts containers of an image, each with a port of its own; ends what is left."""

    def __init__(self, image: Image, scratch: Path, stack: ExitStack) -> None:
        self._image, self._scratch, self._stack = image, scratch, stack

    def folder(self, name: str) -> Path:
        made = self._scratch / name
        made.mkdir(exist_ok=True)
        return made

    def run(self, folder: Path, command: list[str], **how: Any) -> Container:
        container = Container(self._image, folder, command, **how)
        self._stack.callback(container.kill)
        return container

    def said(self, *command: str, **how: Any) -> str:
        """What a command that ends has said."""
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        container = self.run(folder, list(command), **how)
        code = container.ended()
        expect(code == 0, f"{' '.join(command)[:80]}: {code}: {container.told[-500:]}")
        return container.told

    def serve(self, folder: Path, service: str, config: Path, port: int, **environment: str) -> Container:
        """A service of compose.yaml: its command, its environment, its secrets."""
        told = COMPOSE["services"][service]
        secrets = {}
        for name in told["secrets"]:
            secrets[f"/run/secrets/{name}"] = folder / name
            value = {"amo_token": TOKEN, "bridge_key": "c3RvcmUtb2YtYW4tb2xkZXItdmVyc2lvbi1vZi1pdCE="}.get(name, "x")
            (folder / name).write_text(value, "utf-8")
        shutil.copy(config, folder / "config.mounted.toml")
        return self.run(
            folder,
            [word.replace("8080", str(port)) for word in told["command"]],
            mounts={"/app/config.toml": folder / "config.mounted.toml", **secrets},
            **{name: as_compose_fills(value) for name, value in told["environment"].items()} | environment,
        )


def as_compose_fills(value: str) -> str:
    """``${NAME:-otherwise}`` where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def get(port: int, path: str) -> int:
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code
    except requests.ConnectionError:
        return 0


def answers(container: Container, port: int, path: str, code: int = 200) -> None:
    wait_until(lambda: container.process.poll() is not None or get(port, path) == code, f"{path} answers {code}")
    expect(container.process.poll() is None, f"it has ended: {container.told[-1500:]}")


def subscriptions(crm: LocalCrm) -> list[str]:
    answer = requests.get(f"{crm.url}/api/v4/webhooks", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    return [row["destination"] for row in answer.json()["_embedded"]["webhooks"]] if answer.content else []


def hook_path(crm: LocalCrm) -> str:
    return "/" + subscriptions(crm)[0].split("/", 3)[3]


def grace(service: str) -> int:
    return int(COMPOSE["services"][service]["stop_grace_period"].removesuffix("s"))


# --- what is promised ---


def prove_image(image: Image, machine: Machine) -> None:
    config = image.config
    with proof("the image names its user, volume, port and health check, and holds no secret"):
        expect(config["User"] == f"{OWNER}:{OWNER}", config["User"])
        expect(set(config["Volumes"]) == {"/data"}, config["Volumes"])
        expect(set(config["ExposedPorts"]) == {"8080/tcp"}, config["ExposedPorts"])
        expect(config.get("Healthcheck", {}).get("Test"), "no health check")
        expect(not re.search("TOKEN|SECRET|PASSWORD|KEY", " ".join(image.environment)), image.environment)
    with proof("amo-bridge runs in it"):
        expect("amo-bridge" in machine.said("amo-bridge", "--version"), "no version")
    with proof("nobody is root, and no right can be had"):
        told = machine.said("cat", "/proc/self/status")
        for line in (
            f"Uid:\t{OWNER}\t{OWNER}",
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
        ):
            expect(line in told, line)
    with proof("with a read-only root only /data and /tmp can be written to"):
        seek = "for d in / /app /etc /usr /data /tmp; do touch $d/x && echo yes $d; done; true"
        told = machine.said("sh", "-c", seek)
        expect(re.findall(r"yes (\S+)", told) == ["/data", "/tmp"], told)
    with proof("with a writable root its user still owns nothing but /data"):
        seek = "find / -xdev -path /proc -prune -o -path /dev -prune -o -type d -writable -print 2>/dev/null; true"
        found = set(machine.said("sh", "-c", seek, writable_root=True).split())
        expect(found <= WRITABLE, found - WRITABLE)


def prove_bridge(image: Image, machine: Machine, crm: LocalCrm) -> None:
    """One life after the other of compose.yaml's service «bridge» on one volume."""
    folder, port, office = machine.folder("bridge"), free_port(), CrmUser(crm.url)
    told = {"AMO_BRIDGE_ACCOUNT_URL": crm.url, "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}"}

    def start() -> Container:
        return machine.serve(folder, "bridge", ROOT / "config.example.toml", port, **told)

    def new_deal() -> int:
        return office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)

    bridge = start()
    with proof("it lives, and says so to the image's own health check"):
        answers(bridge, port, "/health/live")
        kind, *check = image.config["Healthcheck"]["Test"]
        expect(kind == "CMD", kind)
        machine.said(*(word.replace("8080", str(port)) for word in check))
    with proof("it becomes ready beside an amoCRM"):
        answers(bridge, port, "/health")
    with proof("it takes a webhook, and does what the regulation says"):
        expect(
            requests.post(f"http://127.0.0.1:{port}{hook_path(crm)}", data=b"x=1", timeout=10).status_code == 204, ""
        )
        deal = new_deal()
        wait_until(lambda: office.tasks(deal), "the task is there")
    with proof("the volume is its user's alone"):
        for path in (bridge.data, *bridge.data.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            expect(mode == (0o700 if path.is_dir() else 0o600), f"{path.name}: {mode:o}")
            expect(path.stat().st_uid == OWNER, path)
    with proof(f"it stops within the grace time ({grace('bridge')} s), with what is on its way to amoCRM"):
        slow = crm.fault("slow", ms=3000, method="POST", path="/api/v4/tasks")
        deal = new_deal()
        wait_until(lambda: crm.struck(slow), "the task is being written")
        code = bridge.stop(grace("bridge"))
        expect(code == 0, f"exit code {code}: {bridge.told[-500:]}")
        expect(len(office.tasks(deal)) == 1, office.tasks(deal))
        crm.good_weather()
    with proof("it survives a kill: what it had taken in is done once after the next start"):
        bridge = start()
        answers(bridge, port, "/health")
        stuck = crm.fault("slow", ms=3000, method="POST", path="/api/v4/tasks")
        deal = new_deal()
        wait_until(lambda: crm.struck(stuck), "the task is being written")
        bridge.kill()
        crm.good_weather()
        bridge = start()
        answers(bridge, port, "/health")
        wait_until(lambda: office.tasks(deal), "the task is there")
        other = new_deal()
        wait_until(lambda: office.tasks(other), "and the next one")
        expect(len(office.tasks(deal)) == 1, office.tasks(deal))
        expect(bridge.stop(grace("bridge")) == 0, bridge.told[-500:])


def prove_upgrade(machine: Machine) -> None:
    for archive in STORES:
        with proof(f"it takes over the volume of an older version: {archive.name}"):
            folder = machine.folder(f"older-{archive.name.partition('.')[0]}")
            left = Left.unpacked(archive, folder)
            before = rows(left.data / "amo-bridge.db")
            for path in (left.data, *left.data.rglob("*")):
                os.chown(path, OWNER, OWNER)
            world = load_world(state_file=left.folder / "sandbox.db")
            with served(world, left.crm_port):
                bridge = machine.serve(
                    folder, "bridge", folder / "config.toml", left.bridge_port, AMO_BRIDGE_KEY=left.made["key"]
                )
                answers(bridge, left.bridge_port, "/health")
                code = bridge.stop(grace("bridge"))
                expect(code == 0, f"exit code {code}: {bridge.told[-500:]}")
            world.close()
            after = rows(left.data / "amo-bridge.db")
            kept = ("users", "imports", "import_rows", "journal", "deals", "contacts", "api_tokens", "audit")
            expect(all(after[name] >= before[name] for name in kept if name in before), (before, after))
            expect(migrate.HEAD in bridge_version(left.data / "amo-bridge.db"), "the tables are of this version")


def bridge_version(database: Path) -> str:
    with sqlite3.connect(database) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def prove_services(machine: Machine) -> None:
    """Of the profile postgres: without its database they live, refuse hooks honestly and stop."""
    for service in ("web", "worker"):
        with proof(f"compose.yaml's {service} lives without its database, and stops within its grace time"):
            port = free_port()
            running = machine.serve(machine.folder(service), service, ROOT / "config.example.toml", port)
            answers(running, port, "/health/live")
            answers(running, port, "/health", 503)
            refused = requests.post(f"http://127.0.0.1:{port}/hooks/amocrm/x", data=b"x", timeout=10).status_code
            expect(refused == (503 if service == "web" else 404), refused)
            code = running.stop(grace(service))
            expect(code == 0, f"exit code {code}: {running.told[-800:]}")


def prove_services_together(machine: Machine) -> None:
    """The profile postgres with its database: the web role takes hooks in, one of two workers does the work."""
    if not postgresql_answers():
        print("SKIPPED compose.yaml's web and worker on PostgreSQL: none answers at 127.0.0.1:5432")  # noqa: T201
        return
    with served(load_world()) as crm, database_of("postgresql") as database:
        office, ports = CrmUser(crm.url), {name: free_port() for name in ("web", "first", "second")}
        told = {
            "AMO_BRIDGE_DATABASE": database.replace("+psycopg", ""),
            "AMO_BRIDGE_ACCOUNT_URL": crm.url,
            "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{ports['web']}",
        }

        def start(name: str) -> Container:
            service = "web" if name == "web" else "worker"
            return machine.serve(
                machine.folder(f"pg-{name}"), service, ROOT / "config.example.toml", ports[name], **told
            )

        def new_deal() -> int:
            return office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)

        running = {name: start(name) for name in ports}
        with proof("compose.yaml's web and workers become ready on PostgreSQL"):
            for name, container in running.items():
                answers(container, ports[name], "/health")
        with proof("a webhook that the web role takes in is done by a worker, once"):
            wait_until(lambda: bool(subscriptions(crm)), "the worker has subscribed")
            deal = new_deal()
            wait_until(lambda: office.tasks(deal), "the task is there")
        with proof("a killed worker's work is taken over by the other"):
            running["first"].kill()
            deal = new_deal()
            wait_until(lambda: office.tasks(deal), "the task is there")
            running["second"].kill()
            waiting = new_deal()
            running |= {name: start(name) for name in ("first", "second")}
            wait_until(lambda: office.tasks(waiting), "what came in meanwhile is done")
            expect(len(office.tasks(deal)) == len(office.tasks(waiting)) == 1, office.tasks(deal))
        with proof("they stop within their grace times"):
            for name, container in running.items():
                code = container.stop(grace("web" if name == "web" else "worker"))
                expect(code == 0, f"{name}: exit code {code}: {container.told[-500:]}")


def postgresql_answers() -> bool:
    try:
        with create_engine(POSTGRES).connect():
            return True
    except OperationalError:
        return False


def why_not_here() -> str:
    if os.geteuid() != 0:
        return "only root can build it here (buildah, mmdebstrap, mounts)"
    missing = [name for name in ("buildah", "mmdebstrap", "unshare", "setpriv") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def main() -> int:
    if why := why_not_here():
        print(f"SKIPPED the image is not proved: {why}")  # noqa: T201
        return 0
    with tempfile.TemporaryDirectory(prefix="amo-bridge-image-") as scratch, ExitStack() as stack:
        os.chmod(scratch, 0o755)
        buildah, folder = Buildah(Path(scratch)), Path(scratch)
        base = re.search(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
        with proof("the Dockerfile builds"):
            expect(base, "no FROM")
            assert base is not None
            buildah.make_base(base[1], base_archive())
            buildah.build("amo-bridge")
            image = Image(buildah, "amo-bridge")
        if failed:
            return 1
        machine = Machine(image, folder, stack)
        prove_image(image, machine)
        with served(load_world()) as crm:
            prove_bridge(image, machine, crm)
        prove_upgrade(machine)
        prove_services(machine)
        prove_services_together(machine)
        began = time.monotonic()
    print(f"        (cleared away in {time.monotonic() - began:.0f} s)")  # noqa: T201
    print(f"{len(failed)} of the image's promises failed" if failed else "the image keeps its promises")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
