"""What the live pipeline costs beside its bare limits, in one run: decoding alone, the same inferences alone, and a plain
OpenCV-plus-OpenVINO loop that looks at whole frames and does nothing else.

    python -m benchmarks.live_cost [--cameras 4] [--seconds 10] [--corpus DIR] [--json]

Every camera plays one clip of the corpus through its own lane, all lanes share the workers and the models, events go into a
real journal. Figures are seconds of CPU over all cameras; the pipeline's includes its threads, SQLite and pictures.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import cv2

from benchmarks.common import Stopwatch, parser, prepared, progress, report
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.contracts import SourceTraits
from streamproc.core.media import EndOfStream, Packet
from streamproc.live.assembly import make_analyses, session_rules
from streamproc.live.commit import JournalCommitter
from streamproc.live.patience import PatientJournal
from streamproc.logic.session import Sessions
from streamproc.media.decode import Decoder
from streamproc.media.reader import read_frames, read_packets
from streamproc.perception.label_models import LabelModels, load_models
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.scheduler import Scheduler
from streamproc.pipeline.setup import LaneSetup
from streamproc.store.database import Database
from streamproc.store.journal import Journal
from streamproc.vision.engine import Network

FPS = 5.0
Calls = Counter[int]


class Recorder:
    """Notes every inference: of which network, and one input of each to run it again with."""

    def __init__(self) -> None:
        self.counts: Calls = Counter()
        self.samples: dict[int, tuple[Network, Any]] = {}
        self._infer = Network.infer

    def __enter__(self) -> Recorder:
        recorder, infer = self, self._infer

        def noted(network: Network, inputs: Any) -> Any:
            recorder.counts[id(network)] += 1
            if id(network) not in recorder.samples:
                copied = (
                    {key: value.copy() for key, value in inputs.items()} if isinstance(inputs, dict) else inputs.copy()
                )
                recorder.samples[id(network)] = (network, copied)
            return infer(network, inputs)

        Network.infer = cast(Any, noted)  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Network.infer = self._infer  # type: ignore[method-assign]


def config_for(clip: Path, seconds: float) -> ProcessorConfig:
    return ProcessorConfig.model_validate(
        {
            "source": {"type": "file", "path": str(clip)},
            "session": {"duration": seconds, "allow_long": True},
            "labels": {"fps": FPS},
        }
    )


def cut(clip: Path, seconds: float) -> Iterator[Packet]:
    for packet in read_packets(clip):
        if packet.at.media > Fraction(seconds) + 1:
            return
        yield packet


def run_pipeline(
    clips: list[Path], seconds: float, provider: ModelProvider, folder: Path
) -> tuple[Stopwatch, list[dict[str, Any]]]:
    """All cameras at once, each as fast as the shared workers serve it."""
    database = Database(folder)
    journal, scheduler = PatientJournal(Journal(database)), Scheduler(provider.workers)
    over = [threading.Event() for _ in clips]
    lanes, feeders = [], []
    for index, clip in enumerate(clips):
        name, config = f"camera-{index}", config_for(clip, seconds)
        parts = LaneSetup(
            name,
            SourceTraits(live=False, replayable=True),
            Sessions(name, session_rules(config), name),
            make_analyses(config, provider),
            JournalCommitter(journal, name, lambda events: None),
            on_over=lambda error, event=over[index]: event.set(),  # type: ignore[misc]
        )
        lanes.append(Lane(parts, scheduler.wake))
        feeders.append(threading.Thread(target=_feed, args=(clip, seconds, lanes[-1]), daemon=True))
    with Stopwatch() as took:
        scheduler.start()
        for lane, feeder in zip(lanes, feeders, strict=True):
            scheduler.add(lane)
            feeder.start()
        for event in over:
            event.wait()
        scheduler.stop()
    rows = [{"clip": clip.stem, **_row(lane)} for clip, lane in zip(clips, lanes, strict=True)]
    database.close()
    return took, rows


def _feed(clip: Path, seconds: float, lane: Lane) -> None:
    stop = threading.Event()
    for packet in cut(clip, seconds):
        if lane.over or not lane.offer(packet, None, stop):
            return
    lane.offer(EndOfStream(), None, stop)


def _row(lane: Lane) -> dict[str, Any]:
    view = lane.stats.view()
    return {"looks": view["frames_looked_at"], "inferences": sum(view["inferences"].values())}


def run_decode(clips: list[Path], seconds: float) -> Stopwatch:
    """Every frame, pixels untouched, one thread a decoder."""
    with Stopwatch() as took:
        for clip in clips:
            decoder = Decoder()
            for packet in cut(clip, seconds):
                decoder.decode(packet)
            decoder.flush()
    return took


def run_inferences(recorder: Recorder) -> Stopwatch:
    """The pipeline's own inferences once more, with nothing around them."""
    with Stopwatch() as took:
        for key, count in recorder.counts.items():
            network, sample = recorder.samples[key]
            for _ in range(count):
                network.infer(sample)
    return took


def run_naive(clips: list[Path], seconds: float, models: LabelModels) -> Stopwatch:
    """What a first script does: read every frame, look at five a second with every detector, keep nothing."""
    with Stopwatch() as took:
        for clip in clips:
            capture = cv2.VideoCapture(str(clip))
            fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
            due, number = 0.0, 0
            while number < seconds * fps:
                read, image = capture.read()
                if not read:
                    break
                if number / fps >= due:
                    due += 1 / FPS
                    for detector in models.whole(image.shape[1], image.shape[0]):
                        detector.detect(image, 0.3)
                number += 1
            capture.release()
    return took


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--cameras", type=int, default=4, help="cameras at the same time")
    made.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    options = prepared(made.parse_args())
    found = sorted(path for path in (options.corpus / "video").iterdir() if path.suffix in (".mp4", ".mkv"))
    clips = [found[index % len(found)] for index in range(options.cameras)]
    with tempfile.TemporaryDirectory() as place:
        provider = ModelProvider(NodeConfig(), Path(place), workers=2)
        models = load_models(provider.zoo, ("PERSON", "PET", "PACKAGE"))
        progress("warming up")
        warm = next(islice(read_frames(clips[0]), 1))
        for analysis in make_analyses(config_for(clips[0], 1), provider):
            analysis.analyse(warm)
        progress("pipeline")
        with Recorder() as recorder:
            pipeline, rows = run_pipeline(clips, options.seconds, provider, Path(place) / "data")
        progress("decode only, inference only, naive loop")
        decode, infer = run_decode(clips, options.seconds), run_inferences(recorder)
        naive = run_naive(clips, options.seconds, models)
    figures = {
        "pipeline_cpu_s": round(pipeline.cpu, 2),
        "decode_cpu_s": round(decode.cpu, 2),
        "infer_cpu_s": round(infer.cpu, 2),
        "naive_loop_cpu_s": round(naive.cpu, 2),
        "overhead_ratio": round(pipeline.cpu / (decode.cpu + infer.cpu), 3),
        "inferences": sum(recorder.counts.values()),
        "cameras": options.cameras,
        "video_s": round(options.cameras * options.seconds, 1),
        "pipeline_wall_s": round(pipeline.wall, 2),
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
