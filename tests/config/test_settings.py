"""``toolgate.toml`` read: what it says, how files merge, and how a mistake in one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.config.conftest import Write
from toolgate import Caller, ConfigurationError, Gateway, NotBuiltYet, Rate, Succeeded
from toolgate.config import load_settings

TOOLS = 'tools = ["tests.config.desk:tools"]\n'


@pytest.mark.req("M1.13")
async def test_a_gateway_is_what_its_file_says(write: Write, tmp_path: Path) -> None:
    path = write(
        TOOLS
        + 'store = "sqlite:///gate.db"\ndeps = "tests.config.desk:deps"\ncallers = "tests.config.desk:callers"\n'
        "[limits]\nper_caller = '1/hour'\nconcurrency = 3\nresult_size = '16KiB'\n"
    )

    async with Gateway.from_config(path, housekeeping=None) as gateway:
        first = await gateway.call("read_order", {"order_id": 1}, caller=Caller("u1"))
        second = await gateway.call("read_order", {"order_id": 1}, caller=Caller("u1"))

    assert isinstance(first, Succeeded)
    assert second.to_model()["error_type"] == "rate_limited"
    assert (tmp_path / "gate.db").exists()
    assert (gateway.world.limits.concurrency, gateway.world.limits.result_size) == (3, 16_384)
    assert gateway.world.callers is not None


@pytest.mark.req("M1.13")
def test_files_merge_in_order_key_by_key(write: Write) -> None:
    first = write(TOOLS + 'store = "sqlite:///dev.db"\n[limits]\nper_caller = "9/hour"\nconcurrency = 3\n')
    second = write('store = "sqlite:///prod.db"\n[limits]\nconcurrency = 5\n', "prod.toml")

    settings = load_settings(first, second)

    assert settings.store is not None
    assert settings.store.endswith("/prod.db")
    assert (settings.limits.per_caller, settings.limits.concurrency) == (Rate(9, 3600.0), 5)
    assert [tool.name for tool in settings.tools()] == ["refund", "read_order", "delete_order", "close_order"]


@pytest.mark.req("M1.13")
def test_a_relative_store_lies_beside_its_file_wherever_the_program_runs(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('store = "sqlite:///gate.db"')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert load_settings(path).store == f"sqlite:///{tmp_path}/gate.db"
    assert load_settings(Path("..", "toolgate.toml")).store == f"sqlite:///{tmp_path}/elsewhere/../gate.db"
    assert load_settings(write('store = "sqlite:////var/gate.db"')).store == "sqlite:////var/gate.db"


@pytest.mark.req("M1.13")
def test_without_a_name_the_file_of_the_working_directory_is_read(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TOOLS)
    monkeypatch.chdir(tmp_path)

    assert len(load_settings().tools()) == 4


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("toolz = []", 1, "toolz", "did you mean 'tools'?"),
        ("\n\nstor = 'x'", 3, "stor", "did you mean 'store'?"),
        ("tools = 'a:b'", 1, "tools", "write a list of texts"),
        ("tools = [1]", 1, "tools", "write a list of texts"),
        ("store = 5", 1, "store", "write a text"),
        ("store = 'mysql://x'", 1, "store", "sqlite:///toolgate.db"),
        ("store = 'sqlite:///'", 1, "store", "sqlite:///toolgate.db"),
        ("[limits]\nper_caler = '1/m'", 2, "limits.per_caler", "did you mean 'per_caller'?"),
        ("[limits]\nper_caller = 5", 2, "limits.per_caller", "write a rate"),
        ("[limits]\nper_caller = '5 apples'", 2, "limits.per_caller", "30/minute"),
        ("[limits]\nconcurrency = 0", 2, "limits.concurrency", "at least 1"),
        ("[limits]\nconcurrency = true", 2, "limits.concurrency", "at least 1"),
        ("[limits]\nresult_size = '4 parsecs'", 2, "limits.result_size", "64KiB"),
        ("limits = 5", 1, "limits", "write a table"),
        ("[approvals]\nexpire_in = '1h'", 2, "approvals.expire_in", "did you mean 'expires_in'?"),
        ("[approvals]\nexpires_in = 'soon'", 2, "approvals.expires_in", "24h"),
        ("[approvals]\nexpires_in = true", 2, "approvals.expires_in", "24h"),
        ("overrides = 1", 1, "overrides", "write a table"),
        ("[overrides]\nrefund = 1", 2, "overrides.refund", "write a table"),
    ],
)
def test_a_mistake_is_told_with_its_key_its_line_and_what_is_right(
    write: Write, text: str, line: int, key: str, words: str
) -> None:
    path = write(text)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)

    assert str(caught.value).startswith(f"{path}:{line}: {key}: ")
    assert words in str(caught.value)


@pytest.mark.req("M1.13")
def test_a_mistake_of_the_second_file_names_the_second_file(write: Write) -> None:
    first, second = write(TOOLS), write("\nlimit = 1", "prod.toml")

    with pytest.raises(
        ConfigurationError, match=r"prod\.toml:2: limit: there is no such key; did you mean 'limits'\?"
    ):
        load_settings(first, second)


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"tools = [", "not valid TOML"),
        (b"a = 1\na = 2", "not valid TOML"),
        (b"store = '\xff'", "UTF-8"),
        (b"a = " + b"[" * 5000, "toolgate.toml"),
        (b"#" * 2_000_000, "longer than"),
    ],
)
def test_what_is_no_toml_is_told_so(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "toolgate.toml"
    path.write_bytes(raw)

    with pytest.raises(ConfigurationError, match=words):
        load_settings(path)


@pytest.mark.req("M1.9", "M1.13")
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('policies = "policies/"', "1: policies"),
    ],
)
def test_what_is_designed_and_not_built_is_an_error_at_its_line(write: Write, text: str, where: str) -> None:
    path = write(text)

    with pytest.raises(NotBuiltYet) as caught:
        load_settings(path)

    assert str(caught.value).startswith(f"{path}:{where}: ")
    assert "not built yet" in str(caught.value)
    assert "geheim" not in str(caught.value)


# --- secrets by reference -------------------------------------------------------------------------------------


@pytest.mark.req("M1.14")
def test_a_store_may_come_from_the_environment_or_a_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("sqlite:///from-file.db\n")
    monkeypatch.setenv("TEST_STORE", "sqlite:////from/env.db")

    assert load_settings(write('store = "env:TEST_STORE"')).store == "sqlite:////from/env.db"
    assert load_settings(write('store = "file:secret"')).store == f"sqlite:///{tmp_path}/from-file.db"
    assert (
        load_settings(write(f'store = "file:{tmp_path}/secret"')).store
        == f"sqlite:///{tmp_path}/from-file.db"
    )


@pytest.mark.req("M1.14")
@pytest.mark.parametrize(
    "value", ["hunter2", "mysql://root:hunter2@db/x", "pg://root:hunter2@db/x", "hunter2:x"]
)
@pytest.mark.parametrize("by", ["env:TEST_STORE", "file:secret"])
def test_a_secret_that_cannot_be_used_is_not_shown(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, by: str
) -> None:
    (tmp_path / "secret").write_text(value)
    monkeypatch.setenv("TEST_STORE", value)

    with pytest.raises((ConfigurationError, NotBuiltYet)) as caught:
        load_settings(write(f'\nstore = "{by}"'))

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert ":2: store: " in str(caught.value)


@pytest.mark.req("M1.14", "X1.57")
def test_an_address_of_postgres_is_taken_as_it_is_and_never_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_STORE", "postgresql://gate:hunter2@db:5432/x?schema=gate")
    settings = load_settings(write('store = "env:TEST_STORE"'))

    assert settings.store == "postgresql://gate:hunter2@db:5432/x?schema=gate"
    assert "hunter2" not in repr(settings)


@pytest.mark.req("X1.58")
def test_keys_lie_where_a_file_says_then_where_the_environment_does_then_beside_the_first_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = 'store = "postgresql://db/x"\n'
    monkeypatch.delenv("TOOLGATE_KEYS_FILE", raising=False)

    assert load_settings(write(shared)).keys == tmp_path / "toolgate.keys"
    assert load_settings(write('store = "sqlite:///gate.db"')).keys is None
    monkeypatch.setenv("TOOLGATE_KEYS_FILE", "/run/secrets/keys")
    assert load_settings(write(shared)).keys == Path("/run/secrets/keys")
    assert load_settings(write(shared + 'keys = "file:here.keys"')).keys == tmp_path / "here.keys"
    assert load_settings(write('store = "sqlite:///gate.db"')).keys is None


@pytest.mark.req("X1.58")
@pytest.mark.parametrize("said", ["hunter2", "env:KEYS", "file:"])
def test_keys_are_named_by_a_file_and_nothing_else(write: Write, said: str) -> None:
    with pytest.raises(ConfigurationError, match="name the file that holds them") as caught:
        load_settings(write(f'keys = "{said}"'))

    assert "hunter2" not in str(caught.value)


@pytest.mark.req("M1.14")
def test_settings_do_not_show_their_store(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_STORE", "sqlite:////hunter2.db")

    assert "hunter2" not in repr(load_settings(write('store = "env:TEST_STORE"')))


@pytest.mark.req("M1.14")
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:TEST_NOT_SET", "the environment variable TEST_NOT_SET is not set"),
        ("env:", "name the variable"),
        ("file:nowhere", "cannot be read"),
        ("file:", "name the file"),
        ("file:empty", "is empty"),
        ("file:binary", "UTF-8"),
    ],
)
def test_a_reference_that_leads_nowhere_says_how_to_mend_it(
    write: Write, tmp_path: Path, reference: str, words: str
) -> None:
    assert "TEST_NOT_SET" not in os.environ
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match=words) as caught:
        load_settings(write(f'store = "{reference}"'))

    assert ":1: store: " in str(caught.value)


# --- what import paths name -----------------------------------------------------------------------------------


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests.config.desk", "write 'package.module:name'"),
        ("tests.config.desk:tool s", "write 'package.module:name'"),
        ("tests.config.nowhere:tools", "there is no module 'tests.config.nowhere'"),
        ("nowhere.at.all:tools", "there is no module 'nowhere.at.all'"),
        ("tests.config.desk:no_toolz", "did you mean 'no_tools'?"),
        ("tests.config.desk:no_tools", "an int, and no list of tools"),
        ("tests.config.desk:refund.name", "a str, and no list of tools"),
    ],
)
def test_an_import_path_that_names_no_tools_is_told_at_its_line(write: Write, path: str, words: str) -> None:
    settings = load_settings(write(f'tools = [\n  "tests.config.desk:tools",\n  "{path}",\n]'))

    with pytest.raises(ConfigurationError) as caught:
        settings.tools()

    assert ":3: tools[1]: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.req("M1.13")
def test_a_hook_that_is_none_is_told_at_its_line(write: Write) -> None:
    settings = load_settings(
        write('deps = "tests.config.desk:no_tools"\ncallers = "tests.config.desk:nobody"')
    )

    with pytest.raises(ConfigurationError, match=r":1: deps: .*an async context manager"):
        settings.deps()
    with pytest.raises(ConfigurationError, match=r":2: callers: tests.config.desk has no 'nobody'"):
        settings.callers()


@pytest.mark.req("M1.13")
def test_tools_beside_the_file_are_found_after_everything_installed(write: Write) -> None:
    write("raise RuntimeError('it stood in for a module of the standard library')", "colorsys.py")
    write("from tests.config.desk import tools", "beside_the_file.py")

    with pytest.raises(ConfigurationError, match="colorsys has no 'tools'"):
        load_settings(write('tools = ["colorsys:tools"]')).tools()
    assert len(load_settings(write('tools = ["beside_the_file:tools"]')).tools()) == 4


@pytest.mark.req("M1.13")
def test_a_module_that_fails_says_where_and_hides_secrets(write: Write) -> None:
    write("x = 1\nraise ValueError('password=hunter2hunter2')", "fails_at_import.py")
    write("import surely_not_installed", "needs_another.py")

    with pytest.raises(ConfigurationError, match=r"importing fails_at_import failed at line 2") as caught:
        load_settings(write('tools = ["fails_at_import:tools"]')).tools()
    with pytest.raises(ConfigurationError, match="it needs 'surely_not_installed'"):
        load_settings(write('tools = ["needs_another:tools"]')).tools()

    assert "hunter2" not in str(caught.value)


@pytest.mark.req("M1.13")
def test_a_configuration_without_tools_says_so_when_they_are_wanted(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="no file names any"):
        load_settings(write("")).tools()


# --- retention ------------------------------------------------------------------------------------------------


@pytest.mark.req("M11.17")
def test_retention_is_read_and_what_is_not_said_is_kept(write: Write) -> None:
    said = write('[retention]\naudit = "400d"\ncalls = "90d"\narguments = 3600\nsessions = "forever"')

    kept = load_settings(said).retention

    assert (kept.audit, kept.calls, kept.arguments) == (400 * 86_400, 90 * 86_400, 3_600)
    assert kept.sessions is None
    assert kept.idempotency is None
    assert kept.notices == 30 * 86_400
    assert load_settings(write("")).retention.calls is None


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('calls = "never"', "is no duration"),
        ("calls = true", "not a bool"),
        ('audit = "1h"', "nothing is removed before 1d have passed"),
        ('idempotency = "1m"', "nothing is removed before 1h have passed"),
        ('keys = "1d"', "idempotency"),
    ],
)
def test_a_retention_that_cannot_be_is_refused_at_its_line(write: Write, text: str, words: str) -> None:
    path = write(f"[retention]\n{text}")

    with pytest.raises(ConfigurationError, match=words) as caught:
        load_settings(path)

    assert str(caught.value).startswith(f"{path}:2: retention.")
