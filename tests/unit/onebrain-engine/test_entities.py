"""Entities in the engine: notes beside memories, that come and go with them and are sealed as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import onebrain
from onebrain import Scope

KEY = "5a" * 32
WORK = "Maria works at Acme Labs in Lisbon."


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/brain.db"
    return request.getfixturevalue("postgres").new_database()


def notes(url):
    """Return everything that is noted, as it stands in the database."""
    if url.startswith("sqlite"):
        database = sqlite3.connect(url.removeprefix("sqlite:///"))
        found = [bytes(data) for (data,) in database.execute("SELECT data FROM note")]
        database.close()
        return found
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('onebrain.tenant', 'default', true)")
        return [bytes(data) for (data,) in connection.execute("SELECT data FROM onebrain.note")]


def names(brain, **options):
    return {entity.name for entity in brain.entities(**options)}


def test_rules_tell_people_organizations_and_places(url):
    with onebrain.connect(url) as brain:
        brain.store(WORK)
        brain.extract_entities()
        types = {entity.name: entity.type for entity in brain.entities()}
    assert types == {"Maria": "person", "Acme Labs": "organization", "Lisbon": "place"}


def test_one_name_is_one_entity_of_the_most_telling_type(url):
    with onebrain.connect(url) as brain:
        brain.store_many([WORK, "The flight was booked with Maria again.", "We saw MARIA there"])
        brain.extract_entities()
        entity = brain.entity("maria")
    assert (entity.name, entity.type, entity.mentions) == ("Maria", "person", 3)


def test_another_process_sees_what_was_extracted(url):
    with onebrain.connect(url) as brain:
        id = brain.store(WORK).id
        brain.extract_entities()
    with onebrain.connect(url) as brain:
        assert brain.entity("Lisbon").memory_ids == (id,)
        assert brain.extract_entities() == 0


def test_a_changed_text_is_read_again_and_its_old_names_are_gone_at_once(url):
    with onebrain.connect(url) as brain:
        id = brain.store(WORK).id
        brain.extract_entities()
        brain.update(id, importance=0.5)
        assert brain.extract_entities() == 0
        brain.update(id, content="Sofia lives in Oslo.")
        assert names(brain) == set()
        assert brain.extract_entities() == 1
        assert names(brain) == {"Sofia", "Oslo"}


def test_a_removed_entity_stays_away_until_a_memory_changes(url):
    with onebrain.connect(url) as brain:
        id = brain.store(WORK).id
        brain.extract_entities()
        brain.remove_entity("Lisbon")
        assert brain.extract_entities() == 0
        assert names(brain) == {"Maria", "Acme Labs"}
        brain.update(id, content=WORK + " Still.")
        brain.extract_entities()
        assert "Lisbon" in names(brain)


def test_storing_and_searching_note_nothing(url):
    with onebrain.connect(url) as brain:
        brain.store(WORK)
        brain.search("Lisbon")
        assert brain.entities() == []
        assert notes(url) == []


@pytest.mark.parametrize("way", ["delete", "forget", "expiry"])
def test_a_note_goes_with_its_memory(url, way):
    with onebrain.connect(url) as brain:
        id = brain.store(WORK, scope=Scope(user="maria")).id
        brain.extract_entities()
        assert len(notes(url)) == 1
        if way == "delete":
            brain.delete(id)
        elif way == "forget":
            brain.forget(scope=Scope(user="maria"))
        else:
            brain.update(id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
            assert names(brain) == set()
            brain.driver.tenant.purge()
        assert notes(url) == []


def test_no_name_stands_in_clear_where_there_is_a_key(url):
    with onebrain.connect(url, encryption_key=KEY) as brain:
        brain.store(WORK)
        brain.extract_entities()
        assert names(brain) == {"Maria", "Acme Labs", "Lisbon"}
        brain.remove_entity("Lisbon")
    (note,) = notes(url)
    assert not any(name in note for name in (b"Maria", b"Acme", b"Lisbon", b"person"))
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert names(brain) == {"Maria", "Acme Labs"}


def test_a_note_from_before_the_key_is_still_read(url):
    with onebrain.connect(url) as brain:
        brain.store(WORK)
        brain.extract_entities()
    with onebrain.connect(url, encryption_key=KEY) as brain:
        assert names(brain) == {"Maria", "Acme Labs", "Lisbon"}


def test_tenants_do_not_see_each_others_entities(url):
    with onebrain.connect(url, tenant="one") as one, onebrain.connect(url, tenant="two") as two:
        one.store(WORK, id="same")
        two.store("Sofia lives in Oslo.", id="same")
        one.extract_entities()
        assert names(two) == set()
        two.extract_entities()
        assert names(one) == {"Maria", "Acme Labs", "Lisbon"}
        assert names(two) == {"Sofia", "Oslo"}


EXTRACT = """
import sys
import onebrain

brain = onebrain.connect(sys.argv[1], embedder=None)
print("open", flush=True)
brain.extract_entities()
"""


def test_killing_an_extraction_leaves_all_of_it_or_nothing(url):
    with onebrain.connect(url, embedder=None) as brain:
        brain.store_many([f"Maria works at Acme Labs in Lisbon, day {n}." for n in range(2000)])
    for wait in (0.0, 0.02, 0.05, 0.1, 0.2):
        with subprocess.Popen(
            [sys.executable, "-c", EXTRACT, url], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            time.sleep(wait)
            process.kill()
        with onebrain.connect(url, embedder=None) as brain:
            mentions = {entity.name: entity.mentions for entity in brain.entities()}
            assert mentions in ({}, {"Maria": 2000, "Acme Labs": 2000, "Lisbon": 2000})
    with onebrain.connect(url, embedder=None) as brain:
        brain.extract_entities()
        assert brain.entity("Lisbon").mentions == 2000
