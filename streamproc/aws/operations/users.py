"""Users of a collection: several faces that are one person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from streamproc.aws import face_documents as documents
from streamproc.aws.core import Core
from streamproc.aws.faults import invalid_parameter
from streamproc.aws.operations.table import Served
from streamproc.aws.pictures import fetch
from streamproc.aws.wire import Call
from streamproc.core.faces import QualityFilter
from streamproc.threads import FACES

_MOST_USERS = 500
_TOKEN_LIFE_S = 24 * 3600.0


async def _once(core: Core, call: Call, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """``work``, or the answer that this request's token had before, in this very collection: of one that was deleted and made anew nothing is known."""
    token = call.input.get("ClientRequestToken")
    if token is None:
        return await work()
    collection = await FACES.run(core.faces.describe_collection, call.input["CollectionId"])
    made = collection.created.isoformat()
    known = await FACES.run(core.tokens.find, call.operation, token, call.input, core.clock())
    if known is not None and known.get("collection_made") == made:
        answered: dict[str, Any] = known["answer"]
        return answered
    answer = await work()
    kept = {"collection_made": made, "answer": answer}
    await FACES.run(core.tokens.keep, call.operation, token, call.input, kept, now=core.clock(), life_s=_TOKEN_LIFE_S)
    return answer


async def create(core: Core, call: Call) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        await FACES.run(core.faces.users.create, call.input["CollectionId"], call.input["UserId"])
        return {}

    return await _once(core, call, work)


async def delete(core: Core, call: Call) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        await FACES.run(core.faces.users.delete, call.input["CollectionId"], call.input["UserId"])
        return {}

    return await _once(core, call, work)


async def list_all(core: Core, call: Call) -> dict[str, Any]:
    name, token = call.input["CollectionId"], call.input.get("NextToken")
    question = f"ListUsers {name}"
    page = await FACES.run(
        core.faces.users.list,
        name,
        limit=call.input.get("MaxResults", _MOST_USERS),
        after=core.pages.open(question, token, core.clock()) if token else "",
    )
    return documents.user_page(page, core.pages.seal(question, page.after, core.clock()) if page.after else None)


async def associate(core: Core, call: Call) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        changes = await core.workers.run(
            core.faces.users.associate,
            call.input["CollectionId"],
            call.input["UserId"],
            call.input["FaceIds"],
            threshold=call.input.get("UserMatchThreshold", 75.0),
        )
        return documents.associations(changes)

    return await _once(core, call, work)


async def disassociate(core: Core, call: Call) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        changes = await FACES.run(
            core.faces.users.disassociate, call.input["CollectionId"], call.input["UserId"], call.input["FaceIds"]
        )
        return documents.disassociations(changes)

    return await _once(core, call, work)


async def search(core: Core, call: Call) -> dict[str, Any]:
    user, face = call.input.get("UserId"), call.input.get("FaceId")
    if (user is None) == (face is None):
        raise invalid_parameter("Request has invalid parameters. Give exactly one of UserId and FaceId.")
    answer = await core.workers.run(
        core.faces.users.search,
        call.input["CollectionId"],
        user_id=user,
        face_id=face,
        threshold=call.input.get("UserMatchThreshold", 80.0),
        limit=call.input.get("MaxUsers"),
    )
    return documents.user_search(answer, face, user)


async def search_by_image(core: Core, call: Call) -> dict[str, Any]:
    answer = await core.workers.run(
        core.faces.users.search_by_image,
        call.input["CollectionId"],
        await fetch(core, call.input["Image"]),
        threshold=call.input.get("UserMatchThreshold", 80.0),
        limit=call.input.get("MaxUsers"),
        quality_filter=QualityFilter(call.input.get("QualityFilter", "NONE")),
    )
    return documents.user_search(answer)


OPERATIONS: dict[str, Served] = {
    "CreateUser": Served(create),
    "DeleteUser": Served(delete),
    "ListUsers": Served(list_all),
    "AssociateFaces": Served(associate),
    "DisassociateFaces": Served(disassociate),
    "SearchUsers": Served(search),
    "SearchUsersByImage": Served(search_by_image),
}
