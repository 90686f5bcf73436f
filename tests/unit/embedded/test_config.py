"""Everything wrong with the environment is said at once, and no value is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from identity_portal.config import Config, ConfigError, prepare_home

OUTSIDE = {
    "DATABASE_URL": "postgresql://app:pass%2Fword@db.example.org:6432/portal?sslmode=verify-full",
    "DATABASE_OWNER_URL": "postgresql://owner:other@db.example.org:6432/portal",
    "REDIS_URL": "rediss://:secret@cache.example.org:6379/2",
}

WRONG = {
    "PORT": "80a80",
    "IDENTITY_PORTAL_PUBLIC_URL": "https://user:hunter2@portal.example.org/path",
    "DATABASE_URL": "mysql://app:hunter2@db/portal",
    "DATABASE_OWNER_URL": "postgresql://owner:hunter2@/",
    "REDIS_URL": "memcached://hunter2",
    "IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS": "127.0.0.1",
    "IDENTITY_PORTAL_APPROVED_UPSTREAM_HOSTS": "https://hunter2",
    "IDENTITY_PORTAL_CA_BUNDLE": "/hunter2/none.pem",
    "IDENTITY_PORTAL_EXTRA_HOSTS": "*",
    "IDENTITY_PORTAL_DEMO": "yes",
    "AWS_STRICT_SESSION_STATUS": "yes",
    "IDENTITY_PORTAL_RATE_LIMITS": "tenant=-1",
}


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"IDENTITY_PORTAL_HOME": str(home), **more}


@pytest.fixture
def ready(home: Path) -> Path:
    prepare_home(environment(home, **OUTSIDE))
    return home


def test_a_prepared_home_and_no_variables_are_enough(home: Path) -> None:
    prepare_home(environment(home))
    config = Config.from_environment(environment(home))
    assert (config.port, config.public_url) == (8080, "http://127.0.0.1:8080")
    assert config.embedded_database and config.embedded_redis
    assert (config.database.user, config.database_owner.user) == ("portal_app", "portal_owner")
    assert config.database.host == str(home.resolve() / "run" / "postgres")
    assert config.celery_broker_url().startswith("redis+socket:///")
    assert config.allowed_private_upstreams == frozenset()
    assert config.approved_upstream_hosts is None
    assert not config.demo


def test_every_malformed_variable_is_named_at_once_and_no_value_is_shown(ready: Path) -> None:
    Config.from_environment(environment(ready, **OUTSIDE))
    with pytest.raises(ConfigError) as caught:
        Config.from_environment(environment(ready, **WRONG))
    assert [problem.split()[0] for problem in sorted(caught.value.problems)] == sorted(WRONG)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(WRONG))
def test_one_malformed_variable_is_the_only_one_named(ready: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_environment(environment(ready, **{**OUTSIDE, name: WRONG[name]}))
    assert [problem.split()[0] for problem in caught.value.problems] == [name]


def test_an_external_database_is_read_from_its_address(ready: Path) -> None:
    config = Config.from_environment(environment(ready, **OUTSIDE))
    target = config.database
    assert (target.host, target.port, target.name, target.user) == ("db.example.org", 6432, "portal", "app")
    assert target.password.reveal() == "pass/word"
    assert target.options == (("sslmode", "verify-full"),)
    assert config.database_owner.user == "owner"
    assert not config.embedded_database and not config.embedded_redis
    assert "pass/word" not in repr(config)
    assert "secret" not in repr(config.redis_url)


def test_a_socket_folder_keeps_its_case(ready: Path) -> None:
    for address in ("postgresql://app@/portal?host=/Run/PG", "postgresql://app@%2FRun%2FPG/portal"):
        config = Config.from_environment(environment(ready, **{**OUTSIDE, "DATABASE_URL": address}))
        assert config.database.host == "/Run/PG"


def test_serving_without_the_owners_password_is_possible(ready: Path) -> None:
    outside = {name: value for name, value in OUTSIDE.items() if name != "DATABASE_OWNER_URL"}
    config = Config.from_environment(environment(ready, **outside))
    assert config.database_owner.user == "app"


def test_an_owner_without_a_service_role_is_refused(ready: Path) -> None:
    outside = {name: value for name, value in OUTSIDE.items() if name != "DATABASE_URL"}
    with pytest.raises(ConfigError, match="DATABASE_URL is missing"):
        Config.from_environment(environment(ready, **outside))


def test_private_upstreams_are_exact_hosts_and_ports(ready: Path) -> None:
    listed = {"IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS": "127.0.0.1:9000, IdP.internal:8443,[::1]:9001"}
    config = Config.from_environment(environment(ready, **OUTSIDE, **listed))
    expected = {("127.0.0.1", 9000), ("idp.internal", 8443), ("::1", 9001)}
    assert config.allowed_private_upstreams == expected


def test_the_public_address_loses_its_slash_and_names_an_allowed_host(ready: Path) -> None:
    address = {"IDENTITY_PORTAL_PUBLIC_URL": "https://portal.example.org/"}
    config = Config.from_environment(environment(ready, **OUTSIDE, **address))
    assert config.public_url == "https://portal.example.org"
    assert "portal.example.org" in config.allowed_hosts()


def test_an_empty_home_gets_its_keys_readable_by_the_owner_only(ready: Path) -> None:
    keys = ready / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    for name in ("django_secret_key", "vault_root.key", "operator_fernet.keys"):
        assert (keys / name).stat().st_mode & 0o777 == 0o600
    config = Config.from_environment(environment(ready, **OUTSIDE))
    assert len(config.secret_key.reveal()) >= 50
    assert [Fernet(key) for key in config.operator_keys()]


def test_keys_are_never_made_twice(ready: Path) -> None:
    before = {path.name: path.read_bytes() for path in (ready / "keys").iterdir()}
    prepare_home(environment(ready, **OUTSIDE))
    assert {path.name: path.read_bytes() for path in (ready / "keys").iterdir()} == before


@pytest.mark.parametrize("name", ["django_secret_key", "vault_root.key", "operator_fernet.keys"])
def test_a_lost_key_is_refused_and_not_replaced(ready: Path, name: str) -> None:
    (ready / "keys" / name).unlink()
    with pytest.raises(ConfigError, match=name):
        prepare_home(environment(ready, **OUTSIDE))
    with pytest.raises(ConfigError, match=name):
        Config.from_environment(environment(ready, **OUTSIDE))
    assert not (ready / "keys" / name).exists()


def test_a_home_with_a_database_and_no_keys_at_all_is_refused(home: Path) -> None:
    home.mkdir()
    (home / "postgres").mkdir()
    with pytest.raises(ConfigError, match="holds data"):
        prepare_home(environment(home))
    assert not (home / "keys").exists()


def test_an_interrupted_first_start_is_completed(home: Path) -> None:
    (home / "keys").mkdir(parents=True, mode=0o700)
    (home / "keys" / "vault_root.key").write_text("kept")
    prepare_home(environment(home, **OUTSIDE))
    assert (home / "keys" / "vault_root.key").read_text() == "kept"
    assert (home / "keys" / "django_secret_key").exists()


def test_a_damaged_root_key_is_refused(ready: Path) -> None:
    (ready / "keys" / "vault_root.key").write_text("c2hvcnQ=\n")
    with pytest.raises(ConfigError, match="32 bytes"):
        Config.from_environment(environment(ready, **OUTSIDE))


def test_a_bundle_of_authorities_is_judged_at_start(ready: Path, tmp_path: Path) -> None:
    import trustme

    ca = trustme.CA()
    good, leaf, key, empty = (tmp_path / name for name in ("ca.pem", "leaf.pem", "key.pem", "empty.pem"))
    ca.cert_pem.write_to_path(good)
    made = ca.issue_cert("idp.example.com")
    made.cert_chain_pems[0].write_to_path(leaf)
    made.private_key_pem.write_to_path(key)
    empty.write_text("")
    read = lambda path: Config.from_environment(  # noqa: E731
        environment(ready, **OUTSIDE, IDENTITY_PORTAL_CA_BUNDLE=str(path))
    )
    assert read(good).ca_bundle == good
    assert Config.from_environment(environment(ready, **OUTSIDE)).ca_bundle is None
    for wrong in (leaf, key, empty, tmp_path / "none.pem", tmp_path):
        with pytest.raises(ConfigError) as caught:
            read(wrong)
        (problem,) = caught.value.problems
        assert problem.startswith("IDENTITY_PORTAL_CA_BUNDLE ") and str(tmp_path) not in problem
