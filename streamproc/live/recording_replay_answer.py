"""A recording replayed by two documents, and what differs: the work of ``live.recording_replay``'s process."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import IO, Any

import cv2
import numpy as np

from connectors.kvs.recording import RecordingSource
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import NotFound
from streamproc.core.video_log import FragmentInfo
from streamproc.live.recording_replay import Question, receive
from streamproc.live.replay import replay
from streamproc.logic.clips import parse_clip
from streamproc.logic.comparison import Announcement, compare, told
from streamproc.media.jpeg import encode
from streamproc.perception.provider import ModelProvider
from streamproc.plain import plain_document

MOST_PICTURES = 60
"""Differences, of each kind, that are shown with a picture; the others are told without."""
PICTURE_SIDE = 112


class Asker:
    """The daemon's end of the pipes."""

    def __init__(self, given: IO[bytes], told: IO[str]) -> None:
        self._given = given
        self._told = told

    def question(self) -> Question:
        return Question.model_validate_json(receive(self._given))

    def read(self, info: FragmentInfo) -> bytes:
        """Raises NotFound where the fragment is gone."""
        self.say({"read": info.number})
        data = receive(self._given)
        if not data:
            raise NotFound(f"fragment {info.number} is gone")
        return data

    def say(self, message: dict[str, Any]) -> None:
        self._told.write(json.dumps(message) + "\n")
        self._told.flush()


def small(crop: bytes) -> bytes:
    """A JPEG of at most ``PICTURE_SIDE`` on either side."""
    image = np.asarray(cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    share = PICTURE_SIDE / max(image.shape[:2])
    if share < 1:
        image = np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)
    return encode(image)


def answer(asker: Asker) -> dict[str, Any]:
    question = asker.question()
    provider = ModelProvider(question.node, question.data_dir)
    pictures: dict[int, bytes] = {}

    def tell(config: ProcessorConfig) -> list[Announcement]:
        clip = RecordingSource(parse_clip(question.clip), question.fragments, asker.read)
        found = []
        for event, taken in replay(clip, config, provider, question.name):
            document = plain_document(event)
            each = told(document)
            if each is not None:
                found.append(each)
                if taken is not None:
                    pictures[id(document)] = small(taken.crop)
        return found

    def shown(each: Announcement, number: int) -> dict[str, Any]:
        crop = pictures.get(id(each.document)) if number < MOST_PICTURES else None
        return {**each.document, "crop": base64.b64encode(crop).decode() if crop else None}

    def listed(these: Sequence[Announcement]) -> list[dict[str, Any]]:
        return [shown(each, number) for number, each in enumerate(these)]

    before = tell(question.before)
    found = compare(before, tell(question.after))
    moves = [
        {"before": shown(old, MOST_PICTURES), "after": shown(new, number)}
        for number, (old, new) in enumerate(found.moves)
    ]
    return {
        "same": len(found.same),
        "appears": listed(found.appears),
        "vanishes": listed(found.vanishes),
        "moves": moves,
    }
