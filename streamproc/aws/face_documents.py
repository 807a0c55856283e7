"""Faces and collections in the service's shapes (PascalCase, as botocore's model of Rekognition names them)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from streamproc.core.face_answers import (
    Comparison,
    FaceChanges,
    FacePage,
    FaceSearch,
    IndexAnswer,
    RefusedFace,
    UserPage,
    UserSearch,
)
from streamproc.core.faces import (
    CollectionInfo,
    DetectedFace,
    FaceAttributes,
    FaceMatch,
    StoredFace,
    UserMatch,
    face_confidence,
)
from streamproc.core.vision import Box, FaceBox, FaceQuality

Document = dict[str, Any]
_FIVE: Final = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
# The service's names for points of the usual 68; left and right are the picture's, as its own samples have them.
_OF_68: Final[dict[str, tuple[int, ...]]] = {
    "leftEyeBrowLeft": (17,),
    "leftEyeBrowUp": (19,),
    "leftEyeBrowRight": (21,),
    "rightEyeBrowLeft": (22,),
    "rightEyeBrowUp": (24,),
    "rightEyeBrowRight": (26,),
    "leftEyeLeft": (36,),
    "leftEyeRight": (39,),
    "leftEyeUp": (37, 38),
    "leftEyeDown": (40, 41),
    "rightEyeLeft": (42,),
    "rightEyeRight": (45,),
    "rightEyeUp": (43, 44),
    "rightEyeDown": (46, 47),
    "noseLeft": (31,),
    "noseRight": (35,),
    "mouthUp": (51,),
    "mouthDown": (57,),
    "leftPupil": (36, 37, 38, 39, 40, 41),
    "rightPupil": (42, 43, 44, 45, 46, 47),
    "upperJawlineLeft": (0,),
    "midJawlineLeft": (4,),
    "chinBottom": (8,),
    "midJawlineRight": (12,),
    "upperJawlineRight": (16,),
}
_AGE_SPREAD: Final = 4.5
"""Mean error of the age net, by its authors: the range spans as much to both sides."""


def number(value: float, digits: int = 6) -> float:
    return round(float(value), digits)


def percent(value: float) -> float:
    return round(min(100.0, max(0.0, float(value))), 4)


def bounding_box(box: Box) -> Document:
    return {
        "Width": number(box.width),
        "Height": number(box.height),
        "Left": number(box.left),
        "Top": number(box.top),
    }


def face_detail(detected: DetectedFace) -> Document:
    """FaceDetail: the default set, and what the attribute nets said."""
    document: Document = default_face(detected.face, detected.quality)
    if detected.attributes is not None:
        document |= _attributes(detected.attributes, document["Landmarks"])
    return document


def default_face(face: FaceBox, quality: FaceQuality) -> Document:
    """BoundingBox, Landmarks, Pose, Quality and Confidence: DetectedFace of a record, DEFAULT of FaceDetail."""
    return {
        "BoundingBox": bounding_box(face.box),
        "Confidence": percent(face_confidence(face.score)),
        "Landmarks": [
            {"Type": name, "X": number(x), "Y": number(y)} for name, (x, y) in zip(_FIVE, face.landmarks, strict=True)
        ],
        "Pose": {
            "Roll": number(quality.pose.roll, 4),
            "Yaw": number(quality.pose.yaw, 4),
            "Pitch": number(quality.pose.pitch, 4),
        },
        "Quality": {"Brightness": percent(quality.brightness), "Sharpness": percent(quality.sharpness)},
    }


def stored_face(face: StoredFace) -> Document:
    """Face."""
    document: Document = {
        "FaceId": face.face_id,
        "BoundingBox": bounding_box(face.box),
        "ImageId": face.image_id,
        "ExternalImageId": face.external_image_id,
        "Confidence": percent(face.confidence),
        "IndexFacesModelVersion": face.model_version,
        "UserId": face.user_id,
    }
    return {name: value for name, value in document.items() if value is not None}


def face_matches(matches: Iterable[FaceMatch]) -> list[Document]:
    """FaceMatches, most similar first."""
    return [{"Similarity": percent(match.similarity), "Face": stored_face(match.face)} for match in matches]


def index_answer(answer: IndexAnswer) -> Document:
    """IndexFaces."""
    return {
        "FaceRecords": [
            {"Face": stored_face(face), "FaceDetail": face_detail(detected)} for face, detected in answer.records
        ],
        "FaceModelVersion": answer.model_version,
        "UnindexedFaces": [
            {"Reasons": list(face.reasons), "FaceDetail": face_detail(face.detected)} for face in answer.refused
        ],
    }


def face_page(page: FacePage, token: str | None = None) -> Document:
    """ListFaces."""
    document: Document = {
        "Faces": [stored_face(face) for face in page.faces],
        "FaceModelVersion": page.model_version,
    }
    return document | ({"NextToken": token} if token else {})


def user_page(page: UserPage, token: str | None = None) -> Document:
    """ListUsers."""
    document: Document = {"Users": [{"UserId": user_id, "UserStatus": status.value} for user_id, status in page.users]}
    return document | ({"NextToken": token} if token else {})


def face_search(answer: FaceSearch, face_id: str | None = None) -> Document:
    """SearchFaces (with the id that was asked for) or SearchFacesByImage."""
    document: Document = {}
    if face_id is not None:
        document["SearchedFaceId"] = face_id
    if answer.searched is not None:
        document["SearchedFaceBoundingBox"] = bounding_box(answer.searched.face.box)
        document["SearchedFaceConfidence"] = percent(face_confidence(answer.searched.face.score))
    return document | {"FaceMatches": face_matches(answer.matches), "FaceModelVersion": answer.model_version}


def user_search(answer: UserSearch, face_id: str | None = None, user_id: str | None = None) -> Document:
    """SearchUsers (with what was asked for) or SearchUsersByImage."""
    document: Document = {
        "UserMatches": [_user_match(match) for match in answer.matches],
        "FaceModelVersion": answer.model_version,
    }
    if face_id is not None:
        document["SearchedFace"] = {"FaceId": face_id}
    elif user_id is not None:
        document["SearchedUser"] = {"UserId": user_id}
    if answer.searched is not None:
        document["SearchedFace"] = {"FaceDetail": face_detail(answer.searched)}
        document["UnsearchedFaces"] = [_unsearched(face) for face in answer.refused]
    return document


def deletions(changes: FaceChanges) -> Document:
    """DeleteFaces."""
    return {
        "DeletedFaces": list(changes.done),
        "UnsuccessfulFaceDeletions": _failures(changes),
    }


def associations(changes: FaceChanges) -> Document:
    """AssociateFaces."""
    document: Document = {
        "AssociatedFaces": [{"FaceId": face_id} for face_id in changes.done],
        "UnsuccessfulFaceAssociations": _failures(changes),
    }
    return document | ({"UserStatus": changes.status.value} if changes.status else {})


def disassociations(changes: FaceChanges) -> Document:
    """DisassociateFaces."""
    document: Document = {
        "DisassociatedFaces": [{"FaceId": face_id} for face_id in changes.done],
        "UnsuccessfulFaceDisassociations": _failures(changes),
    }
    return document | ({"UserStatus": changes.status.value} if changes.status else {})


def comparison(answer: Comparison) -> Document:
    """CompareFaces."""
    return {
        "SourceImageFace": {
            "BoundingBox": bounding_box(answer.source.face.box),
            "Confidence": percent(face_confidence(answer.source.face.score)),
        },
        "FaceMatches": [
            {"Similarity": percent(similarity), "Face": default_face(face.face, face.quality)}
            for face, similarity in answer.matches
        ],
        "UnmatchedFaces": [default_face(face.face, face.quality) for face in answer.unmatched],
    }


def detected_faces(faces: Iterable[DetectedFace]) -> Document:
    """DetectFaces."""
    return {"FaceDetails": [face_detail(face) for face in faces]}


def collection_arn(name: str, region: str, account: str) -> str:
    return f"arn:aws:rekognition:{region}:{account}:collection/{name}"


def created_collection(info: CollectionInfo, arn: str) -> Document:
    """CreateCollection; the service's own answer has the ARN without its first part."""
    return {
        "StatusCode": 200,
        "CollectionArn": arn.removeprefix("arn:"),
        "FaceModelVersion": info.model_version,
    }


