"""H.264: what of the parameter sets is needed to find the quantizer in a slice header, and that quantizer (ITU-T H.264 7.3.2, 7.3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.logic.bits import BitReader, BrokenHeader

SPS, PPS, IDR, FILLER = 7, 8, 5, 12
"""nal_unit_type (table 7-1)."""
SLICES = (1, 2, 5)
"""Slices with a header of their own: whole ones and data partition A."""
MAX_REFERENCES = 32
"""num_ref_idx_active is 32 for fields at most (7.4.3)."""

_CHROMA_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""profile_idc whose SPS says the chroma format (7.3.2.1.1)."""
_P, _B, _I, _SP, _SI = range(5)
KINDS = "PBIPI"
"""By slice_type (table 7-6); switching slices count as what they switch."""


@dataclass(frozen=True, slots=True)
class Sps:
    """Sequence parameter set."""

    number: int
    chroma: int
    """ChromaArrayType; 0: no chroma, or three planes that are coded apart."""
    separate_planes: bool
    frame_num_bits: int
    order_type: int
    """pic_order_cnt_type."""
    order_bits: int
    delta_order_zero: bool
    frames_only: bool


@dataclass(frozen=True, slots=True)
class Pps:
    """Picture parameter set."""

    number: int
    sps: int
    cabac: bool
    bottom_order: bool
    references: tuple[int, int]
    """num_ref_idx_active of lists 0 and 1 where the slice does not say."""
    weighted: bool
    weighted_bi: int
    init_qp: int
    redundant: bool


def read_sps(reader: BitReader) -> Sps:
    """seq_parameter_set_data, from behind the NAL header on. Raises BrokenHeader."""
    profile = reader.u(8)
    reader.u(16)  # constraint flags and level
    number = reader.ue(31)
    chroma, separate = 1, False
    if profile in _CHROMA_PROFILES:
        chroma = reader.ue(3)
        separate = chroma == 3 and reader.flag()
        reader.skip_ue(2)  # bit depths
        reader.flag()
        if reader.flag():
            for index in range(12 if chroma == 3 else 8):
                if reader.flag():
                    _skip_scaling_list(reader, 16 if index < 6 else 64)
    frame_num_bits = reader.ue(12) + 4
    order_type, order_bits, delta_zero = reader.ue(2), 0, False
    if order_type == 0:
        order_bits = reader.ue(12) + 4
    elif order_type == 1:
        delta_zero = reader.flag()
        reader.skip_ue(2)
        reader.skip_ue(reader.ue(255))
    reader.ue()  # max_num_ref_frames
    reader.flag()
    reader.skip_ue(2)  # size in macroblocks
    frames_only = reader.flag()
    return Sps(number, 0 if separate else chroma, separate, frame_num_bits, order_type, order_bits, delta_zero, frames_only)  # fmt: skip


def read_pps(reader: BitReader) -> Pps:
    """pic_parameter_set_rbsp, from behind the NAL header on. Raises BrokenHeader, also for slice groups (no camera has them)."""
    number, sps = reader.ue(255), reader.ue(31)
    cabac, bottom_order = reader.flag(), reader.flag()
    if reader.ue():
        raise BrokenHeader("slice groups are not read")
    references = reader.ue(MAX_REFERENCES - 1) + 1, reader.ue(MAX_REFERENCES - 1) + 1
    weighted, weighted_bi = reader.flag(), reader.u(2)
    init_qp = 26 + reader.se()
    reader.skip_ue(2)
    reader.u(2)
    return Pps(number, sps, cabac, bottom_order, references, weighted, weighted_bi, init_qp, reader.flag())


def slice_pps(reader: BitReader) -> tuple[int, int]:
    """(slice_type 0..4, number of the PPS): the beginning of a slice header."""
    reader.ue()  # first_mb_in_slice
    return reader.ue(9) % 5, reader.ue(255)


def slice_qp(reader: BitReader, header: int, kind: int, sps: Sps, pps: Pps) -> int:
    """SliceQPY; the reader stands behind what ``slice_pps`` read. ``header``: the NAL unit's first byte. Raises BrokenHeader."""
    idr = header & 31 == IDR
    _skip_order(reader, idr, sps, pps)
    if pps.redundant:
        reader.ue()
    references = _references(reader, kind, pps)
    if kind not in (_I, _SI):
        for _ in range(2 if kind == _B else 1):
            _skip_reordering(reader)
        if (pps.weighted and kind in (_P, _SP)) or (pps.weighted_bi == 1 and kind == _B):
            _skip_weights(reader, references, sps.chroma)
    if header >> 5 & 3:
        _skip_marking(reader, idr)
    if pps.cabac and kind not in (_I, _SI):
        reader.ue(2)
    return pps.init_qp + reader.se()


def _skip_order(reader: BitReader, idr: bool, sps: Sps, pps: Pps) -> None:
    """From colour_plane_id to delta_pic_order_cnt."""
    if sps.separate_planes:
        reader.u(2)
    reader.u(sps.frame_num_bits)
    field = not sps.frames_only and reader.flag()
    if field:
        reader.flag()
    if idr:
        reader.ue(65535)
    if sps.order_type == 0:
        reader.u(sps.order_bits)
        if pps.bottom_order and not field:
            reader.se()
    elif sps.order_type == 1 and not sps.delta_order_zero:
        reader.skip_ue(2 if pps.bottom_order and not field else 1)


def _references(reader: BitReader, kind: int, pps: Pps) -> tuple[int, int]:
    """num_ref_idx_active of both lists."""
    if kind == _B:
        reader.flag()  # direct_spatial_mv_pred_flag
    first, second = pps.references if kind == _B else (pps.references[0], 0)
    if kind in (_P, _SP, _B) and reader.flag():
        first = reader.ue(MAX_REFERENCES - 1) + 1
        second = reader.ue(MAX_REFERENCES - 1) + 1 if kind == _B else 0
    return first, second


def _skip_reordering(reader: BitReader) -> None:
    """ref_pic_list_modification of one list (7.3.3.1)."""
    if reader.flag():
        for _ in range(2 * MAX_REFERENCES + 2):
            if reader.ue(3) == 3:
                return
            reader.ue()
        raise BrokenHeader("a list of references without an end")


def _skip_weights(reader: BitReader, references: tuple[int, int], chroma: int) -> None:
    """pred_weight_table (7.3.3.2)."""
    reader.skip_ue(2 if chroma else 1)
    for _ in range(sum(references)):
        if reader.flag():
            reader.skip_ue(2)
        if chroma and reader.flag():
            reader.skip_ue(4)


def _skip_marking(reader: BitReader, idr: bool) -> None:
    """dec_ref_pic_marking (7.3.3.3)."""
    if idr:
        reader.u(2)
    elif reader.flag():
        for _ in range(2 * MAX_REFERENCES + 2):
            operation = reader.ue(6)
            if operation == 0:
                return
            reader.skip_ue({3: 2, 5: 0}.get(operation, 1))
        raise BrokenHeader("memory management without an end")


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """scaling_list (7.3.2.1.1.1): a list ends early where the next scale becomes 0."""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) % 256
        last = following or last
