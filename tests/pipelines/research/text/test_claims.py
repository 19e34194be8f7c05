"""Claims, captions and the losses of the text-face embedding, on numbers made by hand."""

import random

import numpy as np
import pytest
import torch

from dynstream.pipelines.edits.text import TableOnly, TextReader
from dynstream.pipelines.research.text.captions import make_captions, recall, truth_of
from dynstream.pipelines.research.text.claims import CLAIMS, HAIR, truths, values_of
from dynstream.pipelines.research.text.concept_sentences import concept_sentences, held_out_phrases, mistyped
from dynstream.pipelines.research.text.evaluate import TextRow, read_descriptions, text_document
from dynstream.pipelines.research.text.judge_embedding import judge, table_of
from dynstream.pipelines.research.text.looks import LOOKS, bridge
from dynstream.pipelines.research.text.sentences import read_sentences
from dynstream.pipelines.research.text.train_embedding import BagOfWords, TextFaces, contrast, join

NUMBER = {claim.name: index for index, claim in enumerate(CLAIMS)}


def looks(**values: float) -> np.ndarray:  # type: ignore[type-arg]
    row = dict.fromkeys(LOOKS, 0.0)
    row.update({name.replace("_", "-"): value for name, value in values.items()})
    return np.array([row[name] for name in LOOKS])


def test_every_claim_is_about_a_score_that_there_is() -> None:
    known = set(LOOKS) | set(HAIR)
    assert all(claim.when[0] in known and claim.phrases for claim in CLAIMS)
    assert len(NUMBER) == len(CLAIMS)


def test_what_is_true_false_and_neither() -> None:
    table = truths(values_of(np.stack([
        looks(smile=0.9, age=70, gender=0.99, glasses=200), looks(smile=0.3, age=44, gender=0.5),
        looks(smile=0.0, age=20, gender=0.01, beard=0.9),
    ])))  # fmt: skip
    assert table[:, NUMBER["smiling"]].tolist() == [1, -1, 0]
    assert table[:, NUMBER["not smiling"]].tolist() == [0, -1, 1]
    assert table[:, NUMBER["old"]].tolist() == [1, 0, 0]
    assert table[:, NUMBER["woman"]].tolist() == [0, -1, 1]
    assert table[:, NUMBER["glasses"]].tolist() == [1, 0, 0]
    assert table[:, NUMBER["bearded"]].tolist() == [0, 0, 1]


def test_one_colour_of_hair_is_the_clearest_and_none_is_seen_without_hair() -> None:
    ginger = looks(hair_light=40, hair_red=22, hair_yellow=26)
    dark = looks(hair_light=8, hair_red=1, hair_yellow=1, black=0.9)
    hidden = looks(hair_light=np.nan, hair_red=np.nan, hair_yellow=np.nan, blond=np.nan, black=np.nan, grey=np.nan)
    table = truths(values_of(np.stack([ginger, dark, hidden])))
    assert table[:, NUMBER["red hair"]].tolist() == [1, 0, -1]
    assert table[:, NUMBER["black hair"]].tolist() == [0, 1, -1]


def test_a_caption_is_true_where_all_its_claims_are() -> None:
    captions = make_captions(random.Random(0), 200)
    assert {len(caption.claims) for caption in captions} == {1, 2, 3}
    table = np.ones((3, len(CLAIMS)), np.int8)
    several = next(caption for caption in captions if len(caption.claims) == 2)
    table[1, several.claims[0]] = 0
    table[2, several.claims[1]] = -1
    assert truth_of([several], table)[:, 0].tolist() == [1, 0, -1]
    assert make_captions(random.Random(0), 200) == captions


def test_the_loss_falls_as_positives_come_nearer_and_leaves_out_the_unknown() -> None:
    truth = torch.tensor([[1, 1, 0, -1]])
    right, wrong = torch.tensor([[5.0, 5.0, -5.0, 9.0]]), torch.tensor([[-5.0, -5.0, 5.0, 9.0]])
    assert contrast(right, truth) < 1 < contrast(wrong, truth)
    torch.testing.assert_close(contrast(right, truth), torch.tensor(2.0).log(), atol=1e-3, rtol=0)
    assert contrast(right, torch.tensor([[1, 1, -1, -1]])) == 0