def described_collection(info: CollectionInfo, arn: str) -> Document:
    """DescribeCollection."""
    return {
        "FaceCount": info.faces,
        "UserCount": info.users,
        "FaceModelVersion": info.model_version,
        "CollectionARN": arn,
        "CreationTimestamp": round(info.created.timestamp(), 3),
    }


def listed_collections(infos: Iterable[CollectionInfo], token: str | None = None) -> Document:
    """ListCollections: two lists side by side."""
    known = list(infos)
    document: Document = {
        "CollectionIds": [info.name for info in known],
        "FaceModelVersions": [info.model_version for info in known],
    }
    return document | ({"NextToken": token} if token else {})


def _user_match(match: UserMatch) -> Document:
    return {
        "Similarity": percent(match.similarity),
        "User": {"UserId": match.user_id, "UserStatus": match.status.value},
    }


def _unsearched(face: RefusedFace) -> Document:
    return {"FaceDetails": face_detail(face.detected), "Reasons": list(face.reasons)}


def _failures(changes: FaceChanges) -> list[Document]:
    return [
        {"FaceId": failure.face_id, "Reasons": list(failure.reasons)}
        | ({"UserId": failure.user_id} if failure.user_id else {})
        for failure in changes.failed
    ]


def _attributes(attributes: FaceAttributes, landmarks: list[Document]) -> Document:
    document: Document = {}
    if attributes.age is not None:
        low, high = attributes.age - _AGE_SPREAD, attributes.age + _AGE_SPREAD
        document["AgeRange"] = {"Low": max(0, int(low)), "High": max(1, round(high))}
    if attributes.male is not None:
        male = attributes.male >= 0.5
        sure = attributes.male if male else 1 - attributes.male
        document["Gender"] = {"Value": "Male" if male else "Female", "Confidence": percent(100 * sure)}
    if attributes.emotions:
        document |= _expression(attributes.emotions)
    if attributes.landmarks is not None:
        points = {name: attributes.landmarks[list(rows)].mean(0) for name, rows in _OF_68.items()}
        more = [{"Type": name, "X": number(x), "Y": number(y)} for name, (x, y) in points.items()]
        document["Landmarks"] = landmarks + more
        document["MouthOpen"] = _mouth(attributes.landmarks)
    return document


def _expression(emotions: Mapping[str, float]) -> Document:
    ordered = sorted(emotions.items(), key=lambda pair: (-pair[1], pair[0]))
    happy = emotions.get("HAPPY", 0.0)
    return {
        "Emotions": [{"Type": name, "Confidence": percent(100 * share)} for name, share in ordered],
        "Smile": {"Value": happy >= 0.5, "Confidence": percent(100 * max(happy, 1 - happy))},
    }


def _mouth(points: np.ndarray[Any, Any]) -> Document:
    """From the inner lips: how far they part against how wide the mouth is."""
    gap = float(np.linalg.norm(points[62] - points[66]))
    wide = max(float(np.linalg.norm(points[60] - points[64])), 1e-6)
    open_share = 1 / (1 + np.exp(-18 * (gap / wide - 0.22)))
    return {"Value": bool(open_share >= 0.5), "Confidence": percent(100 * max(open_share, 1 - open_share))}
