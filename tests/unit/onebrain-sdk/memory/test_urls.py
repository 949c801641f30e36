"""`connect`: from a URL, or from the environment, to a driver, or to a message that says what to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import onebrain
from onebrain import ConfigurationError, MissingDependency
from onebrain.memory.urls import GROUP, make_driver, own_driver
from onebrain.urls import CLOUD, data_directory, resolve

VARIABLES = ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL", "ONEBRAIN_HOME", "XDG_DATA_HOME")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_url_wins_over_the_environment(environment):
    environment.setenv("ONEBRAIN_URL", "sqlite:///other.db")
    environment.setenv("ONEBRAIN_API_KEY", "key")
    assert resolve("sqlite://", None) == ("sqlite://", None)
    assert resolve("onebrain+http://localhost", "mine") == ("onebrain+http://localhost", "mine")


def test_then_comes_the_url_of_the_environment(environment):
    environment.setenv("ONEBRAIN_URL", "sqlite:///other.db")
    environment.setenv("ONEBRAIN_API_KEY", "key")
    assert resolve(None, None) == ("sqlite:///other.db", None)
    assert resolve("", "mine") == ("sqlite:///other.db", "mine")


def test_a_key_means_the_cloud_or_where_the_environment_says(environment):
    assert resolve(None, "key") == (f"onebrain+{CLOUD}", "key")
    environment.setenv("ONEBRAIN_API_KEY", "key")
    assert resolve(None, None) == (f"onebrain+{CLOUD}", None)
    environment.setenv("ONEBRAIN_BASE_URL", "http://localhost:8000")
    assert resolve(None, None) == ("onebrain+http://localhost:8000", None)


def test_nothing_at_all_means_the_embedded_brain(environment, tmp_path):
    environment.setenv("ONEBRAIN_HOME", str(tmp_path))
    assert resolve(None, None) == (f"sqlite:///{tmp_path}/brain.db", None)


def test_a_base_url_alone_does_not_send_anything_to_a_server(environment, tmp_path):
    environment.setenv("ONEBRAIN_HOME", str(tmp_path))
    environment.setenv("ONEBRAIN_BASE_URL", "http://localhost:8000")
    assert resolve(None, None)[0].startswith("sqlite:")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folder of this platform is another")
def test_the_users_data_directory_is_where_the_platform_wants_it(environment, tmp_path):
    environment.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_directory() == tmp_path / "onebrain"
    environment.delenv("XDG_DATA_HOME")
    environment.setenv("HOME", str(tmp_path))
    assert data_directory() == tmp_path / ".local" / "share" / "onebrain"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("brain.db", "'brain.db' is not a URL"),
        (":memory:", "is not a URL"),
        ("https://host/api", "put its name in front, as in 'onebrain+https://...'"),
        ("unheard-of://host", "no driver for 'unheard-of'; installed: "),
    ],
)
def test_a_url_without_a_driver_says_what_to_write_instead(url, says):
    with pytest.raises(ConfigurationError) as caught:
        onebrain.connect(url)
    assert says in str(caught.value)
    with pytest.raises(ConfigurationError):
        onebrain.connect_async(url)


def test_a_path_is_taken_for_the_url_it_looks_like():
    with pytest.raises(ConfigurationError, match=r"brain\.db"):
        onebrain.connect(Path("brain.db"))


def test_a_password_in_a_wrong_url_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        onebrain.connect("https://maria:hunter2@host/api")
    assert "hunter2" not in str(caught.value)


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="durabillity"):
        onebrain.connect("sqlite://", durabillity="full")


def without_engine(program):
    """Run a program in a process that sees onebrain and no other package of ours."""
    hide = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "onebrain_engine":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""
    done = subprocess.run([sys.executable, "-c", hide + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "url", [None, "sqlite://", "sqlite:///brain.db", "postgresql://host/db", "postgres://host/db"]
)
def test_a_missing_engine_is_an_error_with_the_command_that_installs_it(url):
    program = f"""
import onebrain
try:
    onebrain.connect({url!r})
except onebrain.MissingDependency as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    command = "onebrain-engine[postgres]" if url and url.startswith("postgres") else "onebrain-sdk[local]"
    assert f'pip install "{command}"' in without_engine(program)


def test_a_driver_whose_package_is_broken_names_what_is_missing(environment):
    point = EntryPoint(name="mine", value="no_such_package_at_all.driver:driver", group=GROUP)
    environment.setattr("importlib.metadata.entry_points", lambda **_: [point])
    with pytest.raises(MissingDependency, match="mine driver needs no_such_package_at_all"):
        make_driver("mine://")


def test_a_driver_of_a_third_party_is_found_by_the_name_before_the_plus(environment):
    point = EntryPoint(name="mine", value="onebrain.testing.reference:ReferenceDriver", group=GROUP)
    environment.setattr("importlib.metadata.entry_points", lambda **_: [point])
    with pytest.raises(ConfigurationError, match=r"the mine driver: .*api_key"):
        make_driver("mine+https://host")


def test_the_projects_own_drivers_are_registered_where_they_are_found():
    ours = {"sqlite", "postgresql", "onebrain", "ai-memory", "herobrain", "rememberos", "brrain"}
    registered = {point.name: point.value for point in entry_points(group=GROUP)}
    assert registered.keys() >= ours
    assert {name: own_driver(name) for name in registered} == {
        name: address if name in ours else None for name, address in registered.items()
    }


def test_a_brain_of_a_url_can_be_pickled_without_its_key(tmp_path):
    import pickle

    brain = onebrain.connect(f"sqlite:///{tmp_path}/brain.db")
    brain.store("boat", id="one")
    with pickle.loads(pickle.dumps(brain)) as again:
        assert again.get("one").content == "boat"
    brain.close()
    with onebrain.connect("sqlite://") as brain, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(brain)


def test_both_colours_open_the_same_file(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url) as brain:
        brain.store("boat", id="one")

    async def main():
        async with onebrain.connect_async(url) as brain:
            return (await brain.get("one")).content

    assert asyncio.run(main()) == "boat"
