"""The contract of `TextImageEmbedding`, over every implementation; and CLIP's files in their layouts."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dynstream.models.errors import ShapeError, WeightsError
from dynstream.models.text.clip import find_clip, load_clip, load_clip_network, load_clip_tokenizer
from dynstream.models.text.embedding import TextImageEmbedding
from dynstream.models.text.face_text import FaceTextEmbedding, FaceTrunk, Heads, load_face_text, save_face_text
from dynstream.models.zoo.zoo import Zoo

from .tiny_clip import tiny, write, write_tokenizers


class Sentences:
    """In MiniLM's place."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = [torch.randn(384, generator=torch.Generator().manual_seed(sum(map(ord, text)))) for text in texts]
        return torch.nn.functional.normalize(torch.stack([torch.zeros(384), *rows])[1:], dim=1)


def own() -> FaceTextEmbedding:
    torch.manual_seed(0)
    return FaceTextEmbedding(FaceTrunk().eval(), Heads().eval(), Sentences())  # type: ignore[arg-type]


@pytest.fixture(params=["own", "clip"])
def embedding(request: pytest.FixtureRequest, tmp_path: Path) -> TextImageEmbedding:
    if request.param == "own":
        return own()
    return load_clip(write(tmp_path)["open_clip"], write_tokenizers(tmp_path)[0])


def faces(count: int) -> Tensor:
    return torch.rand(count, 3, 256, 256, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_vectors_are_of_unit_length_and_the_same_alone(embedding: TextImageEmbedding) -> None:
    texts, pictures = embedding.texts(["smile", "an old man with a beard", "smile"]), embedding.faces(faces(2))
    assert texts.shape == (3, embedding.size)
    assert pictures.shape == (2, embedding.size)
    for vectors in (texts, pictures):
        assert vectors.dtype == torch.float32
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-4, rtol=0)
    torch.testing.assert_close(embedding.texts(["smile"])[0], texts[2], atol=1e-5, rtol=0)
    torch.testing.assert_close(embedding.faces(faces(2)[1:])[0], pictures[1], atol=1e-4, rtol=0)
    assert not torch.allclose(texts[0], texts[1], atol=1e-3)
    assert embedding.name


def test_faces_have_gradients(embedding: TextImageEmbedding) -> None:
    pictures = faces(1).requires_grad_(True)
    (embedding.faces(pictures) @ embedding.texts(["smile"]).T).sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.abs().sum() > 0


def test_nothing_gives_nothing_and_other_shapes_are_refused(embedding: TextImageEmbedding) -> None:
    assert embedding.texts([]).shape == (0, embedding.size)
    assert embedding.faces(torch.zeros(0, 3, 256, 256)).shape == (0, embedding.size)
    for shape in ((3, 256, 256), (1, 3, 128, 128), (1, 1, 256, 256)):
        with pytest.raises(ShapeError, match="expected faces of shape"):
            embedding.faces(torch.zeros(shape))


def test_every_layout_of_clip_is_the_same_network(tmp_path: Path) -> None:
    expected = tiny().state_dict()
    for layout, path in write(tmp_path).items():
        found = load_clip_network(path).state_dict()
        assert found.keys() == expected.keys(), layout
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, msg=f"{layout}: {name}")


def test_every_tokenizer_of_clip_gives_the_same_tokens(tmp_path: Path) -> None:
    plain, packed, whole = (load_clip_tokenizer(path) for path in write_tokenizers(tmp_path))
    for text in ("smile", "an OLD smile, isn't it?", "über 3 years", "", "smile " * 40):
        expected = plain.encode(text, add_special_tokens=False).ids
        assert packed.encode(text, add_special_tokens=False).ids == expected
        assert whole.encode(text, add_special_tokens=False).ids == expected
    assert plain.encode("smile old", add_special_tokens=False).tokens == ["smile</w>", "old</w>"]


def test_files_that_are_no_clip(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(2, 3, 4, 4)}, tmp_path / "resnet.safetensors")
    with pytest.raises(WeightsError, match="no CLIP with a vision transformer"):
        load_clip_network(tmp_path / "resnet.safetensors")
    state = tiny().state_dict()
    state["visual.transformer.resblocks.1.mlp.c_fc.weight"] = torch.zeros(3, 3)
    save_file(state, tmp_path / "size.safetensors")
    with pytest.raises(WeightsError, match=r"mlp.c_fc.weight.*is \(3, 3\)"):
        load_clip_network(tmp_path / "size.safetensors")
    torch.save({"model": tiny()}, tmp_path / "code.pt")  # a pickled module
    (tmp_path / "half.pt").write_bytes(b"PK\x03\x04 cut off")
    for name in ("code.pt", "half.pt"):
        with pytest.raises(WeightsError, match="cannot be read as a state dict"):
            load_clip_network(tmp_path / name)
    (tmp_path / "merges.txt").write_text("#version\none two three\n")
    with pytest.raises(WeightsError, match="as CLIP's merges"):
        load_clip_tokenizer(tmp_path / "merges.txt")


def test_clip_is_imported_by_hand(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path / "cache", offline=True)
    with pytest.raises(WeightsError, match="models import"):
        find_clip(zoo)
    write(tmp_path)["hf"].rename(tmp_path / "clip-vit-b32.safetensors")
    merges = write_tokenizers(tmp_path)[1].rename(tmp_path / "bpe_simple_vocab_16e6.txt.gz")
    zoo.import_file("clip-vit-b32", tmp_path / "clip-vit-b32.safetensors")
    zoo.import_file("clip-tokenizer", merges)
    assert find_clip(zoo).texts(["smile"]).shape == (1, 6)


def test_our_own_comes_back_from_its_file(tmp_path: Path, zoo: Zoo) -> None:
    made = own()
    save_face_text(tmp_path / "e.safetensors", made.trunk, {"edit": made.heads}, {"faces": 0})
    found = load_face_text(zoo, tmp_path / "e.safetensors")
    torch.testing.assert_close(found.faces(faces(1)), made.faces(faces(1)), atol=2e-2, rtol=0)
    with pytest.raises(WeightsError, match="no head 'judge'"):
        load_face_text(zoo, tmp_path / "e.safetensors", head="judge")
    (tmp_path / "f.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no text-face embedding"):
        load_face_text(zoo, tmp_path / "f.safetensors")
