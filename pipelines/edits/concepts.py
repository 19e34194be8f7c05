"""What words mean as edits: concepts, each with its phrases and with the edits, and strengths, that it stands for.

A phrase is written without words that say nothing (`clauses.FILLERS`), in any order of its words. The network that
reads other wording was trained on the same phrases (`dynstream train text`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Concept:
    """One thing that can be said of a face.

    Attributes:
        name: for people and as the class of the network.
        moves: edit -> strength, where it is said plainly.
        phrases: how people say it.
        thing: something that a face has, such as a beard; "without glasses and beard" then takes away both.
    """

    name: str
    moves: Mapping[str, float]
    phrases: tuple[str, ...]
    thing: bool = False


def split_words(text: str) -> list[str]:
    """The words of a text of lines."""
    return text.split()


def phrases_of(text: str) -> list[str]:
    """The phrases of a text of lines, each ended by a semicolon."""
    return [" ".join(phrase.split()) for phrase in text.split(";")]


def _concept(name: str, phrases: str, *, thing: bool = False, **moves: float) -> Concept:
    own = {edit.replace("_", "-"): strength for edit, strength in moves.items()}
    return Concept(name, own, tuple(phrases_of(phrases)), thing)


_ALL: Final = (
    _concept(
        "smile",
        """
        smile; smiling; smiles; smiled; happy; happier; cheerful; cheery; joyful; joy; joyous; grin; grinning;
        grins; beam; beams; beaming; friendly; friendlier; amused; pleased; glad; delighted; smiley; merry;
        jolly; content; happiness; smirk; smirking; smile on face; show teeth; good mood; radiant
        """,
        smile=1.5,
    ),
    _concept(
        "laugh",
        """
        laugh; laughing; laughs; laughter; giggle; giggling; laughing out loud; crack up; cracking up; roar
        laughter
        """,
        smile=2.5,
        mouth_open=1.0,
    ),
    _concept(
        "serious",
        """
        serious; stern; neutral expression; neutral face; neutral; stone faced; poker face; poker faced;
        deadpan; unsmiling; solemn; expressionless; straight face; straight faced; grave; emotionless; severe;
        strict; earnest
        """,
        smile=-1.5,
    ),
    _concept(
        "sad",
        """
        sad; sadder; sadness; unhappy; depressed; miserable; gloomy; crying; cry; melancholic; sorrowful;
        upset; mournful; down mouth; pout; pouting; sulking; heartbroken; disappointed; grieving; mouth
        corners down
        """,
        smile=-2.0,
    ),
    _concept(
        "angry",
        """
        angry; angrier; furious; mad; frown; frowning; frowns; scowl; scowling; enraged; annoyed; aggressive;
        irritated; anger; glare; glaring; rage; mean; fierce; hostile; threatening; evil
        """,
        brow=-2.0,
        smile=-1.0,
    ),
    _concept(
        "grumpy",
        """
        grumpy; sullen; sulky; moody; bad mood; bad tempered; morose; surly
        """,
        smile=-1.5,
        brow=-1.0,
    ),
    _concept(
        "surprised",
        """
        surprised; surprise; shocked; astonished; amazed; startled; scared; afraid; frightened; stunned;
        shock; astonishment; terrified; in awe; flabbergasted
        """,
        brow=2.0,
        eyes_closed=-1.5,
        mouth_open=1.0,
    ),
    _concept(
        "tired",
        """
        tired; sleepy; exhausted; weary; drowsy; droopy eyes; half closed eyes; worn out; fatigued; tired
        eyes; heavy eyelids; needs sleep; sleep deprived; hungover; squinting; squint; narrow eyes
        """,
        eyes_closed=1.5,
    ),
    _concept(
        "eyes closed",
        """
        eyes closed; close eyes; closing eyes; shut eyes; eyes shut; asleep; sleeping; blink; blinking; closed
        eyelids
        """,
        eyes_closed=3.0,
    ),
    _concept(
        "eyes open",
        """
        eyes open; wide eyes; eyes wide; eyes wide open; big eyes; bigger eyes; larger eyes; large eyes; huge
        eyes; awake; wide awake; wide eyed; opened eyes; staring; stare; alert; widen eyes
        """,
        eyes_closed=-2.0,
    ),
    _concept(
        "mouth open",
        """
        open mouth; mouth open; mouth wide open; wide open mouth; jaw dropped; jaw open; dropped jaw; gaping;
        gape; parted lips; lips parted; mouth agape; open mouthed; singing; opened mouth
        """,
        mouth_open=2.0,
    ),
    _concept(
        "scream",
        """
        scream; screaming; shout; shouting; yell; yelling; yawn; yawning
        """,
        mouth_open=3.0,
        eyes_closed=0.5,
    ),
    _concept(
        "mouth closed",
        """
        mouth closed; closed mouth; close mouth; mouth shut; shut mouth; lips together; closed lips; lips
        closed; lips sealed; silent; quiet
        """,
        mouth_open=-2.0,
    ),
    _concept(
        "brows up",
        """
        raise brows; raised brows; brows up; brows raised; lift brows; lifted brows; high brows; higher brows;
        arched brows; brow raise; sceptical; skeptical; questioning; raise brow; quizzical
        """,
        brow=2.0,
    ),
    _concept(
        "brows down",
        """
        lower brows; lowered brows; brows down; brows lowered; low brows; furrowed brows; furrowed brow;
        knitted brows; concentrated; concentrating; lower brow; knit brows
        """,
        brow=-2.0,
    ),
    _concept(
        "look left",
        """
        gaze left; glance left; eyes left; eyes looking left; looking left eyes; look left eyes; look sideways
        left
        """,
        gaze=-2.0,
    ),
    _concept(
        "look right",
        """
        gaze right; glance right; eyes right; eyes looking right; look right eyes; look sideways right
        """,
        gaze=2.0,
    ),
    _concept(
        "turn left",
        """
        left; facing left; face left; head left; turn head left; turned left; look left; turn left; looking
        left; rotate left; rotate head left; turned head left
        """,
        yaw=-1.5,
    ),
    _concept(
        "turn right",
        """
        right; facing right; face right; head right; turn head right; turned right; look right; turn right;
        looking right; rotate right; rotate head right; turned head right
        """,
        yaw=1.5,
    ),
    _concept(
        "look up",
        """
        look up; looking up; head up; chin up; facing up; tilt head up; tilt up; raise head; raised head; gaze
        up; raise chin; upwards; look upwards
        """,
        pitch=2.0,
    ),
    _concept(
        "look down",
        """
        look down; looking down; head down; chin down; facing down; tilt head down; tilt down; bow head; lower
        head; gaze down; lower chin; downwards; look downwards; bowed head
        """,
        pitch=-2.0,
    ),
    _concept(
        "glasses",
        """
        glasses; eyeglasses; spectacles; specs; sunglasses; shades; goggles; reading glasses; bespectacled;
        eyewear; nerdy glasses; round glasses; monocle; glasses on
        """,
        thing=True,
        glasses=1.5,
    ),
    _concept(
        "glasses off",
        """
        contact lenses; glasses off; bare eyed
        """,
        glasses=-2.0,
    ),
    _concept(
        "beard",
        """
        beard; bearded; beards; facial hair; full beard; thick beard; whiskers; sideburns; goatee; bushy
        beard; long beard; grow beard; viking beard; wizard beard; hipster beard; lumberjack
        """,
        thing=True,
        beard=2.5,
    ),
    _concept(
        "moustache",
        """
        moustache; mustache; tache; handlebar moustache; moustached
        """,
        thing=True,
        beard=2.0,
    ),
    _concept(
        "stubble",
        """
        stubble; stubbly; unshaven; designer stubble; five o'clock shadow; scruffy; three day beard; scruff;
        not shaved days; 5 o'clock shadow
        """,
        thing=True,
        beard=1.2,
    ),
    _concept(
        "shaven",
        """
        clean shaven; shaven; shave; shaved; shave beard; shaved beard; beardless; smooth chin; bare chin;
        smooth cheeks; smooth shaven; shaved face; freshly shaven; baby faced chin
        """,
        beard=-2.0,
    ),
    _concept(
        "white beard",
        """
        white beard; grey beard; silver beard
        """,
        thing=True,
        beard=2.5,
        grey=1.0,
    ),
    _concept(
        "older",
        """
        older; aged; aging; ageing; wrinkles; wrinkled; wrinkly; wrinkle; crow's feet; mature; lined face;
        lines on face; bags under eyes; weathered; age more; grown up; more wrinkles; deeper wrinkles; laugh
        lines
        """,
        age=2.0,
    ),
    _concept(
        "old",
        """
        old; oldest; elderly; senior; seniors; granny; grandma; grandmother; nan; grandpa; grandfather;
        grandad; pensioner; retired; ancient; old age; crone; geezer; old aged; old timer; senile; old person
        """,
        age=3.0,
    ),
    _concept(
        "middle-aged",
        """
        middle aged; midlife; middle age
        """,
        age=1.0,
    ),
    _concept(
        "younger",
        """
        young; younger; youngest; youthful; teen; teenager; teenage; boyish; girlish; smooth skin; fresh
        faced; rejuvenated; rejuvenate; adolescent; juvenile; youth; college student; schoolboy; schoolgirl;
        flawless skin; baby face; baby faced; anti aging; student
        """,
        age=-2.0,
    ),
    _concept(
        "child",
        """
        child; kid; baby; toddler; infant; childlike; children; little boy; little girl; childhood
        """,
        age=-3.0,
    ),
    _concept(
        "blond",
        """
        blond; blonde; blonder; blondie; fair hair; golden hair; platinum; platinum blond; light hair; lighter
        hair; yellow hair; straw hair; bleached hair; bleached; flaxen; sandy hair; blond hair; fair haired;
        golden locks; honey coloured hair; blond curls; scandinavian hair
        """,
        blond=1.5,
    ),
    _concept(
        "black hair",
        """
        black hair; dark hair; darker hair; jet black; jet black hair; raven; raven hair; black haired; dark
        haired; hair black; blacker hair; ebony hair; black locks; inky hair; blackest hair
        """,
        black=2.0,
    ),
    _concept(
        "grey hair",
        """
        grey; grey hair; silver; silver hair; white hair; whiter hair; greying; greyer; salt and pepper; salt
        pepper hair; grizzled; white haired; grey haired; silver haired; hair white as snow; snow white hair;
        greyer hair; greying temples; hair turned grey; silver fox; grey temples; ash hair; hoary; gone grey;
        grey streaks
        """,
        grey=1.5,
    ),
    _concept(
        "red hair",
        """
        red hair; redhead; red headed; ginger; ginger hair; auburn; auburn hair; copper hair; red haired;
        strawberry blond; copper coloured hair; redder hair; carrot top; carrot hair; orange hair; titian
        hair; rust hair; fiery hair; irish red hair; copper
        """,
        red=1.2,
    ),
    _concept(
        "brown hair",
        """
        brown hair; brunette; brunet; chestnut; chestnut hair; brown haired; chocolate hair; browner hair;
        hazel hair; mousy hair; brown locks; caramel hair; light brown hair; dark brown hair
        """,
        brown=1.0,
    ),
    _concept(
        "bald",
        """
        bald; balding; no hair; hairless; shaved head; receding hairline; losing hair; hair loss; bald head;
        shaven head; balder; skinhead; bald spot; thinning hair; thin hair; chrome dome; without hair; lose
        hair; hair gone; remove hair
        """,
        bald=2.0,
    ),
    _concept(
        "long hair",
        """
        long hair; longer hair; long haired; hair down shoulders; shoulder length hair; hair past shoulders;
        flowing hair; waist length hair; grow hair; mane; long locks; rapunzel hair; more hair; big hair;
        voluminous hair
        """,
        hair_length=2.0,
    ),
    _concept(
        "short hair",
        """
        short hair; shorter hair; short haired; short haircut; cropped hair; crew cut; pixie cut; buzz cut;
        cut hair; bob; haircut; trimmed hair; less hair; hair cut short
        """,
        hair_length=-2.0,
    ),
    _concept(
        "fringe",
        """
        fringe; bangs; hair over forehead; hair in face; hair forehead
        """,
        thing=True,
        fringe=2.0,
    ),
    _concept(
        "red lips",
        """
        red lips; lipstick; red lipstick; pink lips; pink lipstick; redder lips; rosy lips; painted lips;
        cherry lips; crimson lips; coloured lips; glossy lips; lip gloss; ruby lips; dark lipstick
        """,
        thing=True,
        lips=2.0,
    ),
    _concept(
        "make-up",
        """
        makeup; make up; eyeshadow; eye shadow; eyeliner; mascara; smokey eyes; smoky eyes; blush; rouge;
        cosmetics; foundation; glamorous; glam; made up; eyelashes; long lashes; goth; rosy cheeks; eye
        makeup; contouring
        """,
        thing=True,
        makeup=2.0,
    ),
    _concept(
        "no make-up",
        """
        natural look; bare faced; bare face; natural face
        """,
        makeup=-2.0,
    ),
    _concept(
        "blue eyes",
        """
        blue eyes; blue eyed; bluer eyes; light eyes; eyes blue; icy eyes; grey eyes; blue iris
        """,
        blue_eyes=2.0,
    ),
    _concept(
        "green eyes",
        """
        green eyes; green eyed; hazel eyes; emerald eyes; eyes green
        """,
        green_eyes=2.0,
    ),
    _concept(
        "brown eyes",
        """
        brown eyes; dark eyes; brown eyed; black eyes; darker eyes; dark eyed; eyes brown
        """,
        brown_eyes=2.0,
    ),
    _concept(
        "light skin",
        """
        pale; paler; pale skin; pallid; lighter skin; fair skin; light skin; whiter skin; white skin;
        porcelain skin; fair skinned; light skinned; ivory skin; ghostly; lighter complexion; fair complexion;
        pale complexion; vampire
        """,
        skin=1.5,
    ),
    _concept(
        "dark skin",
        """
        darker skin; dark skin; tanned; tan; suntan; brown skin; black skin; sun tanned; bronzed; dark
        skinned; browner skin; tanned skin; sunburnt; dark complexion; darker complexion; swarthy; been on
        holiday sun
        """,
        skin=-1.5,
    ),
    _concept(
        "wide face",
        """
        chubby; chubbier; fat; fatter; chubby cheeks; round face; rounder face; wide face; wider face; plump;
        plumper; overweight; fat face; double chin; heavier; obese; broad face; full cheeks; big cheeks; gain
        weight; fuller face; puffy cheeks; rounder; plump cheeks; rounder cheeks; put on weight
        """,
        chubby=1.5,
    ),
    _concept(
        "narrow face",
        """
        thin; thinner; slim; slimmer; thin face; thinner face; slim face; slimmer face; narrow face; narrower
        face; skinny; skinny face; skinnier; sunken cheeks; gaunt; hollow cheeks; lean face; lose weight;
        weight loss; bony; slender; slender face; lost weight; haggard; lean; less chubby
        """,
        chubby=-1.5,
    ),
    _concept(
        "man",
        """
        male; man; masculine; manly; manlier; macho; guy; men; masculinity; boy; gentleman; gender male; sex
        male; masculine features; bloke; dude; gent; masculine face; virile; rugged
        """,
        gender=2.0,
    ),
    _concept(
        "woman",
        """
        female; woman; feminine; girly; lady; girl; women; femininity; womanly; gender female; sex female;
        feminine features; feminine face; chick; ladylike; gal
        """,
        gender=-2.0,
    ),
)

CONCEPTS: Final[Mapping[str, Concept]] = {concept.name: concept for concept in _ALL}

SEXES: Final = frozenset({"man", "woman"})
"""Said beside something else they are who is meant ("an old man"), and no wish; see `wording`."""

_IRIS: Final = "in the generator's pictures an iris is a few cells wide, and its colour spreads over the face"
_BARE: Final = "where hair goes, the frame shows a background that nobody has seen"
_LENGTH: Final = "no direction makes hair longer or shorter and leaves the head as it is"
CANNOT: Final[Mapping[str, str]] = {
    "blue-eyes": _IRIS,
    "green-eyes": _IRIS,
    "brown-eyes": _IRIS,
    "hair-length": _LENGTH,
    "bald": _BARE,
    "fringe": _BARE,
}
"""Edits that no direction does, and why; named by concepts so that their words are understood and answered."""

HAIR_COLOURS: Final = ("blond", "black", "grey", "red", "brown")
"""One head has one of them: two are a contradiction."""
