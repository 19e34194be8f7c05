"""The report as one self-contained HTML file: tables, curves, worst frames, clip. It loads nothing from anywhere."""

import base64
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import numpy.typing as npt

from ..report.format import head, number, templates
from ..report.plots import draw
from .documents import video_document
from .worst_frames import CLIP_SECONDS, CRITERIA, ReportPictures

if TYPE_CHECKING:
    from ....stream.frame import Pixels
    from .evaluate import Evaluation


def render(evaluation: "Evaluation", pictures: ReportPictures, source: str) -> str:
    """The whole file. source: name of the video that the others are compared with."""
    document = video_document(evaluation, source)
    svgs = [draw(plot) for plot in document.plots]
    worst = {name: {one.title: frames.by(one) for one in CRITERIA} for name, frames in pictures.worst.items()}
    return (
        templates()
        .get_template("evaluation.html")
        .render(
            document=document,
            # XML declaration and document type have no place inside HTML.
            svgs=[svg[svg.index("<svg") :] for svg in svgs],
            worst=worst,
            clip=base64.b64encode(pictures.clip()).decode(),
            clip_seconds=CLIP_SECONDS,
            head=head,
            number=number,
            jpeg=_jpeg,
        )
    )


def _jpeg(picture: "Pixels") -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return base64.b64encode(cast("npt.NDArray[np.uint8]", data).tobytes()).decode()
