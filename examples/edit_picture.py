"""Edit the face in a picture.

python examples/edit_picture.py portrait.jpg smiling.png smile=2
python examples/edit_picture.py portrait.jpg older.png age=2 smile=0.5
"""

import argparse
from collections.abc import Sequence

from PIL import Image, ImageOps

import dynstream


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example with these arguments; those of the command line where not given."""
    parser = argparse.ArgumentParser(description="Edit the face in a picture.")
    parser.add_argument("source", help="a picture with a face")
    parser.add_argument("target", help="the result; its suffix names the format")
    parser.add_argument("edits", nargs="+", metavar="NAME=STRENGTH", help="such as smile=2")
    options = parser.parse_args(arguments)
    try:
        editor = dynstream.load_editor(dict(edit.split("=", 1) for edit in options.edits))
        with Image.open(options.source) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        editor(upright).save(options.target)
    except dynstream.DynstreamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
