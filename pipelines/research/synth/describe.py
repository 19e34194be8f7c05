"""The JSON document of a clip's truth, without the digests that are known only at its end."""

from typing import Any

from .... import __version__
from ....stream.encoding import EncoderOptions
from ...edits.edit import Edits
from .networks import SynthNetworks
from .script import Script
from .settings import ClipSettings
from .truth import FORMAT, VERSION, TruthFiles


def describe(
    settings: ClipSettings,
    networks: SynthNetworks,
    script: Script,
    edits: Edits | None,
    options: EncoderOptions,
    files: TruthFiles,
    pts: list[int],
    notes: list[str],
) -> dict[str, Any]:
    """The JSON document, without the digests."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "dynstream": __version__,
        "video": files.video.name,
        "edited_video": files.edited.name if edits else None,
        "size": list(settings.size),
        "rate": str(settings.rate),
        "time_base": str(settings.time_base),
        "pts": pts,
        "generator": networks.name,
        "drawn": settings.drawn_size(script.head.largest_side),
        "landmarks": None if networks.backend is None else networks.backend.layout,
        "paths": [
            {"name": name, "kind": move.kind, "peak": move.peak, "scale": script.directions[name].scale}
            for name, move in script.moves.items()
        ],
        "edits": [
            {"name": e.name, "start": e.start, "end": e.end, "begin": e.begin, "until": e.until}
            for e in (edits.specs if edits else ())
        ],
        "encoder": {"codec": options.codec, "crf": options.crf, "preset": options.preset, "pix_fmt": options.pix_fmt},
        "settings": settings.as_dict(),
        "notes": notes,
    }
