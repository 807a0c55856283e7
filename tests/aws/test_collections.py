"""Collections, faces, users and single pictures through boto3; the models behind are replaced, the store is the real one."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.aws.core import Core
from tests.aws.plain_faces import picture
from tests.builders.requests import refused

FACE_FIELDS = {"FaceId", "BoundingBox", "ImageId", "ExternalImageId", "Confidence", "IndexFacesModelVersion"}
ARN = "arn:aws:rekognition:us-east-1:123456789012:collection/family"


@pytest.fixture
def family(rekognition: Any) -> str:
    rekognition.create_collection(CollectionId="family", Tags={"site": "home"})
    return "family"


def enrol(rekognition: Any, shade: int, name: str = "alice") -> str:
    answer = rekognition.index_faces(CollectionId="family", Image={"Bytes": picture(shade)}, ExternalImageId=name)
    return str(answer["FaceRecords"][0]["Face"]["FaceId"])


def test_collections(rekognition: Any) -> None:
    made = rekognition.create_collection(CollectionId="family", Tags={"a": "1"})
    assert made["StatusCode"] == 200 and made["CollectionArn"] == ARN.removeprefix("arn:")
    assert refused(rekognition.create_collection, CollectionId="family") == (
        "ResourceAlreadyExistsException",
        "The collection id: family already exists.",
    )
    found = rekognition.describe_collection(CollectionId="family")
    assert (found["CollectionARN"], found["FaceCount"], found["UserCount"]) == (ARN, 0, 0)
    for arn in (ARN, made["CollectionArn"]):
        rekognition.tag_resource(ResourceArn=arn, Tags={"b": "2"})
        rekognition.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "2"}
    rekognition.create_collection(CollectionId="Family")
    rekognition.create_collection(CollectionId="zoo")
    pages = list(rekognition.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 2}))
    assert [name for page in pages for name in page["CollectionIds"]] == ["Family", "family", "zoo"]
    assert all(len(page["CollectionIds"]) == len(page["FaceModelVersions"]) for page in pages)
    assert rekognition.list_collections(MaxResults=0)["CollectionIds"] == []
    assert rekognition.delete_collection(CollectionId="family")["StatusCode"] == 200
    assert refused(rekognition.delete_collection, CollectionId="family") == (
        "ResourceNotFoundException",
        "The collection id: family does not exist",
    )


def test_index_list_and_delete_faces(rekognition: Any, family: str) -> None:
    answer = rekognition.index_faces(
        CollectionId=family, Image={"Bytes": picture(100)}, ExternalImageId="alice", DetectionAttributes=["ALL"]
    )
    (record,) = answer["FaceRecords"]
    assert set(record["Face"]) == FACE_FIELDS
    assert {"AgeRange", "Gender", "Emotions", "Smile", "Landmarks", "Pose", "Quality"} <= set(record["FaceDetail"])
    again = rekognition.index_faces(CollectionId=family, Image={"Bytes": picture(100)}, ExternalImageId="alice")
    assert again["FaceRecords"][0]["Face"]["FaceId"] == record["Face"]["FaceId"]
    assert "AgeRange" not in again["FaceRecords"][0]["FaceDetail"]
    some = rekognition.index_faces(
        CollectionId=family, Image={"Bytes": picture(120)}, DetectionAttributes=["DEFAULT", "GENDER"]
    )["FaceRecords"][0]
    assert (
        "ExternalImageId" not in some["Face"]
        and "Gender" in some["FaceDetail"]
        and "AgeRange" not in some["FaceDetail"]
    )
    nobody = rekognition.index_faces(CollectionId=family, Image={"Bytes": picture(0)})
    assert nobody["FaceRecords"] == [] and nobody["UnindexedFaces"] == []
    two = rekognition.index_faces(CollectionId=family, Image={"Bytes": picture(255)}, MaxFaces=1, QualityFilter="NONE")
    assert len(two["FaceRecords"]) == 1 and two["UnindexedFaces"][0]["Reasons"] == ["EXCEEDS_MAX_FACES"]

    pages = rekognition.get_paginator("list_faces").paginate(CollectionId=family, PaginationConfig={"PageSize": 2})
    faces = [face["FaceId"] for page in pages for face in page["Faces"]]
    assert len(faces) == 3 and faces[0] == record["Face"]["FaceId"]
    token = rekognition.list_faces(CollectionId=family, MaxResults=1)["NextToken"]
    assert refused(rekognition.list_faces, CollectionId=family, FaceIds=faces[:1], NextToken=token)[0] == (
        "InvalidPaginationTokenException"
    )
    unknown = str(uuid.uuid4())
    gone = rekognition.delete_faces(CollectionId=family, FaceIds=[faces[0], unknown])
    assert gone["DeletedFaces"] == [faces[0]]
    assert gone["UnsuccessfulFaceDeletions"] == [{"FaceId": unknown, "Reasons": ["FACE_NOT_FOUND"]}]
    assert rekognition.describe_collection(CollectionId=family)["FaceCount"] == 2


def test_search(rekognition: Any, family: str) -> None:
    alice = enrol(rekognition, 100)
    enrol(rekognition, 150, "bob")
    twin = enrol(rekognition, 101, "alice-2")
    found = rekognition.search_faces_by_image(CollectionId=family, Image={"Bytes": picture(100, kind=".jpg")})
    (match,) = found["FaceMatches"]
    assert match["Face"]["FaceId"] == alice and match["Similarity"] > 99
    assert found["SearchedFaceConfidence"] > 90 and found["SearchedFaceBoundingBox"]["Width"] == pytest.approx(0.6)
    everyone = rekognition.search_faces_by_image(
        CollectionId=family, Image={"Bytes": picture(100)}, FaceMatchThreshold=0.0
    )["FaceMatches"]
    similarities = [match["Similarity"] for match in everyone]
    assert len(everyone) == 3 and similarities == sorted(similarities, reverse=True)
    assert len(rekognition.search_faces(CollectionId=family, FaceId=alice, FaceMatchThreshold=0.0)["FaceMatches"]) == 2
    assert rekognition.search_faces(CollectionId=family, FaceId=twin)["SearchedFaceId"] == twin
    assert refused(rekognition.search_faces, CollectionId=family, FaceId=str(uuid.uuid4()))[0] == (
        "InvalidParameterException"
    )
    assert refused(rekognition.search_faces_by_image, CollectionId=family, Image={"Bytes": picture(0)}) == (
        "InvalidParameterException",
        "There are no faces in the image. Should be at least 1.",
    )
    code, _ = refused(rekognition.search_faces_by_image, CollectionId="nobody", Image={"Bytes": picture(100)})
    assert code == "ResourceNotFoundException"


def test_a_token_says_nothing_of_a_collection_that_was_made_anew(rekognition: Any) -> None:
    for _ in range(2):
        rekognition.create_collection(CollectionId="seasonal")
        rekognition.create_user(CollectionId="seasonal", UserId="alice", ClientRequestToken="t-seasonal")
        assert [user["UserId"] for user in rekognition.list_users(CollectionId="seasonal")["Users"]] == ["alice"]
        rekognition.delete_collection(CollectionId="seasonal")


def test_users(rekognition: Any, family: str) -> None:
    first, second, other = enrol(rekognition, 100), enrol(rekognition, 120, "b"), enrol(rekognition, 150, "c")
    rekognition.create_user(CollectionId=family, UserId="alice", ClientRequestToken="t-1")
    rekognition.create_user(CollectionId=family, UserId="alice", ClientRequestToken="t-1")
    code, text = refused(rekognition.create_user, CollectionId=family, UserId="bob", ClientRequestToken="t-1")
    assert (code, text) == (
        "IdempotentParameterMismatchException",
        "The ClientRequestToken: t-1 you have supplied is already in use.",
    )
    assert refused(rekognition.create_user, CollectionId=family, UserId="alice")[0] == "ConflictException"
    rekognition.create_user(CollectionId=family, UserId="bob")
    answer = rekognition.associate_faces(
        CollectionId=family, UserId="alice", FaceIds=[first, second], UserMatchThreshold=0.0
    )
    assert [face["FaceId"] for face in answer["AssociatedFaces"]] == [first, second]
    assert answer["UserStatus"] == "ACTIVE"
    refusal = rekognition.associate_faces(CollectionId=family, UserId="bob", FaceIds=[first, other])
    assert refusal["UnsuccessfulFaceAssociations"][0]["Reasons"] == ["ASSOCIATED_TO_A_DIFFERENT_USER"]
    kept = rekognition.delete_faces(CollectionId=family, FaceIds=[first])["UnsuccessfulFaceDeletions"]
    assert kept == [{"FaceId": first, "UserId": "alice", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}]
    pages = rekognition.get_paginator("list_users").paginate(CollectionId=family, PaginationConfig={"PageSize": 1})
    assert [user["UserId"] for page in pages for user in page["Users"]] == ["alice", "bob"]
    assert [face["FaceId"] for face in rekognition.list_faces(CollectionId=family, UserId="bob")["Faces"]] == [other]
    found = rekognition.search_users(CollectionId=family, FaceId=first)
    assert found["SearchedFace"] == {"FaceId": first} and found["UserMatches"][0]["User"]["UserId"] == "alice"
    assert rekognition.search_users(CollectionId=family, UserId="alice")["SearchedUser"] == {"UserId": "alice"}
    by_image = rekognition.search_users_by_image(CollectionId=family, Image={"Bytes": picture(100)})
    assert by_image["UserMatches"][0]["User"] == {"UserId": "alice", "UserStatus": "ACTIVE"}
    assert by_image["SearchedFace"]["FaceDetail"]["Confidence"] > 90
    crowd = rekognition.search_users_by_image(CollectionId=family, Image={"Bytes": picture(255)})
    assert crowd["UnsearchedFaces"][0]["Reasons"] == ["FACE_NOT_LARGEST"]
    for both in ({}, {"UserId": "alice", "FaceId": first}):
        assert refused(rekognition.search_users, CollectionId=family, **both)[0] == "InvalidParameterException"
    gone = rekognition.disassociate_faces(CollectionId=family, UserId="alice", FaceIds=[first, other])
    assert gone["DisassociatedFaces"] == [{"FaceId": first}] and gone["UnsuccessfulFaceDisassociations"]
    rekognition.delete_user(CollectionId=family, UserId="bob")
    assert refused(rekognition.delete_user, CollectionId=family, UserId="bob")[0] == "ResourceNotFoundException"


def test_single_pictures(rekognition: Any) -> None:
    plain = rekognition.detect_faces(Image={"Bytes": picture(255)})["FaceDetails"]
    assert len(plain) == 2 and set(plain[0]) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    assert rekognition.detect_faces(Image={"Bytes": picture(255)}, Attributes=["SMILE"])["FaceDetails"][0]["Smile"]
    alike = rekognition.compare_faces(SourceImage={"Bytes": picture(100)}, TargetImage={"Bytes": picture(100)})
    assert alike["FaceMatches"][0]["Similarity"] > 99 and alike["UnmatchedFaces"] == []
    assert alike["SourceImageFace"]["Confidence"] > 90
    differ = rekognition.compare_faces(SourceImage={"Bytes": picture(100)}, TargetImage={"Bytes": picture(150)})
    assert differ["FaceMatches"] == [] and len(differ["UnmatchedFaces"]) == 1


@pytest.mark.parametrize(
    ("image", "code", "message"),
    [
        ({"Bytes": b"GIF89a" + b"x" * 50}, "InvalidImageFormatException", "Request has invalid image format."),
        ({"Bytes": picture(100)[:-40]}, "InvalidImageFormatException", "Request has invalid image format."),
        ({"Bytes": b"x" * 5_242_881}, "ImageTooLargeException", "5242880"),
        ({}, "InvalidParameterException", "exactly one of Bytes and S3Object"),
        ({"Bytes": b"x", "S3Object": {"Bucket": "videos", "Name": "a"}}, "InvalidParameterException", "exactly one"),
        ({"S3Object": {"Bucket": "videos"}}, "InvalidS3ObjectException", "Request has invalid S3 object."),
        ({"S3Object": {"Bucket": "videos", "Name": "none.jpg"}}, "InvalidS3ObjectException", "Unable to get object"),
        ({"S3Object": {"Bucket": "videos", "Name": "../faces.db"}}, "InvalidS3ObjectException", "Unable to get object"),
        ({"S3Object": {"Bucket": "videos", "Name": "/etc/passwd"}}, "InvalidS3ObjectException", "Unable to get object"),
        ({"S3Object": {"Bucket": "videos", "Name": "a\x00b"}}, "InvalidS3ObjectException", "Unable to get object"),
        ({"S3Object": {"Bucket": "videos", "Name": "x" * 300}}, "InvalidS3ObjectException", "Unable to get object"),
        (
            {"S3Object": {"Bucket": "videos", "Name": "\u00e9" * 500}},
            "InvalidS3ObjectException",
            "Unable to get object",
        ),
    ],
)
def test_pictures_that_cannot_be_used(rekognition: Any, image: dict[str, Any], code: str, message: str) -> None:
    got, text = refused(rekognition.detect_faces, Image=image)
    assert got == code and message in text


def test_a_picture_in_a_bound_folder(rekognition: Any, core: Core, tmp_path: Path) -> None:
    (tmp_path / "videos" / "people").mkdir(parents=True, exist_ok=True)
    (tmp_path / "videos" / "people" / "a.png").write_bytes(picture(100))
    found = rekognition.detect_faces(Image={"S3Object": {"Bucket": "videos", "Name": "people/a.png"}})
    assert len(found["FaceDetails"]) == 1
    (tmp_path / "videos" / "big.png").write_bytes(b"x" * (core.limits.max_image_bytes + 1))
    with pytest.raises(ClientError, match="ImageTooLarge"):
        rekognition.detect_faces(Image={"S3Object": {"Bucket": "videos", "Name": "big.png"}})


def test_labels_of_a_picture(rekognition: Any) -> None:
    answer = rekognition.detect_labels(
        Image={"Bytes": picture(100)},
        Features=["GENERAL_LABELS", "IMAGE_PROPERTIES"],
        Settings={"ImageProperties": {"MaxDominantColors": 3}},
    )
    (person,) = answer["Labels"]
    assert person["Name"] == "Person" and person["Aliases"] == [{"Name": "Human"}] and person["Parents"] == []
    (instance,) = person["Instances"]
    assert instance["BoundingBox"] == {"Left": 0.25, "Top": 0.25, "Width": 0.5, "Height": 0.5}
    colour = instance["DominantColors"][0]
    assert (colour["SimplifiedColor"], colour["HexCode"], colour["CSSColor"]) == ("grey", "#696969", "dimgrey")
    properties = answer["ImageProperties"]
    for part in (properties, properties["Foreground"], properties["Background"]):
        assert part["Quality"]["Brightness"] == pytest.approx(39, abs=1) and len(part["DominantColors"]) <= 3
    plain = rekognition.detect_labels(Image={"Bytes": picture(100)})
    assert "ImageProperties" not in plain and "DominantColors" not in plain["Labels"][0]["Instances"][0]
    assert "Labels" not in rekognition.detect_labels(Image={"Bytes": picture(100)}, Features=["IMAGE_PROPERTIES"])
    for nothing in ({"MinConfidence": 99.9}, {"Settings": {"GeneralLabels": {"LabelExclusionFilters": ["human"]}}}):
        assert rekognition.detect_labels(Image={"Bytes": picture(100)}, **nothing)["Labels"] == []
