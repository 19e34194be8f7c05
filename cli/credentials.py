"""`dynstream credentials`: the pair that signs, and what a file says was done to it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Sign results with Content Credentials (C2PA), and read those of a file.")


@app.command()
def init(
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="Where the pair lies; default: your settings.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the pair that is there.")] = False,
) -> None:
    """Make a certificate and key of your own on this machine; from then on every result is signed.

    Readers show such files as valid and not trusted: nobody has verified who you are. With a certificate of an
    authority use --sign-cert and --sign-key, or DYNSTREAM_SIGN_CERT and DYNSTREAM_SIGN_KEY.
    """
    from ..pipelines.credentials.certificates import make_identity
    from ..pipelines.credentials.find import default_folder

    place = folder or default_folder()
    identity = make_identity(place, overwrite=overwrite)
    Console(stderr=True, highlight=False, markup=False).print(
        f"{place}: {identity.name}, self-made. Results are signed with it; keep key.pem to yourself.", soft_wrap=True
    )


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A video.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Print what a file says was done to it, and whether that still holds: exit status 0 only if it does.

    Example: `dynstream credentials show edited.mp4`
    """
    from ..pipelines.common.errors import CredentialsError
    from ..pipelines.credentials.read import Verdict, read_credentials

    found = read_credentials(file)
    if found is None:
        raise CredentialsError(f"{file} has no Content Credentials, neither inside nor in {file.name}.c2pa beside it")
    if as_json:
        print(json.dumps(found.raw, indent=2))
    else:
        console = Console(highlight=False, markup=False)
        console.print(f"record: {found.verdict}", soft_wrap=True)
        lines = {
            "signed by": [found.signer],
            "signed at": [found.time or "no time authority was asked"],
            "done": found.actions,
            "edits": [f"{name}={strength}" for name, strength in found.edits.items()],
            "models": [f"{name} {digest}" for name, digest in found.models.items()],
            "made from": found.ingredients,
            "problem": found.problems,
        }
        for name, values in lines.items():
            for value in values:
                console.print(f"{name}: {value}", soft_wrap=True)
    if found.verdict is Verdict.BROKEN:
        raise CredentialsError(f"{file}: the record {found.verdict}")
