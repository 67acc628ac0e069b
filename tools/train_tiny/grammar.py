"""The template language, and the count of what its choices cost.

A template is text with `{slot}`, replaced by the slot's value ({Slot}: its first letter made large), and `[a|b]`, a choice between
alternatives, which may nest. A slot that has no value yet is drawn when it is first needed, so that no choice is made that the text
does not show. `bits` adds up -log2 of the probability of
every draw.
"""

import math
import random
import re
from functools import lru_cache

import tables

TOKEN = re.compile(r"\{\w+\}|[\[\]|]|[^\[\]|{}]+")


@lru_cache(maxsize=None)
def parse(template: str) -> tuple:
    """A template as a sequence of texts, slots (`{name}`) and choices (tuples of parsed alternatives)."""
    tokens = TOKEN.findall(template)
    assert "".join(tokens) == template, template

    def sequence(i: int, closing: bool):
        branches, items = [], []
        while i < len(tokens):
            if tokens[i] == "[":
                choice, i = sequence(i + 1, True)
                items.append(choice)
            elif tokens[i] == "]" and closing:
                return (*branches, tuple(items)), i
            elif tokens[i] == "|" and closing:
                branches, items = [*branches, tuple(items)], []
            else:
                assert tokens[i] not in "[]|", template
                items.append(tokens[i])
            i += 1
        assert not closing, template
        return tuple(items), i

    return sequence(0, False)[0]


def large(text: str) -> str:
    """The text with a large first letter."""
    return text[:1].upper() + text[1:]


class Writer:
    """Expands templates with the slots of one story; `rng` decides, `bits` is what its decisions carried."""

    def __init__(self, rng: random.Random):
        self.rng, self.bits, self.slots, self.skeleton = rng, 0.0, {}, []

    def choose(self, options):
        """One of the options, each as likely as the others; one that is listed twice is twice as likely."""
        picked = options[int(self.rng.random() * len(options))]
        self.bits += math.log2(len(options) / options.count(picked))
        return picked

    def flip(self, p: float) -> bool:
        """True with probability `p`."""
        yes = self.rng.random() < p
        self.bits -= math.log2(p if yes else 1 - p)
        return yes

    def draw(self, name: str) -> str:
        """Gives the slot `name` a value. A record sets a slot for each of its fields; the result says which record it was."""
        picked = self.choose(tables.options(name, self.slots))
        if isinstance(picked, dict):
            self.slots.update(picked)
            return next(iter(picked.values()))
        self.slots[name] = picked
        return picked

    def slot(self, name: str) -> str:
        """The expanded value of a slot. The companion has a longer name when first mentioned: `her friend Ben`, then `Ben`."""
        if name == "c":
            first, self.slots["met"] = "met" not in self.slots, True
            name = "cfull" if first else "cshort"
        if name not in self.slots:
            self.draw(name)
        return self.expand(self.slots[name])

    def expand(self, template: str) -> str:
        """The text of a template."""
        return self._walk(parse(template))

    def _walk(self, items: tuple) -> str:
        out = []
        for item in items:
            if isinstance(item, tuple):
                out.append(self._walk(self.choose(item)))
            elif item[0] == "{":
                name = item[1:-1]
                out.append(self.slot(name) if name[0].islower() else large(self.slot(name[0].lower() + name[1:])))
            else:
                out.append(item)
        return "".join(out)


def polish(text: str) -> str:
    """Joins sentences with single spaces, paragraphs with line breaks, and makes `a` into `an` where a vowel follows."""
    text = re.sub(r" *\n *", "\n", re.sub(r" +", " ", text)).strip()
    return re.sub(r"\b([Aa])(?= [aeio])", r"\1n", text)
