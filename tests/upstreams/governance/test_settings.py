"""``[upstreams.NAME]``: read strictly, closed by default, with secrets by reference alone."""

# ruff: noqa: E501, ISC004 - one case is one line

from __future__ import annotations

from pathlib import Path

import pytest

from toolgate import ConfigurationError, Contract
from toolgate.config import Settings, load_settings
from toolgate.config.upstreams import CONTRACT_KEYS, OWN_KEYS, READERS, normalised
from toolgate.domain.upstream.definition import Definition
from toolgate.domain.upstream.settings import Bearer, ClientCredentials, HttpSettings, StdioSettings

pytestmark = pytest.mark.req("X3.20")

HEAD = '[upstreams.github]\ncommand = "npx"\n'
DEFINITION = Definition.of(
    {
        "name": "create_issue",
        "title": "Create",
        "description": "Creates an issue.",
        "inputSchema": {
            "type": "object",
            "properties": {"repo": {"type": "string"}, "body": {"type": "string"}},
        },
    }
)


def read(folder: Path, text: str, name: str = "toolgate.toml") -> Settings:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def contract(folder: Path, keys: str, head: str = HEAD) -> Contract:
    settings = read(folder, f"{head}[upstreams.github.tools.create_issue]\n{keys}")
    assert isinstance(DEFINITION, Definition)
    return settings.upstreams[0].overlays["create_issue"].contract(DEFINITION, DEFINITION.input_schema, None)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    return str(caught.value)


