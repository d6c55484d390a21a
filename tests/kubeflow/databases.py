"""Real database servers on loopback, each in a temporary folder and of its own password."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Server:
    """A running server; `stop` and `start` are what happens when its pod moves to another machine."""

    url: str
    password_file: Path
    command: list[str]
    log: Path
    user: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, user=self.user, start_new_session=True
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT if "postgres" in self.command[0] else signal.SIGTERM)
            self.process.wait(timeout=30)
            self.process = None


@contextmanager
def mariadb(folder: Path) -> Iterator[Server]:
    """Run a MariaDB server with a database and a user, both named shortlist."""
    programs = _programs("MariaDB", "mariadb-server", "mariadbd", "mariadb-install-db", "mariadb")
    data, socket_path, port = folder / "data", folder / "socket", _free_port()
    user = f"--user={os.environ.get('USER') or 'root'}" if os.getuid() else "--user=root"
    _call(
        programs["mariadb-install-db"], "--no-defaults", user, f"--datadir={data}", "--skip-test-db",
        "--auth-root-authentication-method=normal",
    )  # fmt: skip
    command = [
        programs["mariadbd"], "--no-defaults", user, f"--datadir={data}", "--bind-address=127.0.0.1", f"--port={port}",
        f"--socket={socket_path}", f"--pid-file={folder / 'pid'}",
    ]  # fmt: skip
    server = Server(f"mysql://shortlist@127.0.0.1:{port}/shortlist", _password(folder), command, folder / "server.log")
    client = ["--no-defaults", "--user=root", f"--socket={socket_path}"]
    with _running(server, [programs["mariadb"], *client, "--execute=SELECT 1"]):
        # By stdin: an argument could be read by every process.
        _call(
            programs["mariadb"], *client,
            stdin="CREATE DATABASE shortlist; CREATE USER shortlist@'%' IDENTIFIED BY "
            f"'{server.password_file.read_text()}'; GRANT ALL ON shortlist.* TO shortlist@'%';",
        )  # fmt: skip
        yield server


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """Run a PostgreSQL server with a database and a user, both named shortlist."""
    programs = _programs("PostgreSQL", "postgresql", "initdb", "postgres", "pg_isready", "createdb")
    data, port, password = folder / "data", _free_port(), _password(folder)
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = "postgres"
        folder.chmod(0o755)
        for parent in folder.parents:  # the server's own user must reach its folder
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        data.mkdir()
        shutil.chown(data, user)
        shutil.chown(password, user)
    _call(
        programs["initdb"], "-D", data, "-U", "shortlist", f"--pwfile={password}", "--auth=scram-sha-256",
        "--no-sync", user=user,
    )  # fmt: skip
    command = [programs["postgres"], "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(data), "-F"]
    url = f"postgresql://shortlist@127.0.0.1:{port}/shortlist"
    server = Server(url, password, command, folder / "server.log", user)
    with _running(server, [programs["pg_isready"], "-h", "127.0.0.1", "-p", str(port)]):
        passfile = folder / "pgpass"
        passfile.write_text(f"127.0.0.1:{port}:*:shortlist:{password.read_text()}")
        passfile.chmod(0o600)
        _call(
            programs["createdb"], "-h", "127.0.0.1", "-p", str(port), "-U", "shortlist", "shortlist",
            environment={"PGPASSFILE": str(passfile)},
        )  # fmt: skip
        yield server


@contextmanager
def grpc_store(folder: Path) -> Iterator[Server]:
    """Run ML Metadata's gRPC service, a stand-in for Google's program of it."""
    port = _free_port()
    command = [sys.executable, "-m", "tests.kubeflow.grpc_store", str(port), str(folder / "metadata.sqlite")]
    server = Server(f"grpc://127.0.0.1:{port}", _password(folder), command, folder / "server.log")
    asked = f"import socket; socket.create_connection(('127.0.0.1', {port})).close()"
    with _running(server, [sys.executable, "-c", asked]):
        yield server


SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "mariadb": mariadb,
    "postgresql": postgresql,
    "grpc": grpc_store,
}


@contextmanager
def _running(server: Server, ready: list[str]) -> Iterator[None]:
    server.start()
    try:
        for _ in range(200):
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"the server did not start: {server.log.read_text()[-2000:]}")
        yield
    finally:
        server.stop()


def _programs(name: str, package: str, *wanted: str) -> dict[str, str]:
    """Return the programs' paths, or skip the test with what to install."""
    folders = [
        *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
        "/usr/sbin",
        os.environ["PATH"],
    ]
    found = {program: shutil.which(program, path=os.pathsep.join(folders)) for program in wanted}
    if missing := [program for program, path in found.items() if path is None]:
        pytest.skip(f"{name} is not installed ({', '.join(missing)} not found): apt-get install {package}")
    return {program: str(path) for program, path in found.items()}


def _password(folder: Path) -> Path:
    """Write a password that must turn up nowhere else."""
    path = folder / "password"
    path.write_text(f"canary-{secrets.token_hex(12)}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _call(*words: object, stdin: str = "", user: str | None = None, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        input=stdin,
        text=True,
        capture_output=True,
        user=user,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert done.returncode == 0, f"{words[0]}: {done.stderr or done.stdout}"
