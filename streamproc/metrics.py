"""The counters of ``/metrics``. One registry for the process; labels are processor and output names, never ids."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry(auto_describe=True)

FRAMES_LOOKED_AT = Counter(
    "streamproc_frames_analysed_total",
    "Frames that detectors or the motion gate looked at",
    ["processor"],
    registry=REGISTRY,
)
FRAMES_DROPPED = Counter(
    "streamproc_frames_dropped_total",
    "Frames that were due but nobody looked at, by reason: behind, overflow, eased (the governor lowered the rate)",
    ["processor", "reason"],
    registry=REGISTRY,
)
PACKETS_LOST = Counter(
    "streamproc_packets_dropped_total",
    "Packets that were given up before decoding",
    ["processor", "reason"],
    registry=REGISTRY,
)
FRAGMENTS_SKIPPED = Counter(
    "streamproc_fragments_skipped_total",
    "Fragments of a log that could not be read",
    ["processor", "reason"],
    registry=REGISTRY,
)
SOURCE_GAPS = Counter(
    "streamproc_source_gaps_total", "Interruptions of a feed", ["processor", "reason"], registry=REGISTRY
)
EVENTS = Counter(
    "streamproc_events_total", "Events that were decided and made durable", ["processor", "type"], registry=REGISTRY
)
EVENT_LATENCY = Histogram(
    "streamproc_event_latency_seconds",
    "From the arrival of the deciding frame until its event was durable",
    ["processor"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
STAGE_LATENCY = Histogram(
    "streamproc_stage_latency_seconds",
    "From a live frame's capture to the end of a stage: capture, decode, detect and decide of every frame that was looked at,"
    " durable and delivered of events",
    ["processor", "stage"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
ASLEEP = Gauge(
    "streamproc_asleep",
    "1 while a camera shows nothing and only its keyframes are decoded",
    ["processor"],
    registry=REGISTRY,
)
WAKES = Counter(
    "streamproc_wakes_total",
    "Cameras that woke from idle mode, by what woke them: sizes, picture, look, session, keyframe_late, gap, damage, stall, blind, settings",
    ["processor", "reason"],
    registry=REGISTRY,
)
FALSE_WAKES = Counter(
    "streamproc_false_wakes_total", "Wakes after which nothing was seen to move", ["processor"], registry=REGISTRY
)
WAKE_BOUND = Gauge(
    "streamproc_wake_bound_seconds",
    "While a camera is asleep: how late something is noticed at the latest that its packets do not tell",
    ["processor"],
    registry=REGISTRY,
)
WAKE_DELAY = Histogram(
    "streamproc_wake_delay_seconds",
    "From the arrival of the first frame on which something moved until its camera woke",
    ["processor"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
    registry=REGISTRY,
)
CPU_SHARE = Gauge(
    "streamproc_cpu_share", "CPU time of this process over the cores it may use, of the last second", registry=REGISTRY
)
GOVERNOR_LEVEL = Gauge(
    "streamproc_governor_level", "How many easing steps are taken at present; 0: nothing is given up", registry=REGISTRY
)
GOVERNOR_STEPS = Counter(
    "streamproc_governor_steps_total",
    "LoadShedding steps by direction: taken, undone",
    ["step", "direction"],
    registry=REGISTRY,
)
STORAGE_UNAVAILABLE = Gauge(
    "streamproc_storage_unavailable",
    "1 while the node's own disk takes nothing (full, locked, no descriptors) and decisions wait in memory",
    registry=REGISTRY,
)
STORAGE_WAITING = Gauge(
    "streamproc_storage_waiting_events", "Events that wait in memory for the node's own disk", registry=REGISTRY
)
RESTARTS = Counter(
    "streamproc_processor_restarts_total",
    "Processors that failed and were started again unasked",
    ["processor"],
    registry=REGISTRY,
)
PROCESSORS = Gauge("streamproc_processors", "Processors by state", ["state"], registry=REGISTRY)
INFERENCES = Counter("streamproc_inferences_total", "Runs of a model", ["model"], registry=REGISTRY)

AWS_REQUESTS = Counter(
    "streamproc_aws_requests_total",
    "Requests to the AWS endpoint; code is the error's, OK without one",
    ["operation", "code"],
    registry=REGISTRY,
)

DELIVERIES = Counter(
    "streamproc_deliveries_total",
    "Attempts to deliver an event, by outcome: delivered, busy (tried again later), dead",
    ["output", "outcome"],
    registry=REGISTRY,
)
DELIVERY_DELAY = Histogram(
    "streamproc_delivery_delay_seconds",
    "From durable here to confirmed by the output",
    ["output"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 300),
    registry=REGISTRY,
)
OUTBOX_WAITING = Gauge(
    "streamproc_outbox_waiting", "Events that an output has not confirmed yet", ["output"], registry=REGISTRY
)
OUTBOX_DEAD = Gauge("streamproc_outbox_dead", "Events that an output refused for good", ["output"], registry=REGISTRY)
OUTBOX_BYTES = Gauge(
    "streamproc_outbox_bytes",
    "Disk space that events take which an output waits for, with their pictures",
    registry=REGISTRY,
)
HISTORY_BYTES = Gauge(
    "streamproc_history_bytes",
    "What events take on disk that no output waits for, with their pictures",
    registry=REGISTRY,
)
OUTBOX_SHED = Counter(
    "streamproc_outbox_shed_total",
    "What was given up because the outbox was full, by kind: pictures, records",
    ["kind"],
    registry=REGISTRY,
)

KINESIS_SESSIONS = Gauge(
    "streamproc_kinesis_sessions",
    "Producers (put) and consumers (get) of Kinesis Video that are connected",
    ["kind"],
    registry=REGISTRY,
)
KINESIS_TAKEOVERS = Counter(
    "streamproc_kinesis_takeovers_total",
    "Producers that came while a session of their stream was there: taken (it ended), refused (two that would end each other for ever)",
    ["outcome"],
    registry=REGISTRY,
)
KINESIS_FRAGMENTS = Counter(
    "streamproc_kinesis_fragments_total",
    "Fragments that producers sent: stored, or repeated after a lost connection",
    ["outcome"],
    registry=REGISTRY,
)
KINESIS_BYTES = Counter(
    "streamproc_kinesis_bytes_total", "Media of Kinesis Video, in and out", ["direction"], registry=REGISTRY
)
KINESIS_ACKS = Counter(
    "streamproc_kinesis_acks_total", "Acknowledgements to producers by event type", ["type"], registry=REGISTRY
)

RECORDED_BYTES = Counter(
    "streamproc_recorded_bytes_total", "Video that was recorded and is durable", ["processor"], registry=REGISTRY
)
RECORDING_DROPPED = Counter(
    "streamproc_recording_dropped_total",
    "What was not recorded: packets (behind: the disk is slower than the feed; media: they cannot be kept as they are), fragments (store: it is away or full)",
    ["processor", "reason"],
    registry=REGISTRY,
)
KVS_BEHIND = Gauge(
    "streamproc_kvs_behind_seconds",
    "How far a source of type kvs is behind the live edge of its stream (MILLIS_BEHIND_NOW)",
    ["processor"],
    registry=REGISTRY,
)

SLOTS = Gauge("streamproc_slots", "Slots of the cluster that this node runs", registry=REGISTRY)
TAKEOVERS = Counter(
    "streamproc_takeovers_total", "Slots that this node took over from another or from its own past", registry=REGISTRY
)
FENCED = Counter(
    "streamproc_fenced_total", "Slots that this node wrote to and found to be another's by then", registry=REGISTRY
)
PICTURES_WAITING = Gauge(
    "streamproc_cluster_pictures_waiting_bytes",
    "Pictures on this node's disk that wait for the cluster's bucket",
    registry=REGISTRY,
)
PICTURES_KEPT = Counter(
    "streamproc_cluster_pictures_total",
    "Pictures of events too large to travel with them: stored (in the cluster's bucket), waited (on this node's disk, for the bucket), "
    "here (they stay with this node: too much waits)",
    ["outcome"],
    registry=REGISTRY,
)
CLUSTER_COMMIT = Histogram(
    "streamproc_cluster_commit_seconds",
    "From a batch of decisions to the brokers' word that all replicas have it",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
