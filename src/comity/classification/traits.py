# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 (what looks alike is what this is about)
"""Pure: whether words would select people by religion or ethnicity: what nothing here selects by.

    find_trait(["mosque"])               -> "mosque"
    find_trait(["m u s l i m"])          -> "m u s l i m"      also accented, or in look-alike letters or digits
    find_trait(["chris", "tian"])        -> "chris" + "tian"   put together from two selectors of one rule
    find_trait([], parts=["sunn"])       -> "sunn"             what is looked for inside of words, as a part of one

Regulation (EU) 2016/794, Article 30(2): to select a particular group of persons solely by such data is prohibited. The
vocabulary is what can be told from words alone; it is no proof that a rule without them selects by nothing of the kind,
and the people who apply a rule answer for it. A group on a list is chosen by its entry there and never by words of its
name: a name can hold such a word, and the group is no religion.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

__all__ = ["CLAUSE", "find_trait", "is_trait_alone"]

CLAUSE: Final = "Regulation (EU) 2016/794, Article 30(2)"
"""What prohibits it."""


def _plain(text: str) -> str:
    """The text in small letters without accents and what is not seen."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text).casefold()
        if unicodedata.category(letter) not in {"Mn", "Me", "Cf", "Cc"}
    )


def _split(folded: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", folded)


_STEMS: Final = frozenset(
    re.findall(
        r"\S+",
        # Religion and belief, and what stands for it.
        "muslim moslem muslem mussulm musulm mohammedan mahometan"
        " musluman musliman muselman islam sunni shiit schiit alawi alawit alevi salafi salafist"
        " wahhab ahmadi ahmadiyya druze ismaili christian christlich chretien cristian catholic katholi protestant"
        " orthodox evangelical coptic kopten maronit assyrian jewish judaism judais judio judisch israelite yahudi"
        " hindu buddhis buddist yazidi yezidi jesidi zoroastr mormon jehovah atheis bahai sikhis mosque moschee"
        " synagog hijab niqab burqa ramadan kosher believer religio hasidi chasidi hassidi chassidi haredi"
        " ashkenaz sephard shiism deobandi barelvi pentecostal lutheran anglican presbyterian methodist adventist"
        " mennonit hutterit shinto taois daois confucian"
        " scientolog chaldean mandaean melkit nusayri nusairi rafidi takfiri bektashi zaydi ibadhi masjid gurdwara"
        " madrasa yarmulke talmud"
        # Ethnicity.
        " arabic arabian araber kurdish kurdistani kurden kurde chechen tschetschen ingush dagestani circassian turkmen"
        " turkoman uyghur uighur gypsy gitano zigeuner sinti tatar pashtun pathan hazara baluch baloch berber"
        " amazigh tuareg fulani yoruba hutu tutsi tamil rohingya bengali punjabi slavic latino hispanic caucasian"
        " bedouin beduin maghrebi nubian lezgi kumyk karacha balkar osseti abkhaz sinhales tibetan hmong zhuang jenisch"
        " ethni racial tribal"
        # Both, as other languages write them.
        " moslim muzulman musulmon catolic cattolic katolik ortodox ortodoss hristiyan chrzescijan krestan ezidi chiit"
        " religieu etnic etnisch tsigan tzigan zingar tchetchen cerkes"
        " waislam wakristo kirist"
        # The same in other scripts, as `_fold` gives them.
        " мусульман ислам суннит шиит христиан православ католик евреи иудеи иудаи буддис чечен ингуш курдск курды"
        " арабск арабы цыган татар кавказц религи этнич национальност мечет синагог"
        " мусулман муслиман циган"
        " شيع مسلم مسلمين اسلام مسيحي يهود سني شيعي كردي اكراد عرب عربي ايزيدي درزي علوي تركمان امازيغ نصراني"
        " יהודי מוסלמי נוצרי ערבי דרוזי"
        " μουσουλμαν χριστιαν εβραι"
        " 穆斯林 伊斯兰 伊斯蘭 基督 天主教 犹太 猶太 维吾尔 維吾爾 回族 藏族",
    )
) | frozenset(
    "".join(_split(_plain(word)))
    for word in re.findall(
        r"\S+", "ムスリム イスラム ユダヤ キリスト クルド 무슬림 이슬람 기독교 유대인 मुसलमान हिन्दू মুসলমান মুসলিম হিন্দু มุสลิม"
    )
)
"""Beginnings of words; each says a religion or an ethnicity whatever follows, but for `_OTHER`."""

_WORDS: Final = frozenset(
    re.findall(
        r"\S+",
        "jew jews juif juifs juive jude juden copt copts sikh sikhs shia shias shiah shii sufi sufis kurd kurds arab"
        " arabs arabe arabes roma romas romani slav slavs hausa igbo tajik tajiks uzbek uzbeks race races tribe tribes"
        " faith faiths sect sects church imam imams rabbi rabbis halal hasid hasids chasid hassid baptist baptists"
        " quaker quakers infidel infidels kuffar clergy cleric clerics inuit maori maoris romany aborigine aborigines"
        " dalit dalits juives ebreo ebrea ebrei ebree judeu judeus judia judias joden joods zyd zydzi zydow cristao"
        " cristaos gitan gitans gitane gitanes etnia etnias kurtler ermeni ermeniler كرد كردها курд араб евр نصارى"
        " creed creeds caste castes beliefs denomination denominations wahabi wahabis wahabism yahud yahuds nasrani"
        " quran quranic koran koranic torah sharia shariah jain jains parsi parsis parsee parsees avars nogai nogais"
        " mizrahim mulatto mulattos mestizo mestizos brahmin brahmins bahai",
    )
)
"""Whole words: too short to be told by their beginning."""

_ALONE: Final = frozenset(
    re.findall(r"\S+", "mullah mullahs mollah mollahs ayatollah ayatollahs akhund maulvi moulvi rebbe rebbes priests")
)
"""Whole words for people of a religion that are in names of places and families too: they say it alone."""

_CLIPPED: Final = frozenset(
    re.findall(r"\S+", "ethn sunn unni shi shii druz ruze alaw tuts utsi jewi copti mulla mollah")
)
"""Short parts of such words that, looked for inside of words, find the people whom the whole would find."""

_OTHER: Final = frozenset(
    re.findall(
        r"\S+",
        "ashkenazy balochistan baluchistan christiansand christianshavn dagestan hinduja ingushetia islamabad kurdistan"
        " latin punjab tatarstan tibet turkmenistan",
    )
)
"""Words that begin like a stem, or lie in one, and name something else: places, as a rule."""

_GENERIC: Final = frozenset(
    re.findall(
        r"\S+",
        "a an the of in from and or who is are people persons person men man women woman youth youths community"
        " communities minority majority members member believers residents living male males female females young old",
    )
)
"""Words that add nothing to a trait: who is meant is still everybody who has it."""

_LOOKALIKES: Final = str.maketrans(
    "авекмнорстухіјѕԛԝһӏαβεηικμνορτυχγδ0134578@$!|ıłøđħŧᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "abekmhopctyxijsqwhlabenikmvoptuxgdoleastbasililodhtabcdeghijklmnoprstuvwyz",
)
"""Cyrillic, Greek, crossed and small capital letters, digits and signs that are read as Latin letters."""

_PERSIAN: Final = str.maketrans("یکە", "يكه")
"""Letters of Persian, Urdu and Kurdish that are others in Arabic."""

_BEFORE: Final = re.compile(
    "(?:non|anti|ex|un|pseudo|crypto|neo|pro|half|semi|ultra|multi|inter)|و?(?:[فبكل]?ال|لل)|[ושכלבמה]{1,2}"
)
"""What is written in one with the word behind it: of whom it is said is the same, or everybody else."""

_SHORT = 3
_SHORTEST_FRAGMENT = 5
_BEGINNINGS: Final = tuple(sorted(_STEMS))
_FRAGMENTS: Final = frozenset(
    stem[start:end]
    for stem in _STEMS
    for start in range(len(stem))
    for end in range(start + _SHORTEST_FRAGMENT, len(stem) + 1)
    if 3 * (end - start) >= 2 * len(stem)
)
"""Stems, and what is left of them without a third of their letters at the ends."""


def find_trait(selectors: Iterable[str], *, parts: Iterable[str] = ()) -> str | None:
    """What of these selectors of one rule says a religion or an ethnicity, alone or put together; None for nothing.

    `parts` are those that are looked for inside of words: of such a word they can hold all but a letter.
    """
    inside = list(parts)
    found = [*selectors, *inside]
    for text in found:
        if any(_says_trait(folded) or _says_alone(folded) for folded in _fold(text)):
            return text
    for text in inside:
        if any(_is_fragment(token) for folded in _fold(text) for token in _split(folded)):
            return text
        # With other words beside it finds these, and nothing else.
        if any(folded.strip() in _CLIPPED for folded in _fold(text)):
            return text
    return _find_pair({folded: text for text in found for folded in map(_squeeze, _fold(text)) if folded})


def is_trait_alone(name: str) -> bool:
    """Whether a name says nothing but a religion or an ethnicity, and so can be that of no group on a list."""
    return any(_says_alone(folded) for folded in _fold(name))


def _says_alone(folded: str) -> bool:
    tokens = _split(folded)
    said = [token in _ALONE or _is_trait(token) for token in tokens]
    return any(said) and all(is_said or token in _GENERIC for token, is_said in zip(tokens, said, strict=True))


def _find_pair(selectors: Mapping[str, str]) -> str | None:
    """Two of these selectors, by what is left of each in small letters, that say a trait after one another."""
    ordered = sorted(selectors)
    for trait in (*_BEGINNINGS, *sorted(_WORDS | _ALONE)):
        for place in range(1, len(trait)):
            first, rest = selectors.get(trait[:place]), trait[place:]
            second = None if first is None else selectors.get(_find_rest(ordered, rest, is_stem=trait in _STEMS))
            if second not in {None, first}:
                return f"{first} + {second}"
    return None


def _find_rest(ordered: Sequence[str], rest: str, *, is_stem: bool) -> str:
    """The selector that is the `rest` of a trait; what follows a stem may go on, a whole word may not. "" for none."""
    place = bisect_left(ordered, rest)
    found = ordered[place] if place < len(ordered) else ""
    return found if found == rest or (is_stem and found.startswith(rest)) else ""


def _says_trait(folded: str) -> bool:
    tokens = _split(folded)
    if any(map(_is_trait, tokens)):
        return True
    # Words in pieces: "m.u.s.l.i.m", "mus lim". Only what is in pieces is put together, as any two words could be.
    if any(_spans(one, two) for one, two in pairwise(tokens)):
        return True
    pieces = [token if len(token) <= _SHORT else " " for token in tokens]
    return any(_is_trait(run) or any(stem in run for stem in _STEMS) for run in "".join(pieces).split())


def _spans(one: str, two: str) -> bool:
    """Whether two words after one another begin a trait together that neither is."""
    both = one + two
    return both.startswith(_BEGINNINGS) and any(len(one) < len(stem) and both.startswith(stem) for stem in _STEMS)


def _is_trait(token: str) -> bool:
    before = _BEFORE.match(token)
    words = (token,) if before is None else (token, token[before.end() :])
    return any(word not in _OTHER and (word in _WORDS or word.startswith(_BEGINNINGS)) for word in words)


def _is_fragment(token: str) -> bool:
    return token in _FRAGMENTS and token not in _OTHER


def _fold(text: str) -> frozenset[str]:
    """The text in small letters without accents and what is not seen; and again with look-alikes as Latin letters."""
    plain = _plain(text)
    return frozenset({plain.translate(_PERSIAN), plain.translate(_LOOKALIKES)})


def _squeeze(folded: str) -> str:
    return "".join(_split(folded))
