"""Face collections, the faces in them, and searching them."""

from __future__ import annotations

import hashlib
from typing import Any

from streamproc.aws import face_documents as documents
from streamproc.aws.core import Core
from streamproc.aws.operations.table import Served
from streamproc.aws.pictures import fetch, keep_asked, wants_attributes
from streamproc.aws.wire import Call
from streamproc.core.faces import QualityFilter
from streamproc.threads import FACES

_MOST_FACES = 1000
_ONE_EMBEDDER = "FaceModelVersion names this node's embedder; compare it as an opaque string."
_NO_ROTATION = "pictures are turned upright by their own orientation tag"


async def create(core: Core, call: Call) -> dict[str, Any]:
    name = call.input["CollectionId"]
    info = await core.workers.run(core.faces.create_collection, name, call.input.get("Tags"))
    return documents.created_collection(info, core.arns.collection(name))


async def describe(core: Core, call: Call) -> dict[str, Any]:
    name = call.input["CollectionId"]
    info = await FACES.run(core.faces.describe_collection, name)
    return documents.described_collection(info, core.arns.collection(name))


async def delete(core: Core, call: Call) -> dict[str, Any]:
    await FACES.run(core.faces.delete_collection, call.input["CollectionId"])
    return {"StatusCode": 200}


async def list_all(core: Core, call: Call) -> dict[str, Any]:
    infos = {info.name: info for info in await FACES.run(core.faces.list_collections)}
    names, token = core.pages.page(
        "ListCollections", sorted(infos), call.input.get("NextToken"), call.input.get("MaxResults"), core.clock()
    )
    return documents.listed_collections((infos[name] for name in names), token)


async def index(core: Core, call: Call) -> dict[str, Any]:
    asked = call.input.get("DetectionAttributes") or ("DEFAULT",)
    answer = await core.workers.run(
        core.faces.index_faces,
        call.input["CollectionId"],
        await fetch(core, call.input["Image"]),
        external_image_id=call.input.get("ExternalImageId"),
        max_faces=call.input.get("MaxFaces"),
        quality_filter=QualityFilter(call.input.get("QualityFilter", "AUTO")),
        attributes=wants_attributes(asked),
    )
    document = documents.index_answer(answer)
    for record in (*document["FaceRecords"], *document["UnindexedFaces"]):
        record["FaceDetail"] = keep_asked(record["FaceDetail"], asked)
    return document


async def list_faces(core: Core, call: Call) -> dict[str, Any]:
    name, user, faces = call.input["CollectionId"], call.input.get("UserId"), call.input.get("FaceIds")
    narrowed = hashlib.sha256(",".join(sorted(faces or ())).encode()).hexdigest()
    question = f"ListFaces {name} {user} {narrowed}"
    token, size = call.input.get("NextToken"), call.input.get("MaxResults", _MOST_FACES)
    after = int(core.pages.open(question, token, core.clock())) if token else 0
    page = await FACES.run(core.faces.list_faces, name, user_id=user, face_ids=faces, limit=size, after=after)
    # A page of nothing that goes on would keep a paginator busy for ever.
    more = page.after is not None and size > 0
    return documents.face_page(page, core.pages.seal(question, str(page.after), core.clock()) if more else None)


async def delete_faces(core: Core, call: Call) -> dict[str, Any]:
    changes = await FACES.run(core.faces.delete_faces, call.input["CollectionId"], call.input["FaceIds"])
    return documents.deletions(changes)


async def search(core: Core, call: Call) -> dict[str, Any]:
    answer = await core.workers.run(
        core.faces.searches.by_face,
        call.input["CollectionId"],
        call.input["FaceId"],
        threshold=call.input.get("FaceMatchThreshold", 80.0),
        max_faces=call.input.get("MaxFaces"),
    )
    return documents.face_search(answer, call.input["FaceId"])


async def search_by_image(core: Core, call: Call) -> dict[str, Any]:
    answer = await core.workers.run(
        core.faces.searches.by_image,
        call.input["CollectionId"],
        await fetch(core, call.input["Image"]),
        threshold=call.input.get("FaceMatchThreshold", 80.0),
        max_faces=call.input.get("MaxFaces"),
        quality_filter=QualityFilter(call.input.get("QualityFilter", "NONE")),
    )
    return documents.face_search(answer)


OPERATIONS: dict[str, Served] = {
    "CreateCollection": Served(create, notes=_ONE_EMBEDDER),
    "DescribeCollection": Served(describe),
    "DeleteCollection": Served(delete, notes="Faces are wiped from the disk, not only forgotten."),
    "ListCollections": Served(list_all),
    "IndexFaces": Served(
        index,
        absent={"OrientationCorrection": _NO_ROTATION},
        notes="The same picture with the same ExternalImageId gives the faces that were stored before.",
    ),
    "ListFaces": Served(list_faces),
    "DeleteFaces": Served(delete_faces),
    "SearchFaces": Served(search),
    "SearchFacesByImage": Served(search_by_image),
}
