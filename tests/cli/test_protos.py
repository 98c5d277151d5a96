"""`imcnas protos`: where the protos are, and copies of them."""

from pathlib import Path

from services.common import protos
from tests.cli.conftest import Command


def test_protos_prints_a_folder_that_holds_the_contract(imcnas: Command):
    code, out, err = imcnas("protos")
    assert (code, err) == (0, "")
    assert "service HwOracleService {" in (Path(out.strip()) / "imcnas/v1/hw_oracle.proto").read_text()


def test_protos_copies_them_and_names_the_copies(imcnas: Command, tmp_path: Path):
    code, out, err = imcnas("protos", "--copy", "third_party")
    assert (code, err) == (0, "")
    copies = [str(p.relative_to(tmp_path)) for p in sorted((tmp_path / "third_party").rglob("*.proto"))]
    assert out.splitlines() == copies
    assert copies == [f"third_party/{file}" for file in protos.files()]


def test_a_folder_that_cannot_be_made_is_named(imcnas: Command, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    code, out, err = imcnas("protos", "--copy", "file")
    assert (code, out) == (2, "")
    assert err.startswith("imcnas: --copy: cannot write to file: ")
    assert (tmp_path / "file").read_text() == "mine"
