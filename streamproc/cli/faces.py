"""``streamproc faces create|enrol|list|search|delete|feedback|audit``: the face collections of this node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.output import WRONG_INPUT, errors_said, names_are_input, put, put_json, say, set_up_logs
from streamproc.cli.photos import evidence, naming, people, read_photo
from streamproc.cli.places import default_data_dir
from streamproc.config.load import load_node
from streamproc.config.node import NodeConfig
from streamproc.core.errors import InputError, MediaError
from streamproc.core.faces import QualityFilter

if TYPE_CHECKING:
    from streamproc.core.face_answers import IndexAnswer
    from streamproc.faces.audit import Audit
    from streamproc.faces.service import FaceService

app = typer.Typer(help="Enrol, search and check face collections.", no_args_is_help=True)

Collection = Annotated[str, typer.Argument(help="The collection's name.", show_default=False)]
DataDir = Annotated[Path | None, typer.Option(help="Where collections live.", show_default=False)]
ConfigDir = Annotated[
    Path | None, typer.Option(help="Read faces: and stores: of DIR/streamproc.yaml.", metavar="DIR", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Threshold = Annotated[float, typer.Option(min=0, max=100, help="Least similarity, 0-100.")]


@app.command()
def create(name: Collection, data_dir: DataDir = None, config_dir: ConfigDir = None, as_json: AsJson = False) -> None:
    """Make an empty collection."""
    with errors_said(), names_are_input():
        service, node = _open(data_dir, config_dir)
        info = service.create_collection(name)
        from streamproc.aws import face_documents as documents

        if as_json:
            put_json(documents.created_collection(info, _arn(node, name)))
        else:
            put(f"created {name} (embedder {info.model.split('/')[0]})")


@app.command()
def enrol(
    collection: Collection,
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Photos, or folders of photos. Without --name each folder is one person.", show_default=False
        ),
    ],
    *,
    name: Annotated[str | None, typer.Option(help="Whom the photos show.", show_default=False)] = None,
    max_faces: Annotated[int, typer.Option(min=1, max=100, help="Faces taken of each photo, the best first.")] = 1,
    quality: Annotated[QualityFilter, typer.Option(help="What is asked of a face.")] = QualityFilter.AUTO,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Learn faces. Running processors know them on their next frame."""
    from streamproc.aws import face_documents as documents

    with errors_said(), names_are_input():
        service, _ = _open(data_dir, config_dir)
        wrong = False
        for photo, person in people(photos, name):
            try:
                data = read_photo(photo)
                answer = service.index_faces(
                    collection, data, external_image_id=person, max_faces=max_faces, quality_filter=quality
                )
            except MediaError as error:
                say(f"{photo}: {error}")
                wrong = True
                continue
            if as_json:
                put_json(documents.index_answer(answer))
            _say_enrolled(photo, person, answer, as_json)
        if wrong:
            raise typer.Exit(WRONG_INPUT)