def test_the_example_of_the_design_is_read_as_it_stands(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "docs" / "toolgate.example.toml"
    text = example.read_text(encoding="utf-8")
    sections = text[text.index("[upstreams.github]") : text.index("[server]")]
    github, ledger = read(tmp_path, sections).upstreams

    assert (github.kind, ledger.kind) == ("stdio", "http")
    assert [overlay.name for overlay in github.overlays.values()] == [
        "github_search_issues",
        "github_create_issue",
    ]
    assert ledger.overlays == {}


def test_an_overlay_says_the_contract_and_what_it_leaves_out_is_careful(tmp_path: Path) -> None:
    said = contract(tmp_path, 'effect = "read"\nroles = ["engineer"]')

    assert (said.name, said.title, said.description) == ("github_create_issue", "Create", "Creates an issue.")
    assert (said.result_trust, said.external) == ("untrusted", True)
    assert (said.timeout, said.timeout_declared) == (30.0, False)
    assert said.breaker is not None


def test_every_key_of_an_overlay_reaches_the_contract(tmp_path: Path) -> None:
    said = contract(
        tmp_path,
        """
effect = "destructive"
roles = "anyone"
timeout = "20s"
idempotency = "{repo}:{workflow_id}"
honours_key = true
retries = { attempts = 4, delay = "2s" }
sensitive = ["body"]
result_trust = "trusted"
external = false
rate_limit = "10/minute"
concurrency = 2
breaker = { failures = 3 }
result_size = "1KiB"
owner = "platform"
title = "Open an issue"
description = "Opens one issue."
tags = ["code"]
name = "open_issue"
approval = { approvers = ["maintainer"], when = { repo = { eq = "core" } } }
""",
    )

    assert said.name == "open_issue"
    assert (said.title, said.description, said.owner) == ("Open an issue", "Opens one issue.", "platform")
    assert (said.effect, said.roles, said.timeout, said.concurrency) == ("destructive", "anyone", 20.0, 2)
    assert said.retries is not None
    assert (said.retries.attempts, said.retries.delay) == (4, 2.0)
    assert (said.idempotency, said.honours_key) == ("{repo}:{workflow_id}", True)
    assert (said.result_trust, said.external, said.result_size) == ("trusted", False, 1024)
    assert said.sensitive == (("body",),)
    assert str(said.rate_limit) == "10/minute"
    assert said.breaker is not None
    assert said.breaker.failures == 3
    assert said.approval is not None
    assert said.tags == {"code"}


def test_defaults_hold_for_every_tool_and_a_tool_s_own_key_wins(tmp_path: Path) -> None:
    head = HEAD + 'defaults = { roles = ["engineer"], timeout = "20s", owner = "platform" }\n'
    said = contract(tmp_path, 'effect = "read"\ntimeout = 5', head)

    assert (said.roles, said.timeout, said.owner) == (frozenset({"engineer"}), 5.0, "platform")


def test_a_later_file_has_the_last_word_key_by_key(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(
        HEAD + 'args = ["x"]\n[upstreams.github.tools.t]\neffect = "read"\nroles = "anyone"\nowner = "a"'
    )
    second.write_text('[upstreams.github]\nargs = ["y"]\n[upstreams.github.tools.t]\nowner = "b"')
    (github,) = load_settings(first, second).upstreams
    connection = github.connection()

    assert isinstance(connection, StdioSettings)
    assert (connection.command, connection.args) == ("npx", ("y",))
    assert isinstance(DEFINITION, Definition)
    made = github.overlays["t"].contract(DEFINITION, {"type": "object"}, None)
    assert (made.owner, made.effect) == ("b", "read")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "[upstreams.github.tools.t]\nroles = 'anyone'", "toolgate.toml:3: upstreams.github.tools.t: say what it does"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'read'", "nobody could call it"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'harmless'\nroles = 'anyone'", ":4: upstreams.github.tools.t.effect"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'read'\nroles = 'anyone'\ntimout = 3", "did you mean 'timeout'?"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'read'\nroles = 'anyone'\nauthorize = 'x'", "only the code of a Python tool"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'read'\nroles = 'anyone'\nerror_effect = 'maybe'", "write 'none'"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'read'\nroles = 'anyone'\nidempotency = 'a:{b}'", "a read needs no key"),
        (HEAD + "[upstreams.github.tools.t]\neffect = 'write'\nroles = 'anyone'\nhonours_key = true", "needs idempotency"),
        (HEAD + f"[upstreams.github.tools.{'t' * 80}]\neffect = 'read'\nroles = 'anyone'", "add name = '…'"),
        (HEAD + "[upstreams.github.tools.aB]\neffect='read'\nroles='anyone'\n[upstreams.github.tools.a-b]\neffect='read'\nroles='anyone'", "add name = '…' to one of them"),
        (HEAD + "comand = 'x'", "did you mean 'command'?"),
        (HEAD + "url = 'https://a.example/mcp'", "say how it is reached, once"),
        ("[upstreams.github]\nargs = ['x']", "say how it is reached, once"),
        (HEAD + "headers = { X-A = 'b' }", "for an upstream with a url"),
        ("[upstreams.github]\nurl = 'https://a.example/mcp'\nmemory = '1MiB'", "for an upstream with a command"),
        ("[upstreams.github]\nurl = 'ftp://a.example'", "write a URL"),
        ("[upstreams.'Git Hub']\ncommand = 'x'", "an upstream's name"),
        (HEAD + "defaults = { idempotency = 'x' }", "there is no such key"),
        (HEAD + "memory = 'much'", "no size"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_key_and_what_would_be_right(
    tmp_path: Path, text: str, words: str
) -> None:
    assert words in refused(tmp_path, text)


@pytest.mark.req("M1.14")
@pytest.mark.parametrize(
    "text",
    [
        HEAD + "env = { GITHUB_TOKEN = 'hunter2-very-secret' }",
        HEAD + "env = { SETTING = 'ghp_0123456789abcdefABCDEF0123456789abcd' }",
        HEAD + "env = { SETTING = 'q7Zk29sLmX0pTr4vWy8B' }",
        HEAD + "args = ['--token', 'ghp_0123456789abcdefABCDEF0123456789abcd']",
        "[upstreams.l]\nurl = 'https://a.example/mcp'\nauth = { type = 'bearer', token = 'hunter2-very-secret' }",
        "[upstreams.l]\nurl = 'https://a.example/mcp'\nauth = 'hunter2-very-secret'",
        "[upstreams.l]\nurl = 'https://a.example/mcp'\nheaders = { Authorization = 'Basic hunter2-very-secret' }",
        "[upstreams.l]\nurl = 'https://u:hunter2-very-secret@a.example/mcp'",
        "[upstreams.l]\nurl = 'https://a.example/mcp'\nauth = { type = 'client_credentials', token_url = "
        "'https://i.example/t', client_id = 'x', client_secret = 'hunter2-very-secret' }",
    ],
)
def test_a_secret_that_lies_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    said = refused(tmp_path, text)

    assert "toolgate.toml:" in said
    assert not any(secret in said for secret in ("hunter2", "ghp_", "q7Zk"))


@pytest.mark.req("M1.14")
def test_references_are_looked_up_only_when_somebody_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    settings = read(
        tmp_path,
        HEAD
        + "args = ['env:ARG']\nenv = { A_TOKEN = 'env:A_TOKEN', MODE = 'fast' }\ncwd = 'work'\nmemory = '64MiB'\n"
        + "[upstreams.ledger]\nurl = 'https://l.example/mcp'\nheaders = { X-Key = 'file:secret' }\n"
        + "auth = { type = 'client_credentials', token_url = 'https://i.example/t', client_id = 'x', "
        + "client_secret = 'file:secret', scope = 'a b' }\n[upstreams.three]\nurl = 'http://127.0.0.1:1/mcp'\nauth = 'env:ARG'",
    )
    github, ledger, three = settings.upstreams
    with pytest.raises(ConfigurationError, match="variable ARG is not set"):
        github.connection()
    monkeypatch.setenv("ARG", "an argument")
    monkeypatch.setenv("A_TOKEN", "a token")

    stdio, http, bearer = github.connection(), ledger.connection(), three.connection()
    assert isinstance(stdio, StdioSettings)
    assert stdio.args == ("an argument",)
    assert stdio.env == {"A_TOKEN": "a token", "MODE": "fast"}
    assert (stdio.cwd, stdio.memory_limit) == (str(tmp_path / "work"), 64 * 1024 * 1024)
    assert isinstance(http, HttpSettings)
    assert http.headers == {"X-Key": "from the file"}
    assert isinstance(http.auth, ClientCredentials)
    assert (http.auth.client_secret, http.auth.scope) == ("from the file", "a b")
    assert isinstance(bearer, HttpSettings)
    assert bearer.auth == Bearer(token="an argument")
    assert "from the file" not in repr(settings)


@pytest.mark.req("M1.14")
def test_an_upstream_runs_in_the_folder_of_its_file_whoever_started_the_gateway_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (upstream,) = read(tmp_path, HEAD).upstreams
    monkeypatch.chdir("/")
    stdio = upstream.connection()

    assert isinstance(stdio, StdioSettings)
    assert stdio.cwd == str(tmp_path)


def test_an_override_of_another_file_tightens_a_tool_of_an_upstream_and_knows_its_name(
    tmp_path: Path,
) -> None:
    tool = HEAD + "[upstreams.github.tools.t]\neffect = 'read'\nroles = 'anyone'\n"

    assert read(tmp_path, tool + "[overrides.github_t]\ntimeout = 1").tools() == []
    with pytest.raises(ConfigurationError, match="did you mean 'github_t'"):
        read(tmp_path, tool + "[overrides.github_tt]\ntimeout = 1").tools()


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("search_issues", "github_search_issues"),
        ("searchIssues", "github_search_issues"),
        ("search-issues", "github_search_issues"),
        ("Search.Issues/v2", "github_search_issues_v2"),
        ("__x__", "github_x"),
    ],
)
def test_names_are_made_into_ours(tool: str, name: str) -> None:
    assert normalised("github", tool) == name


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "upstreams.md").read_text(encoding="utf-8")

    for key in {*READERS, *CONTRACT_KEYS, *OWN_KEYS, "defaults", "tools"}:
        assert f"`{key}`" in page, key
