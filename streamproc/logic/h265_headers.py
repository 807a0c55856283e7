"""H.265: what of the parameter sets is needed to find the quantizer in a slice header, and that quantizer (ITU-T H.265 7.3.2, 7.3.6)."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.logic.bits import BitReader, BrokenHeader

SPS, PPS, FILLER = 33, 34, 38
"""nal_unit_type (table 7-1)."""
SLICES = 32
"""Types below are slice segments."""
RANDOM_ACCESS = range(16, 24)
IDR = (19, 20)
MAX_REFERENCES = 16
_B, _P, _I = range(3)
KINDS = "BPI"
"""By slice_type (table 7-7)."""

DeltaSet = tuple[tuple[int, bool], ...]
"""A short-term reference picture set: distances in picture order and whether the current picture uses each; past ones first, nearest first."""


@dataclass(frozen=True, slots=True)
class Sps:
    """Sequence parameter set."""

    number: int
    chroma: int
    """ChromaArrayType."""
    separate_planes: bool
    address_bits: int
    order_bits: int
    sets: tuple[DeltaSet, ...]
    long_term: bool
    long_term_used: tuple[bool, ...]
    """Of the long-term pictures that the SPS lists: whether the current picture uses it."""
    temporal_vectors: bool
    offsets: bool
    """sample_adaptive_offset_enabled_flag."""


@dataclass(frozen=True, slots=True)
class Pps:
    """Picture parameter set."""

    number: int
    sps: int
    dependent: bool
    output_flag: bool
    extra_bits: int
    cabac_init: bool
    references: tuple[int, int]
    init_qp: int
    weighted: bool
    weighted_bi: bool
    lists: bool
    """lists_modification_present_flag."""


def read_sps(reader: BitReader) -> Sps:
    """seq_parameter_set_rbsp, from behind the NAL header on. Raises BrokenHeader."""
    reader.u(4)
    layers = reader.u(3)
    reader.flag()
    _skip_profile(reader, layers)
    number = reader.ue(15)
    chroma = reader.ue(3)
    separate = chroma == 3 and reader.flag()
    width, height = reader.ue(1 << 16), reader.ue(1 << 16)
    if reader.flag():
        reader.skip_ue(4)
    reader.skip_ue(2)
    order_bits = reader.ue(12) + 4
    reader.skip_ue(3 * (layers + 1 if reader.flag() else 1))
    block = reader.ue(6) + 3 + reader.ue(6)
    reader.skip_ue(4)
    if reader.flag() and reader.flag():
        _skip_scaling(reader)
    reader.flag()
    offsets = reader.flag()
    if reader.flag():
        reader.u(8)
        reader.skip_ue(2)
        reader.flag()
    sets: list[DeltaSet] = []
    for _ in range(count := reader.ue(64)):
        sets.append(_read_set(reader, sets, count))
    long_term, used = reader.flag(), []
    if long_term:
        for _ in range(reader.ue(32)):
            reader.u(order_bits)
            used.append(reader.flag())
    blocks = _blocks(width, block) * _blocks(height, block)
    return Sps(
        number, 0 if separate else chroma, separate, _bits(blocks), order_bits, tuple(sets), long_term, tuple(used),
        reader.flag(), offsets,
    )  # fmt: skip


def read_pps(reader: BitReader) -> Pps:
    """pic_parameter_set_rbsp, from behind the NAL header on. Raises BrokenHeader."""
    number, sps = reader.ue(63), reader.ue(15)
    dependent, output_flag, extra = reader.flag(), reader.flag(), reader.u(3)
    reader.flag()
    cabac_init = reader.flag()
    references = reader.ue(MAX_REFERENCES - 2) + 1, reader.ue(MAX_REFERENCES - 2) + 1
    init_qp = 26 + reader.se()
    reader.u(2)
    if reader.flag():
        reader.ue()
    reader.skip_ue(2)
    reader.flag()
    weighted, weighted_bi = reader.flag(), reader.flag()
    reader.flag()
    tiles, _ = reader.flag(), reader.flag()
    if tiles:
        columns, rows = reader.ue(64), reader.ue(64)
        if not reader.flag():
            reader.skip_ue(columns + rows)
        reader.flag()
    reader.flag()
    if reader.flag():
        reader.flag()
        if not reader.flag():
            reader.skip_ue(2)
    if reader.flag():
        _skip_scaling(reader)
    return Pps(
        number, sps, dependent, output_flag, extra, cabac_init, references, init_qp, weighted, weighted_bi, reader.flag()
    )  # fmt: skip


def slice_pps(reader: BitReader, unit_type: int) -> tuple[bool, int]:
    """(first_slice_segment_in_pic_flag, number of the PPS): the beginning of a slice segment header."""
    first = reader.flag()
    if unit_type in RANDOM_ACCESS:
        reader.flag()
    return first, reader.ue(63)


def slice_qp(reader: BitReader, unit_type: int, first: bool, sps: Sps, pps: Pps) -> tuple[int, int] | None:
    """(slice_type, SliceQpY); the reader stands behind what ``slice_pps`` read. None: a dependent segment, which has neither.

    Raises BrokenHeader.
    """
    if not first:
        if pps.dependent and reader.flag():
            return None
        reader.u(sps.address_bits)
    reader.u(pps.extra_bits)
    kind = reader.ue(2)
    if pps.output_flag:
        reader.flag()
    if sps.separate_planes:
        reader.u(2)
    pictures, temporal = (0, False) if unit_type in IDR else _pictures(reader, sps)
    if sps.offsets:
        reader.u(2 if sps.chroma else 1)
    if kind != _I:
        _skip_prediction(reader, kind, pictures, temporal, sps, pps)
    return kind, pps.init_qp + reader.se()


def _pictures(reader: BitReader, sps: Sps) -> tuple[int, bool]:
    """(NumPicTotalCurr, slice_temporal_mvp_enabled_flag)."""
    reader.u(sps.order_bits)
    if not reader.flag():
        chosen = _read_set(reader, list(sps.sets), len(sps.sets))
    elif sps.sets:
        chosen = sps.sets[_at(reader.u(_bits(len(sps.sets))), len(sps.sets))]
    else:
        raise BrokenHeader("a reference picture set that is not there")
    used = sum(int(use) for _, use in chosen)
    if sps.long_term:
        listed = reader.ue(32) if sps.long_term_used else 0
        for index in range(listed + reader.ue(32)):
            if index < listed:
                at = reader.u(_bits(len(sps.long_term_used)))
                used += sps.long_term_used[_at(at, len(sps.long_term_used))]
            else:
                reader.u(sps.order_bits)
                used += int(reader.flag())
            if reader.flag():
                reader.ue()
    return used, sps.temporal_vectors and reader.flag()


def _skip_prediction(reader: BitReader, kind: int, pictures: int, temporal: bool, sps: Sps, pps: Pps) -> None:
    """From num_ref_idx_active_override_flag to five_minus_max_num_merge_cand."""
    first, second = pps.references if kind == _B else (pps.references[0], 0)
    if reader.flag():
        first = reader.ue(MAX_REFERENCES - 2) + 1
        second = reader.ue(MAX_REFERENCES - 2) + 1 if kind == _B else 0
    if pps.lists and pictures > 1:
        for entries in (first, second)[: 2 if kind == _B else 1]:
            if reader.flag():
                reader.u(entries * _bits(pictures))
    if kind == _B:
        reader.flag()
    if pps.cabac_init:
        reader.flag()
    if temporal:
        from_first = kind != _B or reader.flag()
        if (first if from_first else second) > 1:
            reader.ue(MAX_REFERENCES - 2)
    if (pps.weighted and kind == _P) or (pps.weighted_bi and kind == _B):
        _skip_weights(reader, first, second, sps.chroma)
    reader.ue(4)


def _skip_weights(reader: BitReader, first: int, second: int, chroma: int) -> None:
    """pred_weight_table (7.3.6.3) of a single-layer stream."""
    reader.skip_ue(2 if chroma else 1)
    for entries in (first, second):
        luma = [reader.flag() for _ in range(entries)]
        colour = [bool(chroma) and reader.flag() for _ in range(entries)]
        reader.skip_ue(2 * sum(luma) + 4 * sum(colour))


def _read_set(reader: BitReader, before: list[DeltaSet], count: int) -> DeltaSet:
    """st_ref_pic_set (7.3.7) number ``len(before)`` of ``count``; number ``count`` itself stands in a slice header."""
    number = len(before)
    if number and reader.flag():
        back = reader.ue(number - 1) + 1 if number == count else 1
        negative = reader.flag()
        shift = (reader.ue(1 << 15) + 1) * (-1 if negative else 1)
        found: list[tuple[int, bool]] = []
        for distance, _ in (*before[number - back], (0, False)):
            used = reader.flag()
            if (used or reader.flag()) and distance + shift:
                found.append((distance + shift, used))
        return tuple(sorted(found, key=lambda each: (each[0] > 0, abs(each[0]))))
    past, future = reader.ue(MAX_REFERENCES), reader.ue(MAX_REFERENCES)
    deltas: list[tuple[int, bool]] = []
    for entries, sign in ((past, -1), (future, 1)):
        delta = 0
        for _ in range(entries):
            delta += sign * (reader.ue(1 << 15) + 1)
            deltas.append((delta, reader.flag()))
    return tuple(deltas)


def _skip_profile(reader: BitReader, layers: int) -> None:
    """profile_tier_level (7.3.3) with a general profile."""
    reader.u(96)
    present = [(reader.flag(), reader.flag()) for _ in range(layers)]
    if layers:
        reader.u(2 * (8 - layers))
    for profile, level in present:
        reader.u(88 * profile + 8 * level)


def _skip_scaling(reader: BitReader) -> None:
    """scaling_list_data (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not reader.flag():
                reader.ue()
            else:
                reader.skip_ue(min(64, 1 << (4 + 2 * size)) + (size > 1))


def _bits(values: int) -> int:
    """Ceil(Log2(values))."""
    return max(0, values - 1).bit_length()


def _blocks(length: int, log2_size: int) -> int:
    """How many blocks cover so many pixels."""
    return (length + (1 << log2_size) - 1) >> log2_size


def _at(index: int, count: int) -> int:
    if index >= count:
        raise BrokenHeader(f"index {index} of {count}")
    return index
