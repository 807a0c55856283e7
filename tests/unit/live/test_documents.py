"""What of a processor's document is refused before it is taken."""

from __future__ import annotations

import pytest

from streamproc.config.model_settings import Profile
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import ConfigError
from streamproc.live.documents import check_document


def document(profile: str) -> ProcessorConfig:
    return ProcessorConfig.model_validate(
        {"source": {"type": "rtsp", "url": "rtsp://camera/1"}, "labels": {"profile": profile}}
    )


def test_a_profile_that_is_not_there_is_refused_with_those_that_are() -> None:
    own = {"night": Profile(person=("yolox_nano",))}
    with pytest.raises(ConfigError, match=r"labels\.profile.*'nigth'.*accurate, default, night, registry, small"):
        check_document("door", document("nigth"), own)
    check_document("door", document("night"), own)
    check_document("door", document("nigth"), None)  # another node of the cluster may have it
