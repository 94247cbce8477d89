"""Configuration: what is wrong is refused with the key, and the annotated file is the schema."""

import tomllib

import msgspec
import pytest

from banditd.config import schema
from banditd.config.load import load_config
from banditd.config.reference import field_meanings, to_toml
from banditd.config.schema import Config
from banditd.errors import Reason, StartupError

STRUCTS = [
    schema.ServerConfig,
    schema.StoreConfig,
    schema.LearnerConfig,
    schema.LogConfig,
    schema.MetricsConfig,
    schema.ModelConfig,
    schema.RouterConfig,
    schema.Config,
]
RICH = """
[server]
listen = "0.0.0.0:1"

[[models]]
id = "vendor/model-1@2"
input_mtok_usd = 0.5
output_mtok_usd = 1.5
cached_input_mtok_usd = 0.05
request_usd = 0.001
tags = ["eu", "vision"]

[[routers]]
id = "support"
models = ["vendor/model-1@2"]
policy = "lin_thompson"
parameters = { deviation_scale = 0.5 }
default_quality = 0.0
switch_usd = 0.002
"""


def load(tmp_path, text, environment=None):
    """Return the configuration of a file with *text*."""
    path = tmp_path / "banditd.toml"
    path.write_text(text)
    return load_config(path, environment or {})


def test_without_a_file_the_defaults_hold():
    """A server needs no configuration."""
    assert load_config(None, {}) == Config()


@pytest.mark.parametrize("annotated", [False, True])
@pytest.mark.parametrize("text", ["", RICH])
def test_what_is_shown_is_what_holds(tmp_path, text, annotated):
    """The printed configuration is a file that gives the same configuration."""
    config = load(tmp_path, text)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(config, annotated=annotated))
    assert load_config(again, {}) == config


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_key_is_documented(struct):
    """Under each field stands its meaning, which the annotated file shows."""
    meanings = field_meanings(struct)
    assert set(meanings) == set(struct.__struct_fields__)
    assert all(meaning.endswith(".") for meaning in meanings.values())
    text = to_toml(Config(), annotated=True)
    if struct is not Config:
        assert all(meaning in text for meaning in meanings.values())


@pytest.mark.parametrize(
    "text, key",
    [
        ("[server]\nlisten_on = 3", "server"),
        ("[sever]", "sever"),
        ("[server]\nlisten = 3", "server.listen"),
        ("[server]\nin_flight_max = 0", "server.in_flight_max"),
        ("[server]\ndrain_grace_ms = -1", "server.drain_grace_ms"),
        ("[store]\ndecision_ack = 'never'", "store.decision_ack"),
        ("[store]\nmap_gib = 0", "store.map_gib"),
        ("[learner]\nsnapshots_kept = 0", "learner.snapshots_kept"),
        ("[log]\nlevel = 'loud'", "log.level"),
        ("[[routers]]\nusd_weight = nan", "routers[0].usd_weight"),
        ("[[routers]]\nusd_weight = -inf", "routers[0].usd_weight"),
        ("[[routers]]\nattribution_window_ms = 0", "routers[0].attribution_window_ms"),
        ("[[routers]]\ndefault_quality = 1.5", "routers[0].default_quality"),
        ("[[routers]]\nid = ''", "routers[0].id"),
        ("[[routers]]\nid = 'a/b'", "routers[0].id"),
        ('[[routers]]\nid = "a\\n"', "routers[0].id"),
        ("[[routers]]\nmodels = ['a b']", "routers[0].models"),
        ("[[models]]\ninput_mtok_usd = 1.0", "models[0]"),
        ("[[models]]\nid = 'a'\ninput_mtok_usd = nan\noutput_mtok_usd = 1", "models[0].input_mtok_usd"),
        ("[[models]]\nid = 'a'\ninput_mtok_usd = 1.0", "models[0]"),
        ("[[models]]\nid = 'a'\nrequest_usd = 0.1", "models[0]"),
        ("[[models]]\nid = 'a'\ncached_input_mtok_usd = 0.0", "models[0]"),
        ("[[models]]\nid = 'a'\ncached_input_mtok_usd = -1.0", "models[0].cached_input_mtok_usd"),
        ("[[routers]]\nswitch_usd = -1.0", "routers[0].switch_usd"),
        ("[[models]]\nid = 'a'\ntags = ['']", "models[0].tags"),
    ],
)
def test_what_is_wrong_is_refused_with_its_key(tmp_path, text, key):
    """A typo or a value out of range is one sentence that names file and key, never a default."""
    with pytest.raises(StartupError) as caught:
        load(tmp_path, text)
    error = caught.value
    assert (error.reason, error.exit_code) == (Reason.CONFIG, 2)
    assert error.message.startswith(f"{tmp_path / 'banditd.toml'}: ")
    assert key in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    "content, said",
    [(b"[server", "not valid TOML"), (b"x = '\xff'", "not valid TOML"), (None, "cannot be read")],
    ids=["broken", "not UTF-8", "missing"],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, said):
    """A file that is missing or no TOML is one sentence."""
    path = tmp_path / "banditd.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartupError) as caught:
        load_config(path, {})
    assert said in caught.value.message
    assert caught.value.message.startswith(str(path))


def test_the_environment_wins(tmp_path):
    """Variables win over the file, words need no quotes, and other variables are left alone."""
    environment = {
        "BANDITD__SERVER__LISTEN": "127.0.0.1:7",
        "BANDITD__SERVER__IN_FLIGHT_MAX": "9",
        "BANDITD__STORE__DATA": "'with space'",
        "BANDITD_HOME": "/",
        "PATH": "/bin",
    }
    config = load(tmp_path, RICH, environment)
    assert config.server.listen == "127.0.0.1:7"
    assert config.server.in_flight_max == 9
    assert config.store.data == "with space"
    assert config.models == load(tmp_path, RICH).models


@pytest.mark.parametrize(
    "name, value",
    [
        ("BANDITD__SERVER", "x"),
        ("BANDITD__SERVER__NOPE", "1"),
        ("BANDITD__NOPE__X", "1"),
        ("BANDITD__SERVER__IN_FLIGHT_MAX", "many"),
        ("BANDITD__SERVER__IN_FLIGHT_MAX", "0"),
        ("BANDITD__MODELS__ID", "a"),
    ],
)
def test_a_wrong_variable_is_refused(tmp_path, name, value):
    """A variable that means nothing is an error: nobody believes it is set."""
    with pytest.raises(StartupError) as caught:
        load(tmp_path, RICH, {name: value})
    assert caught.value.reason is Reason.CONFIG
    assert "\n" not in caught.value.message


def test_the_schema_is_frozen():
    """Configuration is handed down and never changed."""
    with pytest.raises(AttributeError):
        Config().server.listen = "x"
    for struct in STRUCTS:
        assert struct.__struct_config__.frozen
        assert struct.__struct_config__.forbid_unknown_fields
    assert msgspec.structs.fields(Config)


def test_the_printed_file_is_toml():
    """And nothing but TOML."""
    assert set(tomllib.loads(to_toml(Config(), annotated=True))) == {"server", "store", "learner", "log", "metrics"}
