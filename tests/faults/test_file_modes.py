"""What is on the disk can be read by its owner alone, whatever the umask says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import onebrain
from onebrain_server.server import Server
from onebrain_server.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def modes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): oct(stat.S_IMODE(path.stat().st_mode))
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def private(path: Path) -> str:
    return "0o700" if path.is_dir() else "0o600"


def test_a_brain_is_its_owners_alone(tmp_path, umask):
    with onebrain.connect(f"sqlite:///{tmp_path / 'made' / 'here' / 'brain.db'}") as brain:
        brain.store("Maria prefers window seats")
        brain.count()
        found = modes(tmp_path)
        assert {"made/here/brain.db", "made/here/brain.db-wal", "made/here/brain.db-shm"} <= found.keys()
        assert found == {name: private(tmp_path / name) for name in found}


def test_an_index_on_the_disk_is_its_owners_alone(tmp_path, umask):
    engine = Server(Settings(database_url=f"sqlite:///{tmp_path / 'new' / 'server.db'}")).engine
    partition_folder = engine.indexes._snapshots._folder
    from onebrain_engine.index.snapshots import _write
    from onebrain_engine.store.files import make_folder

    make_folder(partition_folder)
    _write(partition_folder / "1.index", {}, {}, None)
    found = modes(tmp_path)
    assert "new/server.db.index/1.index" in found
    assert found == {name: private(tmp_path / name) for name in found}


def test_a_folder_that_was_there_stays_as_it_is(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with onebrain.connect(f"sqlite:///{folder / 'brain.db'}") as brain:
        brain.store("x")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_server_closes_the_files_that_an_earlier_version_left_open(tmp_path):
    url = f"sqlite:///{tmp_path / 'server.db'}"
    Server(Settings(database_url=url)).close()
    (tmp_path / "server.db").chmod(0o644)
    server = Server(Settings(database_url=url))
    server.accounts.first_key()
    found = modes(tmp_path)
    server.close()
    assert set(found.values()) == {"0o600"}
