"""Downloads from a server of this process."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.common.errors import InvalidDataset, Unavailable
from services.trainer.data.cifar10 import read_cifar10
from services.trainer.data.fetch import CIFAR10, Archive, fetch, is_fetched
from tests.trainer.data.files import write_cifar10

SIZE = 20 * 3073
FILES = dict.fromkeys(CIFAR10.files, SIZE)

Serve = Callable[..., Archive]


def tar(folder: Path, *extra: tuple[str, bytes, bytes]) -> bytes:
    """Archive CIFAR-10 files as their author does, and members of a name, a type and content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(folder, CIFAR10.folder)
        for name, kind, content in extra:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content)
            member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    folder = write_cifar10(tmp_path / "origin")
    (folder / "batches.meta.txt").write_text("airplane\n")
    (folder / "readme.html").write_text("")
    return folder


@pytest.fixture
def served() -> Iterator[dict[str, bytes]]:
    """What the server has, by path; it counts its requests under the empty path."""
    content: dict[str, bytes] = {"": b""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            content[""] += b"x"
            found = content.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    content["address"] = f"http://127.0.0.1:{server.server_address[1]}".encode()
    yield content
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def serve(served: dict[str, bytes]) -> Serve:
    def serve(content: bytes, sha256: str = "") -> Archive:
        served["/cifar-10-binary.tar.gz"] = content
        return Archive(
            url=f"{served['address'].decode()}/cifar-10-binary.tar.gz",
            sha256=sha256 or hashlib.sha256(content).hexdigest(),
            folder=CIFAR10.folder,
            files=FILES,
        )

    return serve


def test_the_public_archive_is_the_official_one() -> None:
    assert CIFAR10.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert CIFAR10.sha256 == "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    assert len(CIFAR10.files) == 6
    assert set(CIFAR10.files.values()) == {30_730_000}


def test_an_archive_is_downloaded_verified_unpacked_and_removed(
    serve: Serve, cifar: Path, tmp_path: Path
) -> None:
    archive = serve(tar(cifar))
    folder = tmp_path / "new" / "data"
    assert not is_fetched(archive, folder)
    target = fetch(archive, folder)
    assert is_fetched(archive, folder)
    assert sorted(f.name for f in target.iterdir()) == sorted(FILES)
    assert [f.name for f in folder.iterdir()] == [CIFAR10.folder]
    assert read_cifar10("x", target).info == read_cifar10("x", cifar).info


def test_an_archive_that_was_put_there_by_hand_is_not_downloaded(
    serve: Serve, served: dict[str, bytes], cifar: Path, tmp_path: Path
) -> None:
    archive = serve(tar(cifar))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(served["/cifar-10-binary.tar.gz"])
    fetch(archive, tmp_path)
    assert served[""] == b""
    assert is_fetched(archive, tmp_path)


def test_a_damaged_half_of_an_archive_is_downloaded_anew(serve: Serve, cifar: Path, tmp_path: Path) -> None:
    archive = serve(tar(cifar))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"half")
    fetch(archive, tmp_path)
    assert is_fetched(archive, tmp_path)


def test_another_checksum_is_refused_and_leaves_nothing(serve: Serve, cifar: Path, tmp_path: Path) -> None:
    archive = serve(tar(cifar) + b"\0", hashlib.sha256(tar(cifar)).hexdigest())
    with pytest.raises(InvalidDataset, match=r"has not the SHA-256 .*try again, or get cifar-10-binary"):
        fetch(archive, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_server_without_the_file_is_told_with_what_to_do(serve: Serve, cifar: Path, tmp_path: Path) -> None:
    archive = serve(tar(cifar))
    away = Archive(url=archive.url.replace("cifar", "sifar"), sha256=archive.sha256, folder="x", files=FILES)
    with pytest.raises(Unavailable, match=r"cannot download .*404.*put it into"):
        fetch(away, tmp_path / "data")


def test_a_server_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    away = Archive(url="http://127.0.0.1:9/a.tar.gz", sha256="0" * 64, folder="x", files=FILES)
    with pytest.raises(Unavailable, match=r"cannot download http://127\.0\.0\.1:9/a\.tar\.gz .*try again"):
        fetch(away, tmp_path / "data")


def test_a_folder_that_cannot_be_made_is_told(serve: Serve, cifar: Path, tmp_path: Path) -> None:
    archive = serve(tar(cifar))
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Unavailable, match="cannot write into"):
        fetch(archive, tmp_path / "data")


@pytest.mark.parametrize(
    "member",
    [
        ("../outside.bin", tarfile.REGTYPE, b"x"),
        (f"{CIFAR10.folder}/../../outside.bin", tarfile.REGTYPE, b"x"),
        ("/tmp/outside.bin", tarfile.REGTYPE, b"x"),  # noqa: S108  # never written
        (f"{CIFAR10.folder}/link.bin", tarfile.SYMTYPE, b""),
        (f"{CIFAR10.folder}/link.bin", tarfile.LNKTYPE, b""),
        (f"{CIFAR10.folder}/pipe", tarfile.FIFOTYPE, b""),
        (f"{CIFAR10.folder}/bomb", tarfile.REGTYPE, b"\0" * (2**20 + 1)),
        (f"{CIFAR10.folder}/test_batch.bin", tarfile.REGTYPE, b"\0" * (SIZE + 1)),
    ],
)
def test_a_member_that_has_no_business_there_refuses_the_archive(
    serve: Serve, cifar: Path, tmp_path: Path, member: tuple[str, bytes, bytes]
) -> None:
    archive = serve(tar(cifar, member))
    with pytest.raises(InvalidDataset, match=r"cifar-10-binary\.tar\.gz: "):
        fetch(archive, tmp_path / "data")
    assert [f.name for f in (tmp_path / "data").iterdir()] == ["cifar-10-binary.tar.gz"]
    assert not list(tmp_path.glob("**/outside.bin"))


@pytest.mark.parametrize("content", [b"no archive", b"\x1f\x8b\x08\x00half"])
def test_what_is_no_archive_is_refused(serve: Serve, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidDataset, match="cannot be unpacked"):
        fetch(serve(content), tmp_path / "data")


def test_a_file_that_the_archive_lacks_is_named(serve: Serve, cifar: Path, tmp_path: Path) -> None:
    (cifar / "data_batch_5.bin").unlink()
    with pytest.raises(InvalidDataset, match=r"has no cifar-10-batches-bin/data_batch_5\.bin"):
        fetch(serve(tar(cifar)), tmp_path / "data")
    assert not (tmp_path / "data" / CIFAR10.folder).exists()
