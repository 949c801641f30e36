"""The embedded brain in PostgreSQL, and encrypted in both stores."""

from __future__ import annotations

import pytest

import onebrain
from onebrain.testing.conformance import DriverConformance, only

KEY = "0123456789abcdef" * 4

# TestPostgresql and the plain sqlite drivers are asked every filter; the others decide them by the same code and differ
# in where it finds a field's values. Every field and every operator are among one filter in seven.
SOME = 7


@pytest.fixture(scope="module")
def encrypted_url(postgres):
    return postgres.new_database()


class TestPostgresql(DriverConformance):
    driver = "postgresql"
    api = only("async")

    @pytest.fixture
    def empty_brain(self, postgres_url, new_tenant):
        return onebrain.connect(postgres_url, tenant=new_tenant())


class TestLargePostgresql(DriverConformance):
    """Every space is served by the database's own indexes."""

    driver = "postgresql, large"
    api = only("sync")
    one_filter_in = SOME

    @pytest.fixture
    def empty_brain(self, connect_large, postgres_url, new_tenant):
        return connect_large(postgres_url, 0, new_tenant(), indexes=False)


class TestGrowingPostgresql(DriverConformance):
    """Spaces are in memory at first, and in the database when the test goes on.

    TestPostgresql and TestLargePostgresql are asked for every scope, each in one of the two.
    """

    driver = "postgresql, growing"
    api = only("sync")
    one_filter_in = SOME
    one_scope_in = SOME

    @pytest.fixture
    def empty_brain(self, connect_large, postgres_url, new_tenant):
        return connect_large(postgres_url, 4, new_tenant(), indexes=False)


class TestEncryptedPostgresql(DriverConformance):
    driver = "postgresql, encrypted"
    api = only("sync")
    one_filter_in = SOME

    @pytest.fixture
    def empty_brain(self, encrypted_url, new_tenant):
        return onebrain.connect(encrypted_url, tenant=new_tenant(), encryption_key=KEY)


class TestEncryptedSqlite(DriverConformance):
    driver = "sqlite, encrypted"
    api = only("sync")
    one_filter_in = SOME

    @pytest.fixture
    def empty_brain(self, tmp_path):
        return onebrain.connect(f"sqlite:///{tmp_path}/brain.db", encryption_key=KEY)
