"""A PostgreSQL of the tests' own: in a temporary folder, on a unix socket, gone with them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from pwd import getpwnam

import sqlalchemy as sa

WHILE_WATCHED = '"$@" & server=$!; cat >/dev/null; kill -QUIT $server; wait $server'
"""Runs a server until its input ends, as it does when the tests are killed; QUIT ends it as a crash would."""


def missing() -> str:
    """Say what keeps the tests from a server; nothing where there is one."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: pip install 'imcnas[postgres]'"
    return "" if binaries() else "PostgreSQL's server is not installed: apt-get install postgresql"


def binaries() -> Path | None:
    """Folder of initdb and postgres: that of the PATH, else Debian's newest."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Postgres:
    """A server that nothing but its socket reaches; it can be killed and started again."""

    def __init__(self, *, durable: bool = False) -> None:
        # Not pytest's folder: a socket's path is at most 107 bytes long.
        self.folder = Path(tempfile.mkdtemp(prefix="imcnas-pg-"))
        self._as: dict[str, str | int] = {}
        self._schemas = count()
        self._durable = durable  # no test cuts the power
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:  # as whom it refuses to run
            self._as = {"user": _someone(), "group": getpwnam(_someone()).pw_gid, "cwd": "/"}
            os.chown(self.folder, getpwnam(_someone()).pw_uid, getpwnam(_someone()).pw_gid)
        options = ["--auth=trust", "--username=imcnas", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", str(self.folder / "data"), *options)
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [*self._command("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        options = ["-c", "listen_addresses=", "-c", f"fsync={'on' if self._durable else 'off'}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                ["/bin/sh", "-c", WHILE_WATCHED, "sh", *command, *options],
                stdin=subprocess.PIPE, stdout=log, stderr=log, **self._as,
            )  # fmt: skip
        limit = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > limit:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process and self._process.poll() is None:
            self._process.communicate(timeout=30)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres", **query: str) -> str:
        made = sa.URL.create(
            "postgresql", "imcnas", database=database, query={"host": str(self.folder), **query}
        )
        return made.render_as_string(hide_password=False)

    def new_schema(self) -> str:
        """URL of an empty place of its own; a server that a test left dead is started."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        name = f"test_{next(self._schemas)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.url(options=f"-csearch_path={name}")

    def execute(self, sql: str) -> None:
        engine = sa.create_engine(self.url().replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(sql))
        engine.dispose()

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except sa.exc.OperationalError:
            return False
        return True

    def _command(self, name: str) -> list[str]:
        folder = binaries()
        assert folder
        return [str(folder / name)]

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([*self._command(name), *arguments], check=True, capture_output=True, **self._as)  # type: ignore[call-overload]


def _someone() -> str:
    """A user who is not root."""
    try:
        return getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"
