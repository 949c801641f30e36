"""The cipher: what opens, and what does not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onebrain
from onebrain.errors import ConfigurationError, DatabaseCorrupt, MissingDependency
from onebrain_engine.store import encryption
from onebrain_engine.store.encryption import Cipher

KEY = "c0ffee00" * 8


@pytest.fixture(scope="module")
def cipher():
    cipher = Cipher(KEY)
    cipher.fresh_mark()
    return cipher


@given(
    fields=st.tuples(*[st.none() | st.text(st.characters(codec="utf-8"))] * 7),
    tenant=st.text(min_size=1, max_size=5),
)
def test_a_memory_comes_back_as_it_was_sealed(cipher, fields, tenant):
    sealed = cipher.seal_memory(tenant, 3, 9, fields)
    assert tuple(cipher.open_memory(tenant, 3, 9, sealed)) == fields


@pytest.mark.parametrize("place", [("other", 1, 7), ("acme", 2, 7), ("acme", 1, 8)])
def test_a_record_opens_only_at_its_own_place(cipher, place):
    sealed = cipher.seal("vector", "acme", 1, 7, b"data")
    with pytest.raises(DatabaseCorrupt):
        cipher.open("vector", *place, sealed)


def test_one_kind_of_record_does_not_open_as_another(cipher):
    with pytest.raises(DatabaseCorrupt):
        cipher.open("memory", "acme", 1, 7, cipher.seal("vector", "acme", 1, 7, b"data"))


def test_any_changed_byte_is_noticed(cipher):
    sealed = cipher.seal("vector", "acme", 1, 7, b"data")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(DatabaseCorrupt):
            cipher.open("vector", "acme", 1, 7, bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 12, 28])
def test_a_record_that_is_cut_short_is_noticed(cipher, length):
    sealed = cipher.seal("vector", "acme", 1, 7, b"data")
    with pytest.raises(DatabaseCorrupt):
        cipher.open("vector", "acme", 1, 7, sealed[:length])


def test_the_same_data_is_never_sealed_twice_alike(cipher):
    assert len({cipher.seal("vector", "acme", 1, 7, b"data") for _ in range(1000)}) == 1000


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 33])
def test_much_data_is_sealed_in_pieces(cipher, monkeypatch, size):
    monkeypatch.setattr(encryption, "_CHUNK", 8)
    data = bytes(range(size))
    sealed = cipher.seal_large("index", "", 1, memoryview(data))
    assert cipher.open_large("index", "", 1, memoryview(sealed)) == data


def test_a_piece_of_much_data_is_neither_moved_nor_dropped(cipher, monkeypatch):
    monkeypatch.setattr(encryption, "_CHUNK", 8)
    sealed = cipher.seal_large("index", "", 1, memoryview(bytes(24)))
    step = len(sealed) // 3
    swapped = sealed[step : 2 * step] + sealed[:step] + sealed[2 * step :]
    for changed in (swapped, sealed[: 2 * step], sealed + sealed[:step]):
        with pytest.raises(DatabaseCorrupt):
            cipher.open_large("index", "", 1, memoryview(changed))


def test_a_mark_tells_the_right_key_from_others():
    mark = Cipher(KEY).fresh_mark()
    assert Cipher(KEY.upper()).fits(mark)
    assert not Cipher("00" * 32).fits(mark)
    assert not Cipher(KEY).fits(mark[:-1] + b"\0")


def test_two_databases_with_one_key_do_not_open_each_others_records():
    first, second = Cipher(KEY), Cipher(KEY)
    first.fresh_mark()
    second.fresh_mark()
    with pytest.raises(DatabaseCorrupt):
        second.open("vector", "acme", 1, 7, first.seal("vector", "acme", 1, 7, b"data"))


@pytest.mark.parametrize("key", ["", "abc", "g" * 64, KEY + "0", KEY[:-1], f" {KEY}", "é" * 64])
def test_a_key_that_is_none_is_refused_without_being_shown(key):
    with pytest.raises(ConfigurationError, match="openssl rand -hex 32") as caught:
        onebrain.connect("sqlite://", encryption_key=key)
    assert not key or key not in str(caught.value)


def test_a_cipher_does_not_show_its_key():
    assert KEY not in repr(Cipher(KEY))


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
import onebrain
try:
    onebrain.connect(sys.argv[2], **({"encryption_key": "00" * 32} if sys.argv[1] == "cryptography" else {}))
except onebrain.MissingDependency as error:
    print(error.message)
"""


@pytest.mark.parametrize(
    ("package", "url", "command"),
    [
        ("cryptography", "sqlite://", 'pip install "onebrain-engine[encryption]"'),
        ("psycopg", "postgresql://localhost/app", 'pip install "onebrain-engine[postgres]"'),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(package, url, command):
    assert issubclass(MissingDependency, ImportError)
    output = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, url], capture_output=True, text=True, check=True
    ).stdout
    assert command in output
