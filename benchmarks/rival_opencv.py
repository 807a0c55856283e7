"""The first rival: a thread a camera, OpenCV's capture, and the detector called in that thread.

It is given its best form: frames that are not looked at are grabbed and not converted, the model is compiled as ours is, and it
neither tracks nor keeps anything.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2

from benchmarks.cameras import BEHIND_S, FPS, Load, Outcome, cores, drops_between, first_look_s, own_memory, tree_cpu
from streamproc.config.node import NodeConfig
from streamproc.contracts import Detector
from streamproc.perception.label_models import WIDE
from streamproc.perception.provider import ModelProvider

RATE = 15


@dataclass
class Tally:
    """What the cameras' threads write down, and when they end."""

    outcome: Outcome
    frames: list[int]
    """Decoded so far, of each camera."""
    drops: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)


def run(load: Load) -> Outcome:
    cv2.setNumThreads(1)
    outcome = Outcome(asdict(load))
    tally = Tally(outcome, [0] * load.cameras)
    with tempfile.TemporaryDirectory() as folder:
        detector = ModelProvider(NodeConfig(), Path(folder), workers=cores()).zoo.first([load.detector], WIDE)
        begin = time.time() + 0.5
        outcome.starts = [begin + load.spread_s * index / load.cameras for index in range(load.cameras)]
        threads = [
            threading.Thread(target=camera, args=(load, index, start, detector, tally), daemon=True)
            for index, start in enumerate(outcome.starts)
        ]
        for thread in threads:
            thread.start()
        time.sleep(begin + load.spread_s + load.warmup_s - time.time())
        outcome.begin, cpu, before, played = time.time(), tree_cpu(os.getpid()), Counter(tally.drops), sum(tally.frames)
        while time.time() < outcome.begin + load.seconds:
            outcome.memory.append((time.time(), own_memory()))
            time.sleep(0.5)
        outcome.end, outcome.cpu_s = time.time(), tree_cpu(os.getpid()) - cpu
        outcome.drops = drops_between(before, Counter(tally.drops))
        outcome.kept_up = (sum(tally.frames) - played) / (RATE * load.cameras * outcome.seconds)
        outcome.notes["first_look_s"] = first_look_s(outcome, load)
        tally.stop.set()
        for thread in threads:
            thread.join(5)
    return outcome


def camera(load: Load, index: int, begin: float, detector: Detector, tally: Tally) -> None:
    """Plays its clip for ever at its pace, and looks at every third frame."""
    capture = cv2.VideoCapture(load.clips[index % len(load.clips)], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    number, every = 0, round(RATE / FPS)
    while not tally.stop.is_set():
        captured = begin + number / RATE
        wait = captured - time.time()
        if wait > 0:
            time.sleep(wait)
        if not capture.grab():
            capture.release()
            capture = cv2.VideoCapture(load.clips[index % len(load.clips)], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
            capture.grab()
        if number % every == 0:
            if time.time() - captured > BEHIND_S:
                tally.drops["behind"] += 1
            else:
                _, image = capture.retrieve()
                detector.detect(image, 0.3)
                tally.outcome.looks.append((index, captured, time.time() - captured))
        number += 1
        tally.frames[index] = number
    capture.release()
