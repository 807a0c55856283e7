"""The second rival, Frigate's way: a process a camera that decodes, puts frames into shared memory and watches for motion, and
detector processes that take requests from a queue.

It is given its best form: the camera decodes in its own process (Frigate pipes raw frames out of another), only frames that are
looked at are copied, camera processes are forked and share what they can, there are as many detector processes as cores with one
thread each, and a frame asks for one detection however much moves in it. With the gate only frames with motion ask.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.cameras import BEHIND_S, FPS, Load, Outcome, cores, drops_between, first_look_s, tree_cpu, tree_memory

RATE = 15
SLOTS = 3
"""Frames of a camera in shared memory; the oldest is overwritten."""
WATCHED = (320, 180)
"""Pixels that motion is watched on."""
MOVING_PX = 10
"""A contour of more of them is motion."""
FED = (640, 360)
"""What a frame is shrunk to for the detector, as I420."""


def run(load: Load) -> Outcome:
    outcome = Outcome(asdict(load))
    fork = multiprocessing.get_context("fork")
    requests, answers, stop = fork.Queue(), fork.Queue(), fork.RawValue("b", 0)
    frames = fork.RawArray("q", load.cameras)
    width, height = size_of(load.clips[0])
    memory = [SharedMemory(create=True, size=SLOTS * width * height * 3 // 2) for _ in range(load.cameras)]
    detectors = [
        fork.Process(target=detect, args=(load, memory, (width, height), requests, answers, stop), daemon=True)
        for _ in range(cores())
    ]
    try:
        for process in detectors:
            process.start()
        for _ in detectors:
            answers.get(timeout=60)  # its model is compiled
        begin = time.time() + 0.5
        outcome.starts = [begin + load.spread_s * index / load.cameras for index in range(load.cameras)]
        cameras = [
            fork.Process(target=camera, args=(load, index, start, memory[index], requests, stop, frames), daemon=True)
            for index, start in enumerate(outcome.starts)
        ]
        for process in cameras:
            process.start()
        _watch(load, outcome, answers, begin, frames)
        stop.value = 1
        for process in [*cameras, *detectors]:
            process.join(2)
            if process.is_alive():
                process.kill()
    finally:
        for each in memory:
            each.close()
            each.unlink()
    return outcome


def _watch(load: Load, outcome: Outcome, answers: Any, begin: float, frames: Any) -> None:
    drops: Counter[str] = Counter()
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            try:
                index, captured, took = answers.get(timeout=0.2)
            except queue.Empty:
                continue
            if took is None:
                drops["behind"] += 1
            else:
                outcome.looks.append((index, captured, took))

    thread = threading.Thread(target=collect)
    thread.start()
    time.sleep(max(0.0, begin + load.spread_s + load.warmup_s - time.time()))
    outcome.begin, cpu, before, played = time.time(), tree_cpu(os.getpid()), Counter(drops), sum(frames)
    while time.time() < outcome.begin + load.seconds:
        outcome.memory.append((time.time(), tree_memory(os.getpid())))
        time.sleep(3.0)  # reading the memory of many processes costs something itself
    outcome.end, outcome.cpu_s = time.time(), tree_cpu(os.getpid()) - cpu
    outcome.drops = drops_between(before, Counter(drops))
    outcome.kept_up = (sum(frames) - played) / (RATE * load.cameras * outcome.seconds)
    outcome.notes["first_look_s"] = first_look_s(outcome, load)
    done.set()
    thread.join()


def size_of(clip: str) -> tuple[int, int]:
    with av.open(clip) as container:
        return container.streams.video[0].width, container.streams.video[0].height


def camera(load: Load, index: int, begin: float, memory: SharedMemory, requests: Any, stop: Any, frames: Any) -> None:
    """Plays its clip for ever at its pace; every third frame goes into shared memory and is asked about."""
    cv2.setNumThreads(1)
    requests.cancel_join_thread()
    number, every, average = 0, round(RATE / FPS), None
    while not stop.value:
        with av.open(load.clips[index % len(load.clips)]) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
            for frame in container.decode(stream):
                if stop.value:
                    return
                captured = begin + number / RATE
                wait = captured - time.time()
                if wait > 0:
                    time.sleep(wait)
                if number % every == 0:
                    average, moving = _send(frame, memory, number // every % SLOTS, average)
                    if moving or not load.gate:
                        requests.put((index, number // every % SLOTS, captured))
                number += 1
                frames[index] = number


def _send(frame: Any, memory: SharedMemory, slot: int, average: Any) -> tuple[Any, bool]:
    """Copies the frame, and watches for motion; the new average picture, and whether something moves."""
    size = frame.width * frame.height * 3 // 2
    whole = np.ndarray((frame.height * 3 // 2, frame.width), np.uint8, memory.buf, slot * size)
    whole[:] = frame.to_ndarray()
    small = cv2.GaussianBlur(cv2.resize(whole[: frame.height], WATCHED, interpolation=cv2.INTER_LINEAR), (3, 3), 0)
    if average is None:
        return small.astype(np.float32), True
    moved = cv2.threshold(cv2.absdiff(small, cv2.convertScaleAbs(average)), 30, 255, cv2.THRESH_BINARY)[1]
    contours, _ = cv2.findContours(cv2.dilate(moved, None, iterations=1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.accumulateWeighted(small, average, 0.2)
    return average, any(cv2.contourArea(contour) > MOVING_PX for contour in contours)


def detect(
    load: Load, memory: list[SharedMemory], size: tuple[int, int], requests: Any, answers: Any, stop: Any
) -> None:
    """One detector process. Only here is OpenVINO loaded."""
    cv2.setNumThreads(1)
    answers.cancel_join_thread()
    find = make_detector(load.detector)
    answers.put("ready")
    while not stop.value:
        try:
            index, slot, captured = requests.get(timeout=0.2)
        except queue.Empty:
            continue
        if time.time() - captured > BEHIND_S:
            answers.put((index, captured, None))
            continue
        find(shrunk(memory[index], slot, size))
        answers.put((index, captured, time.time() - captured))


def make_detector(name: str) -> Callable[[np.ndarray], Any]:
    import tempfile
    from pathlib import Path

    from streamproc.config.node import NodeConfig
    from streamproc.perception.label_models import WIDE
    from streamproc.perception.provider import ModelProvider

    detector = ModelProvider(NodeConfig(), Path(tempfile.gettempdir()), workers=1).zoo.first([name], WIDE)
    detector.detect(np.zeros((FED[1], FED[0], 3), np.uint8), 0.3)
    return lambda image: detector.detect(image, 0.3)


def shrunk(memory: SharedMemory, slot: int, size: tuple[int, int]) -> np.ndarray:
    """BGR of the detector's size: the planes are shrunk first, then converted."""
    width, height = size
    whole = np.ndarray((height * 3 // 2, width), np.uint8, memory.buf, slot * width * height * 3 // 2)
    luma = cv2.resize(whole[:height], FED, interpolation=cv2.INTER_LINEAR)
    chroma = [
        cv2.resize(plane.reshape(height // 2, width // 2), (FED[0] // 2, FED[1] // 2), interpolation=cv2.INTER_LINEAR)
        for plane in (whole[height : height * 5 // 4], whole[height * 5 // 4 :])
    ]
    small = np.concatenate([luma.ravel(), *(plane.ravel() for plane in chroma)]).reshape(FED[1] * 3 // 2, FED[0])
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420))
