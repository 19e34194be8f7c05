"""Sentence embeddings and the network that names concepts over them."""

from pathlib import Path

import pytest
import torch

from dynstream.models.errors import WeightsError
from dynstream.models.text.concept_head import ConceptHead, ConceptReader, load_concept_reader, save_concept_head
from dynstream.models.text.minilm import SentenceEncoder, load_minilm, load_tokenizer
from dynstream.models.zoo.zoo import Zoo
from dynstream.pipelines.edits.concepts import CONCEPTS


@pytest.fixture(scope="module")
def encode(zoo: Zoo) -> SentenceEncoder:
    return load_minilm(zoo)


def test_like_sentences_are_near_and_of_unit_length(encode: SentenceEncoder) -> None:
    one, other, else_ = encode(["a man with a beard", "a bearded man", "the train was late again this morning"])
    assert torch.allclose(one.norm(), torch.tensor(1.0), atol=1e-5)
    assert one @ other > 0.8 > 0.3 > one @ else_


def test_a_sentence_is_the_same_alone_and_among_others(encode: SentenceEncoder) -> None:
    among = encode(["older", "a much longer sentence about glasses, hair and smiles", "older"])
    torch.testing.assert_close(among[0], encode(["older"])[0], atol=1e-5, rtol=0)
    assert torch.equal(among[0], among[2])
    assert encode([]).shape == (0, 384)


def test_the_shipped_network_knows_wording_that_no_table_has(zoo: Zoo) -> None:
    read = load_concept_reader(zoo)
    assert set(read.names) <= set(CONCEPTS)
    assert read(["a jolly grin on her", "gaffer with wrinkled skin"])[0] in ("smile", "laugh")
    assert read(["the stock market fell", "quarterly report"]) == [None, None]
    assert read.knows("table")
    assert not read.knows("beerd")
    assert read([]) == []


def test_a_file_of_concepts_comes_back_and_a_foreign_one_is_refused(tmp_path: Path, zoo: Zoo) -> None:
    torch.manual_seed(0)
    save_concept_head(tmp_path / "own.safetensors", ConceptHead(2, hidden=8).eval(), ["a", "b"], 0.0)
    read: ConceptReader = load_concept_reader(zoo, tmp_path / "own.safetensors")
    assert read.names == ("a", "b")
    (tmp_path / "other.safetensors").write_bytes(b"no such file")
    with pytest.raises(WeightsError, match="holds no concepts"):
        load_concept_reader(zoo, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="as a tokenizer"):
        load_tokenizer(tmp_path / "other.safetensors")
