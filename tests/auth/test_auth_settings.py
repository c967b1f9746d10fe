"""``[auth]``, ``[auth.oidc]`` and ``[agents.NAME]`` of ``toolgate.toml``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from toolgate import ConfigurationError, Gateway
from toolgate.adapters.identity import OidcIssuer, trust
from toolgate.bootstrap.identity import open_issuer
from toolgate.config import auth, load_settings
from toolgate.testing import FakeClock

OIDC = '[auth.oidc]\nissuer = "https://login.example.com"\naudience = "toolgate"\n'


def write(folder: Path, text: str, name: str = "toolgate.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.req("M4.19", "M1.13")
def test_a_file_says_who_is_believed_and_how_long_they_stay(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            '[auth]\nsession = "4h"\nidle = "10m"\n'
            + OIDC
            + 'claims = { id = "email", tenant = "org_id", roles = "groups", scope = "scp" }\n'
            'roles = { grp-support = "support", grp-leads = ["lead", "support"] }\n'
            'algorithms = ["ES256"]\ntypes = ["at+jwt"]\nskew = "5s"\njwks_url = "https://login.example.com/keys"\n'
            'client_id = "console"\nscopes = ["groups"]\n'
            '[agents.support_assistant]\nowner = "u7"\n',
        )
    )

    oidc = settings.auth.oidc
    assert oidc is not None
    assert (settings.auth.session, settings.auth.idle, oidc.skew) == (14_400.0, 600.0, 5.0)
    assert (oidc.algorithms, oidc.types, oidc.client_scopes) == (
        ("ES256",),
        ("at+jwt",),
        ("openid", "groups"),
    )
    assert oidc.roles == {"grp-support": ("support",), "grp-leads": ("lead", "support")}
    assert settings.agents == {"support_assistant": "u7"}
    assert settings.auth_is_said


@pytest.mark.req("M1.13")
def test_auth_is_said_by_its_header_alone(tmp_path: Path) -> None:
    said, unsaid = write(tmp_path, "[auth]\n"), write(tmp_path, "", "other.toml")

    assert load_settings(said).auth_is_said
    assert not load_settings(unsaid).auth_is_said


@pytest.mark.req("M1.13")
def test_a_later_file_has_the_last_word_key_by_key(tmp_path: Path) -> None:
    first = write(
        tmp_path,
        OIDC + 'claims = { tenant = "org_id" }\n[agents.a]\nowner = "u1"\n[agents.b]\nowner = "u2"\n',
    )
    second = write(tmp_path, '[auth.oidc]\naudience = "prod"\n[agents.b]\nowner = "u3"\n', "prod.toml")

    settings = load_settings(first, second)

    assert settings.auth.oidc is not None
    assert (settings.auth.oidc.issuer, settings.auth.oidc.audience) == ("https://login.example.com", "prod")
    assert settings.auth.oidc.claims == {"tenant": "org_id"}
    assert settings.agents == {"a": "u1", "b": "u3"}


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("auth = 5", 1, "auth", "write a table"),
        ("[auth]\nsesion = '8h'", 2, "auth.sesion", "did you mean 'session'?"),
        ("[auth]\nsession = 'long'", 2, "auth.session", "24h"),
        ("[auth]\nissuer = 'https://x'", 2, "auth.issuer", "no such key"),
        ("[auth]\noidc = 5", 2, "auth.oidc", "write a table"),
        ("[auth.oidc]\nissuer = 'https://x.example'", 1, "auth.oidc", "audience is missing"),
        ("[auth.oidc]\naudience = 'toolgate'", 1, "auth.oidc", "issuer is missing"),
        (OIDC + "isuer = 'x'", 4, "auth.oidc.isuer", "did you mean 'issuer'?"),
        ("[auth.oidc]\nissuer = 'login.example.com'", 2, "auth.oidc.issuer", "https://login.example.com"),
        ("[auth.oidc]\nissuer = 'http://login.example.com'", 2, "auth.oidc.issuer", "https"),
        ("[auth.oidc]\nissuer = 'https://u:p@login.example.com'", 2, "auth.oidc.issuer", "without user"),
        (OIDC + "jwks_url = 'http://10.0.0.1/keys'", 4, "auth.oidc.jwks_url", "https"),
        (OIDC + "algorithms = ['HS256']", 4, "auth.oidc.algorithms[0]", "cannot be believed"),
        (OIDC + "algorithms = ['RS256', 'none']", 4, "auth.oidc.algorithms[1]", "cannot be believed"),
        (OIDC + "algorithms = []", 4, "auth.oidc.algorithms", "empty"),
        (OIDC + "types = ['id+jwt']", 4, "auth.oidc.types[0]", "at+jwt"),
        (OIDC + "claims = 'sub'", 4, "auth.oidc.claims", "write a table"),
        (OIDC + "claims = { name = 'sub' }", 4, "auth.oidc.claims.name", "no such key"),
        (OIDC + "claims = { id = 5 }", 4, "auth.oidc.claims.id", "write a text"),
        (OIDC + "roles = { a = 'support' }", 4, "auth.oidc.roles", "which claim"),
        (OIDC + "claims = { roles = 'groups' }\nroles = { a = 5 }", 5, "auth.oidc.roles.a", "list of texts"),
        (OIDC + "claims = { roles = 'groups' }\nroles = { a = '' }", 5, "auth.oidc.roles.a", "a role"),
        (OIDC + "client_id = 'toolgate'", 4, "auth.oidc.client_id", "ID token"),
        (OIDC + "client_secret = 'env:X'", 4, "auth.oidc.client_secret", "client_id"),
        (OIDC + "client_id = 'c'\nclient_secret = 'hunter2'", 5, "auth.oidc.client_secret", "by reference"),
        (OIDC + "skew = true", 4, "auth.oidc.skew", "60|duration"),
        ("agents = 5", 1, "agents", "write a table"),
        ("[agents]\nassistant = 'u7'", 2, "agents.assistant", "owner"),
        ("[agents.assistant]\nowns = 'u7'", 2, "agents.assistant.owns", "owner"),
        ("[agents.assistant]", 1, "agents.assistant", "owner"),
        ("[agents.assistant]\nowner = ''", 1, "agents.assistant", "owner"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_key_its_line_and_what_is_right(
    tmp_path: Path, text: str, line: int, key: str, words: str
) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)

    place = f"{path}:{line}: {key}"
    # Behind a key that is named like a secret, the colon alone would have the next word replaced where it is printed.
    assert str(caught.value).startswith((f"{place}: ", f"{place} cannot be used: ")), str(caught.value)
    assert any(word in str(caught.value) for word in words.split("|")), str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.req("M4.20")
def test_one_audience_for_both_kinds_of_token_is_taken_only_where_their_types_differ(tmp_path: Path) -> None:
    path = write(tmp_path, OIDC + 'client_id = "toolgate"\ntypes = ["at+jwt"]\n')

    assert load_settings(path).auth.oidc is not None


@pytest.mark.req("M1.14")
async def test_the_clients_secret_is_looked_up_by_whoever_opens_a_gateway_and_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'tools = ["tests.config.desk:tools"]\nstore = "memory"\n' + OIDC
                 + 'client_id = "console"\nclient_secret = "env:OIDC_SECRET_OF_A_TEST"\n')  # fmt: skip
    settings = load_settings(path)
    with pytest.raises(ConfigurationError, match="OIDC_SECRET_OF_A_TEST is not set"):
        Gateway.from_config(path)

    monkeypatch.setenv("OIDC_SECRET_OF_A_TEST", "hunter2")
    with pytest.warns(UserWarning, match="memory store"):
        gateway = Gateway.from_config(path)

    assert isinstance(gateway.world.issuer, OidcIssuer)
    assert gateway.world.sign_in is gateway.world.issuer
    assert "hunter2" not in repr(settings) + repr(gateway.world) + repr(gateway.world.issuer)


@pytest.mark.req("M4.23")
async def test_a_gateway_obeys_what_its_file_says_about_sessions_and_agents(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'tools = ["tests.config.desk:tools"]\nstore = "sqlite:///gate.db"\n[auth]\nsession = "1h"\nidle = "1m"\n'
        '[agents.assistant]\nowner = "u7"\n',
    )
    world = Gateway.from_config(path).world

    assert (world.session_life, world.session_idle, world.agents) == (3600.0, 60.0, {"assistant": "u7"})
    assert world.issuer is None


@pytest.mark.req("M4.20")
def test_the_algorithms_that_may_be_configured_are_those_that_can_be_checked() -> None:
    assert set(auth.ALGORITHMS) == set(trust.ALGORITHMS)
    assert set(auth.TYPES) == {trust.ACCESS, trust.PLAIN}
    assert not [name for name in auth.ALGORITHMS if name.startswith("HS") or name == "none"]


@pytest.mark.req("M1.9")
def test_where_signatures_cannot_be_checked_the_file_is_refused_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("toolgate.adapters.identity")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jwt", None)
    settings = load_settings(write(tmp_path, OIDC))

    with pytest.raises(ConfigurationError, match=r"install toolgate\[server\]"):
        open_issuer(settings, FakeClock())