def test_recall_counts_how_many_are_nearer() -> None:
    likeness = np.array([[0.9, 0.1, 0.2], [0.8, 0.5, 0.1], [0.7, 0.6, 0.5]], np.float32)
    assert recall(likeness, 1) == pytest.approx(1 / 3)
    assert recall(likeness, 2) == pytest.approx(2 / 3)
    assert recall(likeness, 3) == 1


def test_a_perfect_embedding_gets_perfect_scores() -> None:
    truth = np.where(np.random.default_rng(0).random((60, len(CLAIMS))) > 0.5, 1, 0).astype(np.int8)
    vectors = torch.randn(len(CLAIMS), 64, generator=torch.Generator().manual_seed(0))
    vectors = torch.linalg.qr(vectors.T)[0].T[:, :64]

    def texts(said: list[str]) -> torch.Tensor:
        rows = []
        for text in said:
            own = [i for i, claim in enumerate(CLAIMS) if any(one in text for one in (*claim.phrases, *claim.held_out))]
            rows.append(vectors[own].sum(0) if own else vectors[0] * 0)
        return torch.nn.functional.normalize(torch.stack(rows), dim=1)

    faces = torch.nn.functional.normalize(torch.from_numpy(truth).float() @ vectors, dim=1)
    scores = judge(texts, faces, truth)
    assert scores.mean_zero_shot > 0.8
    assert scores.paraphrase > 0.3
    assert "zero-shot" in table_of({"perfect": scores})


def test_sentences_of_concepts_hold_phrases_out() -> None:
    sentences, labels = concept_sentences(random.Random(0), per_phrase=1)
    assert len(sentences) == len(labels)
    left, _ = concept_sentences(random.Random(0), per_phrase=1, held_out=6)
    assert len(left) == len(sentences) - len(held_out_phrases(6)[0])
    assert mistyped("glasses", random.Random(1)) != "glasses"
    assert mistyped("a", random.Random(1)) == "a"


def test_words_that_a_baseline_does_not_know_say_nothing() -> None:
    words = BagOfWords(["a smiling man", "an old woman"])
    one, other, none = words(["smiling man", "man smiling", "zzz"])
    torch.testing.assert_close(one, other)
    assert none.norm() == 0


def test_sets_of_faces_are_joined_and_parted() -> None:
    some = TextFaces(torch.zeros(3, 2), np.zeros((3, len(CLAIMS)), np.int8), np.zeros((3, len(LOOKS))))
    assert len(join(some, some)) == 6
    assert len(some.part(np.array([True, False, True]))) == 2


def test_the_sentences_are_two_hundred() -> None:
    assert len(read_sentences()) == len(read_sentences(0)) + len(read_sentences(1)) >= 200
    assert all(one.text for one in read_sentences())


def test_the_table_of_descriptions_has_means_and_says_what_was_refused() -> None:
    rows = [
        TextRow("a", "older", "age +2", 0.0, 1.0, 1.0, 0.0, 0.5, 0.99, 0.98, 0.01, 1.1),
        TextRow("a", "blue eyes", "", holds=0.0),
    ]
    reader = TextReader(TableOnly(), {"age": (-3.0, 3.0)})
    found = text_document(rows, [("some", read_sentences(0)[:1], reader)])
    values = {row.name: row.values for row in found.tables[0].rows}
    assert values["blue eyes"]["understood"] == "refused"
    assert values["mean"]["accuracy"] == 0.5
    assert values["mean"]["TL-ID"] == 0.99
    assert values["mean"]["true by scores"] == 0.25
    assert found.tables[1].rows[0].values["read right"] == 1.0
    descriptions = read_descriptions()
    assert len(descriptions) == 24
    assert {name for one in descriptions for name in one.claims} <= {claim.name for claim in CLAIMS}


def test_a_line_across_the_nose_is_the_bridge_of_glasses() -> None:
    points = np.zeros((478, 2))
    points[[133, 362]] = (110, 120), (150, 122)
    bare = np.full((256, 256, 3), 180, np.uint8)
    framed, frowning = bare.copy(), bare.copy()
    framed[114:117, 60:200] = 30
    frowning[100:125, 128:131] = 30  # a fold between the brows
    assert bridge(bare, points) == bridge(frowning, points) == 0
    assert bridge(framed, points) > 400
    points[[133, 362]] = (130, 120), (131, 120)  # in profile
    assert bridge(framed, points) == 0
