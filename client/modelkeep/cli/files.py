"""`modelkeep files`: what files a version has."""

from modelkeep.cli import output
from modelkeep.cli.arguments import RefPath
from modelkeep.cli.session import Json, Session


def files(session: Session, ref: RefPath, as_json: Json = False) -> None:
    """List a version's files by path, with sizes and digests.

    With --json: an array.
    """
    with session.registry() as registry:
        found = list(registry.files(ref))
    if as_json:
        output.document([file.to_dict() for file in found])
        return
    rows = [(output.size(file.size), file.digest, file.path) for file in found]
    session.table(("SIZE", "DIGEST", "PATH"), rows, "no files")
