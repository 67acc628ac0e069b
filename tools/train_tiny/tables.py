"""Which values a slot can take, given those that are set; and the heroes and their companions, who bring their pronouns."""

import plots
import words as w
import words2 as w2

PRONOUNS = {"girl": ("she", "her", "her"), "boy": ("he", "him", "his")}
PARENTS = {True: [("mom", "she"), ("dad", "he")], False: [("mother", "she"), ("father", "he")]}
RELATIONS = {"girl": ["friend", "little sister", "big sister"], "boy": ["friend", "little brother", "big brother"]}
ELDERS = {True: ["mom", "dad", "grandma", "grandpa", "aunt", "uncle"], False: ["mother", "father", "grandmother", "grandfather"]}


def person(kind: str, name: str, sex: str) -> dict:
    """The slots of a hero."""
    he, him, his = PRONOUNS[sex]
    return {"n": name, "kind": kind, "he": he, "him": him, "his": his, "child": kind in w.PEOPLE}


def names_of(kind: str) -> list[tuple[str, str]]:
    """Names and sexes of the heroes of a kind."""
    if kind in w.PEOPLE:
        return [(n, w.PEOPLE[kind]) for n in (w.GIRLS if w.PEOPLE[kind] == "girl" else w.BOYS)]
    return [(n, "boy") for n in w.HE_ANIMALS] + [(n, "girl") for n in w.SHE_ANIMALS]


def peers(s: dict) -> list[dict]:
    """Friends, brothers and sisters of the hero, with names of their own."""
    if s["child"]:
        found = [(f"{{his}} {relation} {n}", n, sex) for sex in RELATIONS for relation in RELATIONS[sex] for n, sex in names_of(sex)]
    else:
        found = [(f"{{his}} friend {n} the {k}", n, sex) for k in w.KINDS if k != s["kind"] for n, sex in names_of(k)]
    return [{"cfull": full, "cshort": n, "cv": n, "chis": PRONOUNS[sex][2]} for full, n, sex in found if n != s["n"]]


def elders(s: dict) -> list[dict]:
    """Grown-up companions."""
    return [{"cfull": f"{{his}} {e}", "cshort": f"{{his}} {e}", "cv": e.capitalize()} for e in ELDERS[s["child"]]]


def options(name: str, s: dict) -> list:
    """The values that slot `name` can take in a story with the slots `s`."""
    if name in SIMPLE:
        return SIMPLE[name]
    if name in ("spot", "spot2", "spot3"):
        return [x for x in s["spots"] if x not in (s.get("spot"), s.get("spot2"))]
    if name == "home":
        return w.HOMES if s["child"] else w.WILD_HOMES
    if name == "elder":
        return [e for e in ELDERS[s["child"]] if s.get("cv") != e.capitalize()]
    if name == "parent":
        return [{"parent": p, "parent_he": he} for p, he in PARENTS[s["child"]]]
    if name == "peer":
        return peers(s)
    if name == "grownup":
        return elders(s)
    if name == "who":
        return [{"who": f"{{his}} {e}", "my_who": f"my {e}"} for e in ELDERS[s["child"]]]
    if name == "sky":
        return w.SKIES[s["weather"]]
    if name == "hobby2":
        return [h for h in w.HOBBIES if h != s["hobby"]]
    raise KeyError(name)


SIMPLE = {
    "trait": w.TRAITS, "far": plots.FAR, "weather": w.WEATHERS, "night": w.NIGHTS, "color": w.COLORS, "toy": w.TOYS, "place": w.PLACES,
    "loss": w.LOSSES, "helper": w.HELPERS, "adviser": w.HELPERS, "trouble": w.TROUBLES, "thanks": w.THANKS, "share": w.SHARES,
    "fear": w.FEARS, "make": w2.MAKES, "gift": w2.GIFTS, "home_thing": w2.HOME_THINGS, "occasion": w2.OCCASIONS, "break": w2.BREAKS,
    "grow": w2.GROWS, "travel": w2.TRAVELS, "noise": w2.NOISES, "monster": w2.MONSTERS, "together": plots.TOGETHER, "happy": plots.HAPPY,
    "hobby": w.HOBBIES, "favorite": w.COLORS, "food": w.FOODS, "likes": plots.LIKES,
}
