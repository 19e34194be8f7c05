"""A reader of the standard that shares no code with ours finds the same in what we sign.

Needs node and the npm package @trustnxt/c2pa-ts, in node_modules of the folder that DYNSTREAM_C2PA_TS names; .ci/run
fetches it.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynstream.pipelines.common.annotate import encode_png
from dynstream.pipelines.credentials.certificates import make_identity
from dynstream.pipelines.credentials.record import EditRecord, sign

from ...stream.media import Clip, make

FOLDER, NODE = os.environ.get("DYNSTREAM_C2PA_TS", ""), shutil.which("node")
READER = Path(__file__).with_name("second_reader.mjs")

pytestmark = pytest.mark.skipif(not (FOLDER and NODE), reason="DYNSTREAM_C2PA_TS names no folder (npm: c2pa-ts)")


def read(path: Path) -> Any:
    assert NODE is not None
    command = [NODE, "--input-type=module", "-", str(path)]
    done = subprocess.run(command, input=READER.read_text(), cwd=FOLDER, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".png"])
def test_another_reader_finds_what_was_signed_and_that_a_byte_was_changed(tmp_path: Path, suffix: str) -> None:
    source, made = tmp_path / f"in{suffix}", tmp_path / f"made{suffix}"
    for path in (source, made):
        if suffix == ".png":
            path.write_bytes(encode_png(np.zeros((32, 32, 3), np.uint8)))
        else:
            make(path, Clip())
    sign(made, EditRecord(title="out", source=source, edits={"smile": "2"}), make_identity(tmp_path / "pair"))
    found = read(made)
    assert found["valid"], found["entries"]
    assert {"org.dynstream.edit", "c2pa.actions.v2", "c2pa.ingredient.v3"} <= {*found["labels"]}
    assert any(entry["code"].endswith("Hash.match") for entry in found["entries"])
    data = bytearray(made.read_bytes())
    data[-40] ^= 1
    made.write_bytes(data)
    found = read(made)
    assert not found["valid"]
    assert any(entry["code"].endswith("Hash.mismatch") for entry in found["entries"] if not entry["success"])
