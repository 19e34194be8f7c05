"""`dynstream consent`: records of who agreed that another's motion moves their face."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .options import Faces, SignCert, SignKey
from .weights import IndexUrl, Offline, open_zoo

app = typer.Typer(no_args_is_help=True, help="Record who agreed that another's motion moves their face, and read it.")


@app.command()
def record(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Pictures or clips of the subject.")],
    subject: Annotated[str, typer.Option(metavar="NAME", help="Who agreed.")],
    statement: Annotated[str, typer.Option(metavar="TEXT", help="To what, in words.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it holds.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the record is written.")],
    faces: Faces = "largest",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists.")] = False,
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    offline: Offline = False,
    index_url: IndexUrl = None,
) -> None:
    """Write a signed record that binds a person's consent to their face and to these files.

    It holds a measurement of the face (an embedding), stays on this machine, and can be read by you alone. Videos that
    are made with it carry its digest, and nothing else of it.

    Example: `dynstream consent record ann.jpg --subject "Ann Lee" --statement "My portrait may nod and smile in the
    museum's film" --until 2027-12-31 --out ann.consent.json`
    """
    from ..pipelines.common.errors import ConsentError, CredentialsError
    from ..pipelines.credentials.consent import record_consent
    from ..pipelines.credentials.find import find_identity
    from ..pipelines.fitting.refinement import SAME_PERSON
    from ..pipelines.run.who import embed_person
    from ..stream.atomic import check_target

    identity = find_identity(sign_cert, sign_key)
    if identity is None:
        raise CredentialsError("a consent record is signed; make a pair first: dynstream credentials init")
    check_target(out, overwrite=overwrite)
    with open_zoo(offline=offline, index_url=index_url) as zoo:
        found = {picture: embed_person(picture, zoo, faces=faces) for picture in pictures}
    for picture, face in found.items():
        if float(found[pictures[0]] @ face) < SAME_PERSON:
            raise ConsentError(f"{picture} shows somebody else than {pictures[0]}; a record is of one person")
    made = record_consent(
        out, found, identity, subject=subject, statement=statement, until=until.date(), overwrite=overwrite
    )
    Console(stderr=True, highlight=False, markup=False).print(f"The record is {made.kept}.", soft_wrap=True)


@app.command()
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="A consent record.")]) -> None:
    """Print a record, its signature checked.

    Example: `dynstream consent show ann.consent.json`
    """
    from ..pipelines.credentials.certificates import common_name
    from ..pipelines.credentials.consent import read_consent

    found = read_consent(file)
    console = Console(highlight=False, markup=False)
    lines = {
        "subject": [found.subject],
        "statement": [found.statement],
        "recorded": [found.recorded],
        "until": [found.until],
        "picture": [f"{name} {digest}" for digest, (name, _) in found.pictures.items()],
        "kept": [found.kept],
        "signed by": [common_name(found.signer())],
    }
    for name, values in lines.items():
        for value in values:
            console.print(f"{name}: {value}", soft_wrap=True)
