"""Sentences that teach what clauses mean: phrases of the concepts in many frames, and sentences about other things."""

import random
from collections.abc import Sequence
from typing import Final

from ...edits.concepts import CONCEPTS, phrases_of

FRAMES: Final = phrases_of(
    """
    {}; {}; {}; {}; make him {}; make her {}; make them look {}; make me {}; a {} person; a person {}; give him
    {}; give her {}; i want {}; she should be {}; he looks {}; she looks {}; looking {}; with {}; {} please; can
    you make it {}; could you add {}; add {}; more {}; very {}; a bit {}; slightly {}; someone who is {}; she is
    {}; he is {}; the face is {}; a face {}; he has {}; she has {}; {} look; a photo of a person, {}; i'd like
    to be {}; turn him into someone {}; he seems {}; a {} woman; a {} man; so {}; really {}; kinda {}; {} now;
    show me {}; let her be {}; he got {}; as if {}
    """
)

THINGS: Final = phrases_of(
    """
    hat; cap; jacket; shirt; tie; scarf; necklace; earrings; ring; tattoo; piercing; mask; crown; helmet; suit;
    dress; hood; uniform; headphones; microphone; cigarette; pipe; flower; veil; turban; bandana; collar; coat;
    sweater; t-shirt; bow tie; wig; horns; nose; bigger nose; smaller nose; long nose; ears; big ears; pointy
    ears; chin; strong chin; neck; long neck; shoulders; teeth; white teeth; forehead; freckles; scar; dimples;
    mole; pimples; acne; nostrils; jawline; tongue; cheekbones; eyelids; one eye; third eye; cross-eyed; wart;
    braces; gold tooth; bushy brows; thin eyebrows; adam's apple; tears; sweat; blood; dirt; war paint; blue
    hair; green hair; pink hair; purple hair; rainbow hair; dreadlocks; braids; ponytail; bun; curls; curly
    hair; afro; straight hair; wavy hair; mohawk; mullet; wet hair; messy hair; purple eyes; red eyes; yellow
    eyes; two different eyes; taller; shorter legs; muscular arms; six pack; bigger body; fat belly; broad
    shoulders; wings; tail; hands; fingers; six feet; beach; forest; city; mountains; office; snow; rain; night;
    sunset; sky; car; house; dog; cat; horse; tree; background; blue background; blurred background; stage;
    garden; kitchen; window; wall; studio light; candle light; spotlight; shadow; brighter; darker image; sepia;
    black and white photo; contrast; saturation; sharper; blur; zoom in; crop; rotate the picture; faster; slow
    motion; higher resolution; frame; border; text; logo; subtitle; watermark; vintage film; cartoon; anime; oil
    painting; sketch; pixar; zombie; alien; robot; elf; witch; superhero; clown; devil; angel; werewolf;
    mermaid; statue; doll; celebrity; obama; elvis; einstein; tom cruise; a king; a doctor; a soldier; a nurse;
    a teacher; rich; poor; smart; stupid; famous; lucky; strange; chinese; african; european; indian; japanese;
    french; american; christian; muslim; jewish; straight; gay; healthy; sick; drunk; hungry; thirsty; cold;
    hot; purple; green; blue; orange; pink; yellow; metal; wood; glass; plastic; stone; gold; silver coin;
    walking; running; jumping; dancing; sitting; standing; waving; eating; drinking; reading; driving; flying;
    swimming; sleeping dog; red jacket; black jacket; grey suit; blue shirt; white dress; brown shoes; old car;
    young dog; big house; long road; dark room; open door; closed window; happy birthday; good morning; glass of
    wine; bald eagle; red wine; black coffee; blond beer
    """
    )  # fmt: skip

OTHER: Final = phrases_of(
    """
    hello how are you; what time is it; the weather is nice today; i like pizza; what is your name; tell me a
    joke; thank you; where is the station; open the file; close the window; turn on the light; play some music;
    buy milk; send an email; the meeting is at noon; two plus two; who won the game; how do i cook rice; he went
    home; she reads a book; the train is late; lorem ipsum dolor sit amet; the quick brown fox; once upon a
    time; to be or not to be; call my mother; stock prices; machine learning; python code; select from table;
    download the file; error 404; click here; no idea; i don't know; whatever; do something; change it; make it
    better; make it nice; make him different; fix this; surprise me; edit; test; foo bar; abc; more; less; no;
    yes; a lot; left foot; right now; up to you; down the road; all right; go left at the light; right answer;
    move the camera; stay there; come here; next one; again; undo; reset; stop; start; pause; help; what can you
    do; the same; faites la plus vieille; mach ihn alter; mas viejo; con barba; avec des lunettes; mit bart; sin
    gafas; occhiali; capelli lunghi; plus jeune; souriant; lachelnd; viejo; jung; alt; pelo rubio; cheveux
    blonds; haare blond; bez okularow; med glasogon; gladere; ouder; vrolijk; sourire; sonrisa; sorriso; barbe;
    barba; brille; lunettes; muito velho; mais novo; usmiech; stary
    """
    )  # fmt: skip


def mistyped(text: str, rng: random.Random) -> str:
    """The text with one typing error: a letter left out, doubled, swapped or replaced."""
    places = [index for index in range(1, len(text) - 1) if text[index].isalpha() and text[index + 1].isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at] + text[at:]
    if kind == 2:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + rng.choice("aeiourstn") + text[at + 1 :]


def concept_sentences(rng: random.Random, per_phrase: int = 6, held_out: int = 0) -> tuple[list[str], list[int]]:
    """(sentences, the number of each one's concept; len(CONCEPTS) for none of them).

    held_out: leave out every so-manieth phrase of a concept, for judging; 0 for none.
    """
    sentences, labels = [], []
    for number, concept in enumerate(CONCEPTS.values()):
        for index, phrase in enumerate(concept.phrases):
            if held_out and index % held_out == held_out - 1:
                continue
            for _ in range(per_phrase):
                sentences.append(_framed(phrase, rng))
                labels.append(number)
    gibberish = ["".join(rng.choice("asdfghjklqwertyuiop") for _ in range(rng.randint(4, 9))) for _ in range(40)]
    for other, copies in ((THINGS, per_phrase), (OTHER, 2), (gibberish, 1)):
        for text in other:
            for copy in range(copies):
                sentences.append(_framed(text, rng) if copies > 2 or copy else text)
                labels.append(len(CONCEPTS))
    return sentences, labels


def held_out_phrases(held_out: int) -> tuple[list[str], list[int]]:
    """The phrases that `concept_sentences` leaves out."""
    found = [
        (phrase, number)
        for number, concept in enumerate(CONCEPTS.values())
        for index, phrase in enumerate(concept.phrases)
        if index % held_out == held_out - 1
    ]
    return [phrase for phrase, _ in found], [number for _, number in found]


def _framed(phrase: str, rng: random.Random) -> str:
    text = rng.choice(FRAMES).format(phrase)
    return mistyped(text, rng) if rng.random() < 0.15 else text


def names() -> Sequence[str]:
    """Of the concepts, in the order of the labels."""
    return tuple(CONCEPTS)
