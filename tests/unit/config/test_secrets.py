"""A secret in every place of a config that takes one, and no part of it in errors, descriptions and the text that the console shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.catalog import check
from connectors.context import secret as of_environment
from streamproc.config.hidden import NotKnown, hide, put_back
from streamproc.config.load import node_from_text, processor_from_text
from streamproc.core.errors import ConfigError, InputError
from streamproc.logic.redact import HIDDEN, echo, shown_variable, without, without_secrets
from streamproc.server.daemon import check_node
from tests.builders.secrets import NODE_PLACES, PLACES, SECRETS, TOKENS, Place, escaped

NOWHERE = Path("/nonexistent")
BROKEN = ("", "regions: 3\n", "labels: {}\n", "sesion: {}\n", "session: {duration: 1y}\n", "\t: [\n")
"""What else may be wrong with the document: every way of validation is gone."""


@settings(max_examples=400)
@given(place=st.sampled_from(PLACES), data=st.data(), more=st.sampled_from(BROKEN))
def test_no_way_out_of_a_processor(place: Place, data: st.DataObject, more: str) -> None:
    secret = data.draw(TOKENS if place.token else SECRETS)
    text = place.text(secret) + more
    assert place.no_such or not escaped({secret}, hide(text))
    try:
        config = processor_from_text(text, "door.yaml", check)
    except ConfigError as error:
        assert not escaped({secret}, str(error) + repr(error.faults))
        return
    shown = json.dumps(without_secrets(config.model_dump(mode="json", exclude_none=True)), ensure_ascii=False)
    assert not escaped({secret}, shown)


@settings(max_examples=150)
@given(place=st.sampled_from(NODE_PLACES), data=st.data(), more=st.sampled_from(BROKEN))
def test_no_way_out_of_the_node(place: Place, data: st.DataObject, more: str) -> None:
    secret = data.draw(TOKENS if place.token else SECRETS)
    text = place.text(secret) + more
    assert not escaped({secret}, hide(text))
    try:
        config = node_from_text(text, "streamproc.yaml", check)
        check_node(config, NOWHERE)
    except (ConfigError, InputError) as error:
        assert not escaped({secret}, str(error))
        return
    assert not escaped({secret}, repr(config.server) + str(config.server))


@settings(max_examples=150)
@given(place=st.sampled_from([*PLACES, *NODE_PLACES]), data=st.data())
def test_what_was_hidden_is_put_back(place: Place, data: st.DataObject) -> None:
    """Whoever saves what he was shown changes nothing, and whoever changes something else keeps the secret."""
    secret = data.draw(TOKENS if place.token else SECRETS)
    text = "# a comment\n" + place.text(secret)
    assume(_is_yaml(text))
    assert put_back(hide(text), text) == text
    assert put_back(hide(text) + "tags: {a: b}\n", text) == text + "tags: {a: b}\n"


def _is_yaml(text: str) -> bool:
    try:
        yaml.compose(text)
    except yaml.YAMLError:
        return False
    return True


def test_a_value_that_moved_is_known_by_how_it_looked() -> None:
    before = "outputs:\n  - {type: file, directory: out}\n  - {type: webhook, url: https://h/abc1}\n"
    sent = "outputs:\n  - {type: webhook, url: 'https://h/***'}\n"
    assert put_back(sent, before) == "outputs:\n  - {type: webhook, url: https://h/abc1}\n"
    with pytest.raises(NotKnown) as error:
        put_back("\noutputs:\n  - {type: webhook, url: 'https://other/***'}\n", before)
    assert error.value.line == 3


def test_texts_that_are_no_yaml_or_a_bomb_are_shown_too() -> None:
    assert "hunter2" not in hide("a: [\nurl: rtsp://u:hunter2@h/1\n")
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert hide("l0: &l0 [x]\n" + levels).startswith("l0:")
    block = "outputs:\n  - type: webhook\n    url: https://h/\n    template: |\n      token=abc123def {class}\n    name: a\n"
    assert "abc123def" not in hide(block) and put_back(hide(block), block).count("abc123def") == 1


@given(SECRETS)
def test_a_variable_that_is_no_variable_is_not_named(secret: str) -> None:
    with pytest.raises(InputError) as error:
        of_environment(secret, "password_env")
    assert not escaped({secret}, str(error.value))
    assert not escaped({secret}, echo(secret)) and not escaped({secret}, shown_variable(secret))
    assert not escaped({secret}, without(f"Cannot POST /a/{secret}/b?x={secret}", [f"/a/{secret}/b", f"x={secret}"]))


def test_errors_repeat_what_is_harmless() -> None:
    assert echo("10 parsecs") == "'10 parsecs'" and echo(3) == "3" and echo("rtsp://u:p@h") == HIDDEN
    with pytest.raises(InputError, match="CAMERA_PASSWORD_2 is not set"):
        of_environment("CAMERA_PASSWORD_2", "password_env")
