"""The truth's files: written row by row, read in slices, and refused where they do not fit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dynstream.pipelines.common.errors import PipelineError
from dynstream.pipelines.research.synth.truth import TensorWriter, Truth, TruthFiles, load_truth, sha256

from ....synthetic import synthetic_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return synthetic_clip(tmp_path_factory.mktemp("truth") / "clip.v1.mp4", "smile=1")


@pytest.fixture
def copied(clip: Truth, tmp_path: Path) -> TruthFiles:
    """The clip's truth in a folder of its own, to be spoilt."""
    for path in (clip.files.json, clip.files.tensors):
        shutil.copy(path, tmp_path)
    return TruthFiles(tmp_path / clip.files.video.name)


def test_rows_in_any_order_make_an_ordinary_safetensors_file(tmp_path):
    random = np.random.default_rng(0)
    values = {
        "a": random.standard_normal((5, 3)).astype(np.float32),
        "b": random.integers(0, 256, (5, 2, 7), dtype=np.uint8),
        "c": random.standard_normal(5),
        "none": np.zeros((5, 0)),
    }
    path = tmp_path / "x.safetensors"
    with TensorWriter(path, {name: (array.shape, array.dtype) for name, array in values.items()}) as writer:
        for row in (3, 0, 4, 1):
            for name, array in values.items():
                writer.put(name, row, array[row])
        with pytest.raises(ValueError, match=r"a: expected a row 0\.\.4"):
            writer.put("a", 5, np.zeros(3))
        with pytest.raises(ValueError, match="a: expected a row"):
            writer.put("a", 2, np.zeros(4))
    loaded = load_file(path)
    assert loaded.keys() == values.keys()
    for name, array in values.items():
        array[2] = 0
        np.testing.assert_array_equal(loaded[name], array)


def test_files_are_named_after_the_video(tmp_path):
    files = TruthFiles(tmp_path / "clip.v1.mkv")
    assert files.edited.name == "clip.v1.edited.mkv"
    assert files.json.name == "clip.v1.truth.json"
    assert files.tensors.name == "clip.v1.truth.safetensors"


def test_it_is_found_from_the_video_and_from_the_json(clip):
    for path in (clip.files.video, clip.files.json):
        loaded = load_truth(path)
        assert (loaded.files, loaded.frames, loaded.size) == (clip.files, 10, (96, 96))
        assert loaded.edited == clip.files.edited


def test_slices_are_parts_of_the_whole(clip):
    for name in clip.names:
        whole = clip.read(name)
        assert whole.shape[0] == clip.frames
        np.testing.assert_array_equal(clip.read(name, 3, 5), whole[3:5])
        np.testing.assert_array_equal(clip.read(name, 7), whole[7:])
    with pytest.raises(PipelineError, match=r"has no 'pose'; it has blendshapes|has no 'pose'; it has codes"):
        clip.read("pose")


def spoil(**changes):
    def change(about):
        about.update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil(version=2), "expected 'dynstream synthetic truth' version 1, got .* version 2"),
        (spoil(pts=[]), "expected times that grow"),
        (spoil(pts=[0, 5, 5]), "expected times that grow"),
        (spoil(pts=list(range(9))), r"expected codes of shape \(9, None, 512\), got \(10, 18, 512\)"),
        (spoil(time_base="1/0"), "not a complete truth file"),
        (spoil(size=[96]), "not a complete truth file"),
        (spoil(paths=[]), "expected strengths of shape"),
        (lambda about: about.pop("tensors"), "not a complete truth file"),
        (lambda about: about["tensors"].update(sha256="0" * 64), "is not the file that clip.v1.truth.json was written"),
        (lambda about: about["tensors"]["shapes"].update(landmarks=[10, 478, 3]), "has no tensor 'landmarks'"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(copied, change, said):
    about = json.loads(copied.json.read_text())
    change(about)
    copied.json.write_text(json.dumps(about))
    with pytest.raises(PipelineError, match=said):
        load_truth(copied.video)


@pytest.mark.parametrize(("text", "said"), [("", "cannot read"), ("[]", "holds a list"), ("{}", "not a complete")])
def test_what_is_no_document_is_refused(copied, text, said):
    copied.json.write_text(text)
    with pytest.raises(PipelineError, match=said):
        load_truth(copied.video)


def test_missing_files_are_named(copied):
    copied.tensors.unlink()
    with pytest.raises(PipelineError, match=r"needs .*truth.safetensors, which does not exist"):
        load_truth(copied.video)
    with pytest.raises(PipelineError, match=r"no truth beside the video: .*other.truth.json"):
        load_truth(copied.video.with_name("other.mp4"))


def test_a_changed_byte_is_found(copied):
    data = bytearray(copied.tensors.read_bytes())
    data[-1] ^= 1
    copied.tensors.write_bytes(data)
    with pytest.raises(PipelineError, match="copy both again"):
        load_truth(copied.video)


def test_the_digest_is_the_file_s(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path).startswith("ba7816bf")
