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
from dataclasses import asdict
from pathlib import Path

import cv2

from benchmarks.cameras import BEHIND_S, FPS, Load, Outcome, cores, drops_between, own_memory, tree_cpu
from streamproc.config.box import BoxConfig
from streamproc.contracts import Detector
from streamproc.live.assembly import Seers
from streamproc.perception.models import WIDE

RATE = 15


def run(load: Load) -> Outcome:
    cv2.setNumThreads(1)
    outcome, drops, stop = Outcome(asdict(load)), Counter[str](), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        detector = Seers(BoxConfig(), Path(folder), workers=cores()).zoo.first([load.detector], WIDE)
        begin = time.time() + 0.5
        outcome.starts = [begin + load.spread_s * index / load.cameras for index in range(load.cameras)]
        threads = [
            threading.Thread(target=camera, args=(load, index, start, detector, outcome, drops, stop), daemon=True)
            for index, start in enumerate(outcome.starts)
        ]
        for thread in threads:
            thread.start()
        time.sleep(begin + load.spread_s + load.warmup_s - time.time())
        outcome.begin, cpu, before = time.time(), tree_cpu(os.getpid()), Counter(drops)
        while time.time() < outcome.begin + load.seconds:
            outcome.memory.append((time.time(), own_memory()))
            time.sleep(0.5)
        outcome.end, outcome.cpu_s = time.time(), tree_cpu(os.getpid()) - cpu
        outcome.drops = drops_between(before, Counter(drops))
        outcome.notes["first_look_s"] = round(min(at + took for _, at, took in outcome.looks) - load.spawned, 3)
        stop.set()
        for thread in threads:
            thread.join(5)
    return outcome


def camera(
    load: Load,
    index: int,
    begin: float,
    detector: Detector,
    outcome: Outcome,
    drops: Counter[str],
    stop: threading.Event,
) -> None:
    """Plays its clip for ever at its pace, and looks at every third frame."""
    capture = cv2.VideoCapture(load.clips[index % len(load.clips)], cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    number, every = 0, round(RATE / FPS)
    while not stop.is_set():
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
                drops["behind"] += 1
            else:
                _, image = capture.retrieve()
                detector.detect(image, 0.3)
                outcome.looks.append((index, captured, time.time() - captured))
        number += 1
    capture.release()