@app.command("list")
def list_faces(
    collection: Annotated[str | None, typer.Argument(help="A collection; all of them if left out.")] = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """The faces of a collection, or the collections."""
    from streamproc.aws import face_documents as documents

    with errors_said(), names_are_input():
        service, _ = _open(data_dir, config_dir)
        if collection is None:
            infos = service.list_collections()
            if as_json:
                put_json(documents.listed_collections(infos))
            for info in [] if as_json else infos:
                put(f"{info.name}  {info.faces} faces  {info.users} users  {info.model.split('/')[0]}")
            return
        page = service.list_faces(collection)
        if as_json:
            put_json(documents.face_page(page))
            return
        for face in page.faces:
            put(
                f"{face.face_id}  {face.person:20}  eyes {face.eye_distance_px:4.0f} px  sharpness {face.sharpness:3.0f}"
            )


@app.command()
def search(
    collection: Collection,
    photo: Annotated[Path, typer.Argument(help="A photo; its largest face is looked up.", show_default=False)],
    threshold: Threshold = 80.0,
    max_faces: Annotated[int, typer.Option(min=1, max=4096, help="Most matches.")] = 80,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Who is this?"""
    from streamproc.aws import face_documents as documents

    with errors_said(), names_are_input():
        service, _ = _open(data_dir, config_dir)
        with naming(photo):
            answer = service.searches.by_image(collection, read_photo(photo), threshold=threshold, max_faces=max_faces)
        if as_json:
            put_json(documents.face_search(answer))
            return
        for match in answer.matches:
            put(f"{match.similarity:6.2f}  {match.face.person}  {match.face.face_id}")
        if not answer.matches:
            put("unknown")


@app.command()
def delete(
    collection: Collection,
    face_id: Annotated[
        list[str] | None, typer.Option(help="Only this face (again for more).", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only this person's faces.", show_default=False)] = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget a collection, a person or single faces: from disk and from memory."""
    from streamproc.aws import face_documents as documents

    with errors_said(), names_are_input():
        service, _ = _open(data_dir, config_dir)
        if not face_id and name is None:
            service.delete_collection(collection)
            put_json({"StatusCode": 200}) if as_json else put(f"deleted {collection}")
            return
        wanted = list(face_id or ())
        if name is not None:
            own = [
                face.face_id
                for face in service.list_faces(collection).faces
                if name in (face.person, face.external_image_id)
            ]
            if not own:
                raise InputError(
                    f"--name {name}: nobody of that name is in {collection}; see: streamproc faces list {collection}"
                )
            wanted += own
        changes = service.delete_faces(collection, wanted)
        if as_json:
            put_json(documents.deletions(changes))
        else:
            put(f"deleted {len(changes.done)} faces")
        for failure in changes.failed:
            say(f"{failure.face_id}: {', '.join(failure.reasons)}")
        if changes.failed and not changes.done:
            raise typer.Exit(WRONG_INPUT)


@app.command()
def feedback(
    collection: Collection,
    wrong: Annotated[
        str,
        typer.Option(
            "--not", help="A photo (or the id of a face_matched event) that does not show them.", metavar="PHOTO|EVENT"
        ),
    ],
    person: Annotated[str | None, typer.Option(help="Who it is not.", show_default=False)] = None,
    face_id: Annotated[str | None, typer.Option(help="Which stored face it is not.", show_default=False)] = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """This was not alice: remember it, and do not match that face with her again."""
    with errors_said(), names_are_input():
        if (person is None) == (face_id is None):
            raise InputError("give --person NAME or --face-id ID")
        service, node = _open(data_dir, config_dir)
        data = evidence(wrong, _data_dir(data_dir, node))
        with naming(Path(wrong)):
            service.deny(collection, person or face_id or "", data)
        put_json({"collection": collection, "not": person or face_id}) if as_json else put(
            f"noted: not {person or face_id}"
        )


@app.command()
def audit(
    collection: Collection,
    threshold: Threshold = 80.0,
    picture: Annotated[
        Path | None, typer.Option(help="Write the similarity distributions here (PNG).", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Can this collection be trusted? Quality per person, people who could be confused, false matches to expect."""
    with errors_said(), names_are_input():
        service, _ = _open(data_dir, config_dir)
        report, image = service.audit(collection, threshold)
        where = picture or (None if as_json else Path(f"{collection}-audit.png"))
        if where is not None:
            import cv2

            if not cv2.imwrite(str(where.with_suffix(".png")), image):
                raise InputError(f"--picture {where}: cannot be written")
        if as_json:
            put_json(report.document() | ({"picture": str(where.with_suffix(".png"))} if where else {}))
        else:
            _say_audit(report)
            put(f"picture: {where}")


def _open(data_dir: Path | None, config_dir: Path | None) -> tuple[FaceService, NodeConfig]:
    set_up_logs(False, "warning")
    node = load_node(config_dir / "streamproc.yaml") if config_dir is not None else NodeConfig()
    from streamproc.faces.service import open_service

    return open_service(_data_dir(data_dir, node), node), node


def _data_dir(data_dir: Path | None, node: NodeConfig) -> Path:
    return data_dir or node.stores.data_dir or default_data_dir()


def _arn(node: NodeConfig, name: str) -> str:
    from streamproc.aws import face_documents as documents

    return documents.collection_arn(name, node.aws.region, node.aws.account)


def _say_enrolled(photo: Path, person: str, answer: IndexAnswer, as_json: bool) -> None:
    for face, _ in [] if as_json else answer.records:
        put(f"{photo}: {person} {face.face_id} (eyes {face.eye_distance_px:.0f} px, sharpness {face.sharpness:.0f})")
    reasons = [", ".join(face.reasons) for face in answer.refused]
    if not answer.records:
        say(f"{photo}: nothing enrolled: {'no face found' if not reasons else '; '.join(reasons)}")
    elif any("EXCEEDS_MAX_FACES" in face.reasons for face in answer.refused):
        say(
            f"{photo}: {len(answer.refused) + len(answer.records)} faces in the photo, {len(answer.records)} taken for {person}"
        )


def _say_audit(report: Audit) -> None:
    for person in report.people:
        like = "-" if person.likeness is None else f"{person.likeness:.0f}"
        put(
            f"{person.person:20} {person.faces:4} faces  sharpness {person.sharpness:3.0f}  own likeness {like:>3}  {'; '.join(person.advice)}"
        )
    for pair in report.pairs:
        put(f"could be confused: {pair.person} and {pair.other}, similarity {pair.similarity:.1f}")
    for line in _rates(report):
        put(line)


def _rates(report: Audit) -> Iterator[str]:
    if report.false_match_rate is None:
        yield f"false matches: only {report.different_pairs} pairs of different people, too few for an estimate"
        return
    yield (
        f"at threshold {report.threshold:g}: {report.false_matches} of {report.different_pairs} pairs of different people match; "
        f"expected false match rate {report.false_match_rate:.2g} (at most {report.false_match_rate_at_most:.2g}), "
        f"a stranger is taken for somebody here with probability {report.false_alarm_rate:.2g}"
    )
    if report.missed is not None:
        yield f"{report.missed:.1%} of {report.same_pairs} pairs of one person's photos are under it"
    yield f"suggested threshold for one false alarm in a thousand strangers: {report.suggested_threshold:.1f}"
