"""Which older encoding makes most sense of bytes that are not UTF-8."""

import re
from functools import cache
from itertools import pairwise

EVIDENCE = 256 * 1024  # bytes, at most, that are judged

_SIGNS = "’“”„–—…€£°§«»®©´µº№¿¡،؟"

# Letters beyond ASCII by which a language is known, per encoding that may hold it; the first of two equals
# wins. Windows tables stand first: they are what spreadsheet programs write.
_LATIN = (
    ("windows-1252", ("äöüß", "éèêëàâîïôùûçœ", "áéíóúüñ", "ãáàâçéêíóôõú", "àèéìòù", "æøåé", "åäöé")),
    ("windows-1254", ("çğıöşüâîûİ",)),
    ("windows-1252", ("áðéíóúýþæö",)),  # Icelandic has the bytes of Turkish, and fewer writers
    ("windows-1250", ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž")),
    ("windows-1257", ("āčēģīķļņšūž", "ąčęėįšųūž")),
    ("windows-1258", ("ăâđêôơưáàéèíìóòúùý₫",)),
    ("iso-8859-2", ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž")),
    ("iso-8859-9", ("çğıöşüâîûİ",)),
    ("iso-8859-15", ("äöüßéèêàçœž", "ãáàâçéêíóôõú")),
)
# Other alphabets, the most frequent letters first.
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґ"
_GREEK = "αοιετσνηυρπκμλςωίάόέδγήύχθφβξώζψϊϋ"
_HEBREW = "יוהלאתרבמשנדעכקםחפטגצסזןץךף"
_ARABIC = "اليمونترةبعدسفهكقحجشطصخأذىضغثزئءظؤإآ"
_OTHER = (
    ("windows-1251", _CYRILLIC),
    ("windows-1253", _GREEK),
    ("windows-1255", _HEBREW),
    ("windows-1256", _ARABIC),
    ("iso-8859-5", _CYRILLIC),
    ("iso-8859-7", _GREEK),
    ("iso-8859-8", _HEBREW),
    ("iso-8859-6", _ARABIC),
)
# The most frequent syllables: Chinese in GB 2312 reads as Hangul too, but not as these.
_KOREAN = frozenset(
    "이다는의에을를가고기지사하한로서도은인대자리나해어부정아시전일수제그보과스주상성라원구동신용경장조비유연선관안계국산"
    "중방공화민여만마현간김박최울강니습요입있없세터품번호문금액날객명락처우"
)
_EASTERN = ("cp932", "euc_jp", "euc_kr", "gb18030", "big5")


def likeliest(evidence: bytes) -> str:
    """The one-byte or East Asian encoding that makes most sense of `evidence`."""
    eastern = max(_EASTERN, key=lambda name: _eastern_score(evidence, name))
    if _eastern_score(evidence, eastern) > 0.6:
        return "shift_jis" if eastern == "cp932" else eastern
    best, best_score = "windows-1252", float("-inf")
    for name, worth in _tables():
        score = _alphabet_score(evidence, name, worth)
        if score > best_score + 1e-9:
            best, best_score = name, score
    return best


@cache
def _tables() -> list[tuple[str, dict[str, float]]]:
    """What each character is worth under each encoding: by language, and lower for a mix of its languages."""
    tables = []
    for name, languages in _LATIN:
        mix = 0.8 if name == "windows-1252" else 0.75
        tables += [(name, _worth(letters, 1.0, 1.0)) for letters in languages]
        tables.append((name, _worth("".join(languages), mix, mix)))
    tables += [(name, _worth(letters, 1.0, 0.2)) for name, letters in _OTHER]
    return tables


def _worth(letters: str, first: float, last: float) -> dict[str, float]:
    worth = dict.fromkeys(_SIGNS, 0.5)
    for place, letter in enumerate(letters):
        worth[letter] = worth[letter.upper()] = first - (first - last) * place / len(letters)
    return worth


_SIGN_IN_WORD = re.compile(
    r"[^\W\d_][^\w\s,;|\"'’.\-&/()]+[^\W\d_]|[£¤¦¨¬¯¶¹³¼½¾](?=[^\W\d_])|(?<=[^\W\d_])[£¤¦¨¬¯¶¹³¼½¾]"
)


def _alphabet_score(evidence: bytes, name: str, worth: dict[str, float]) -> float:
    text = evidence[:65536].decode(name, "surrogateescape")
    beyond = [character for character in text if character > "\x7f"]
    if not beyond:
        return 0.0
    score = sum(worth.get(one, -0.5 if one.isalpha() else -1.0) for one in beyond)
    strange = sum(3.0 for character in beyond if "\x80" <= character < "\xa0" or "\udc80" <= character <= "\udcff")
    foreign = sum(_mixed(word) for word in re.findall(r"[^\W\d_]{2,}", text))
    inside = len(_SIGN_IN_WORD.findall(text))
    return (score - strange - foreign - inside) / len(beyond)


def _mixed(word: str) -> float:
    """How unlikely a word is: a capital within, hardly a plain Latin letter, or two alphabets in one word."""
    beyond = [character for character in word if character > "\x7f"]
    if not beyond:
        return 0.0
    if any(one.islower() and other.isupper() for one, other in pairwise(word)):
        return float(len(beyond))
    plain = len(word) - len(beyond)
    latin = all(character < "\u0250" or "\u1e00" <= character < "\u1f00" for character in beyond)
    if latin:
        return float(len(beyond)) if len(word) > 2 and len(beyond) > 0.8 * len(word) else 0.0
    return float(len(beyond)) if plain else 0.0


def _eastern_score(evidence: bytes, name: str) -> float:
    """Share of the text beyond ASCII that is what people of that script write most."""
    try:
        text = evidence.decode(name)
    except UnicodeDecodeError as error:
        if len(evidence) < EVIDENCE or error.start < len(evidence) - 4:
            return 0.0
        text = evidence[: error.start].decode(name)
    beyond = [character for character in text if character > "\x7f"]
    return sum(_frequent(character, name) for character in beyond) / len(beyond) if beyond else 0.0


def _frequent(character: str, name: str) -> float:
    if name in ("cp932", "euc_jp"):
        if "\u3040" <= character <= "\u30ff":
            return 1.2
        return 0.8 if _lead(character, "euc_jp", 0xB0, 0xCF) else 0.3 if "\u3000" <= character <= "\u303f" else 0.0
    if name == "euc_kr":
        return 2.4 if character in _KOREAN else 0.3 if "\uac00" <= character <= "\ud7a3" else 0.0
    if name == "gb18030":
        return (
            1.0 if _lead(character, "gb2312", 0xB0, 0xD7) else 0.6 if character in "，。、：；（）！？《》“”" else 0.0
        )
    return 1.0 if _lead(character, "big5", 0xA4, 0xC6) else 0.6 if character in "，。、：；（）！？" else 0.0


def _lead(character: str, name: str, low: int, high: int) -> bool:
    raw = character.encode(name, "ignore")
    return len(raw) == 2 and low <= raw[0] <= high
