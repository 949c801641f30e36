"""`Brains`: a memory for sync and async code, made of whatever is given."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebrain import AsyncBrain, Brain, ConfigurationError
from onebrain.brains import Brains
from onebrain.testing.reference import ReferenceDriver, reference_brain


class Closing(ReferenceDriver):
    closed = 0

    def close(self):
        self.closed += 1


def assert_both(brains):
    """Both brains exist, stay the same objects, and share one memory."""
    assert isinstance(brains.sync, Brain)
    assert isinstance(brains.asynchronous, AsyncBrain)
    assert brains.sync is brains.sync
    assert brains.asynchronous is brains.asynchronous
    brains.sync.store("boat", id="one")

    async def read():
        return (await brains.asynchronous.get("one")).content

    assert asyncio.run(read()) == "boat"


def test_a_brain_gets_its_twin():
    brain = reference_brain()
    brains = Brains(brain)
    assert brains.sync is brain
    assert_both(brains)


def test_an_async_brain_gets_its_twin():
    brain = AsyncBrain(ReferenceDriver())
    brains = Brains(brain)
    assert brains.asynchronous is brain
    assert_both(brains)


def test_a_pair_is_taken_as_it_is():
    sync = reference_brain()
    asynchronous = sync.to_async()
    brains = Brains((sync, asynchronous))
    assert (brains.sync, brains.asynchronous) == (sync, asynchronous)
    assert_both(brains)


def test_brains_are_shared():
    first = Brains(reference_brain())
    second = Brains(first)
    assert second.sync is first.sync
    assert second.asynchronous is first.asynchronous
    assert repr(second) == repr(first)


def test_sharing_opens_nothing(tmp_path):
    path = tmp_path / "brain.db"
    first = Brains(url=f"sqlite:///{path}")
    second = Brains(first)
    assert repr(second) == "Brains('not yet open')"
    assert not path.exists()
    second.sync.store("boat")
    assert path.exists()
    second.close()
    assert len(first.sync.search("boat")) == 1
    first.close()


def test_a_url_is_opened_at_the_first_use(tmp_path):
    path = tmp_path / "brain.db"
    brains = Brains(url=f"sqlite:///{path}")
    assert not path.exists()
    assert_both(brains)
    assert path.exists()
    brains.close()


def test_nothing_at_all_is_what_connect_makes_of_it(monkeypatch, tmp_path):
    for name in ("ONEBRAIN_URL", "ONEBRAIN_API_KEY", "ONEBRAIN_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEBRAIN_HOME", str(tmp_path))
    brains = Brains()
    brains.sync.store("boat")
    assert (tmp_path / "brain.db").exists()
    brains.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"brain": "sqlite://"}, "not str"),
        ({"brain": ReferenceDriver()}, "not ReferenceDriver"),
        ({"brain": (1, 2)}, "a pair must be"),
        ({"url": "sqlite://", "base_url": "http://host"}, "one of the two"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_refused(arguments, says):
    with pytest.raises(ConfigurationError, match=says):
        Brains(**arguments)


@pytest.mark.parametrize(
    "beside", [{"url": "sqlite://"}, {"api_key": "k"}, {"base_url": "http://h"}, {"timeout": 1}], ids=str
)
def test_a_brain_and_where_to_connect_exclude_each_other(beside):
    with pytest.raises(ConfigurationError, match="not both"):
        Brains(reference_brain(), **beside)


def test_a_pair_in_the_wrong_order_is_refused():
    sync = reference_brain()
    with pytest.raises(ConfigurationError, match="in this order"):
        Brains((sync.to_async(), sync))


def test_a_wrong_url_is_reported_at_the_first_use():
    with pytest.raises(ConfigurationError):
        _ = Brains(url="nonsense").sync


def test_what_was_given_stays_open():
    driver = Closing()
    brains = Brains(Brain(driver))
    _ = brains.asynchronous
    brains.close()
    asyncio.run(brains.aclose())
    assert driver.closed == 0


def test_what_was_opened_is_closed_in_either_colour(tmp_path):
    from onebrain import OneBrainError

    for close in (lambda b: b.close(), lambda b: asyncio.run(b.aclose())):
        brains = Brains(url=f"sqlite:///{tmp_path}/brain.db")
        assert_both(brains)
        sync = brains.sync
        close(brains)
        close(brains)
        with pytest.raises(OneBrainError):
            sync.store("after closing")


def test_closing_what_was_never_opened_does_nothing():
    Brains(url="sqlite://").close()
    asyncio.run(Brains(url="sqlite://").aclose())


def test_threads_that_come_first_at_once_get_one_memory():
    brains = Brains(url="sqlite://")
    barrier = threading.Barrier(8)

    def first_use(_):
        barrier.wait()
        return brains.sync, brains.asynchronous

    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(first_use, range(8)))
    assert got == {(brains.sync, brains.asynchronous)}
    brains.close()


def test_copies_share_the_memory():
    brains = Brains(reference_brain())
    assert copy.copy(brains) is brains
    assert copy.deepcopy([brains])[0] is brains


def test_a_key_never_travels_in_a_pickle(tmp_path):
    key = "a-key-of-mine"
    assert key.encode() not in pickle.dumps(Brains(url="onebrain+http://localhost", api_key=key))
    assert key not in repr(Brains(url="onebrain+http://localhost", api_key=key))


def test_brains_on_a_file_cross_processes_and_those_in_memory_refuse(tmp_path):
    brains = Brains(url=f"sqlite:///{tmp_path}/brain.db")
    brains.sync.store("boat", id="one")
    for copied in (pickle.loads(pickle.dumps(brains)), pickle.loads(pickle.dumps(Brains(brains.sync)))):
        assert copied.sync.get("one").content == "boat"
        copied.sync.close()
    brains.close()
    for brains in (Brains(url="sqlite://"), Brains(reference_brain())):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(brains)
