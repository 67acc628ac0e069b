"""Composes stories and chats from the grammar and splits them by their skeleton into a training and a held-out part."""

import random
import zlib

import chat
import plots
import plots2
import words as w
from grammar import Writer, polish
from tables import names_of, person

EOS, USER, ASSISTANT = "<|endoftext|>", "<|user|>", "<|assistant|>"
PLOTS = {"lost": plots.LOST, "help": plots.HELP, "share": plots.SHARE, "brave": plots.BRAVE, "make": plots.MAKE, "gift": plots2.GIFT,
         "truth": plots2.TRUTH, "grow": plots2.GROW, "travel": plots2.TRAVEL, "noise": plots2.NOISE}
CHILDREN = ["girl", "boy"] * 4 + list(w.PEOPLE)[2:]
CHAT_SHARE = 0.35
HELD_OUT = 40  # one skeleton in this many is held out


class Story(Writer):
    """One story: its slots are drawn when it is made, its text when it is told."""

    def __init__(self, rng: random.Random):
        super().__init__(rng)
        name = self.choose(list(PLOTS))
        self.plot = PLOTS[name]
        # The toy's owner is a child; half of the other heroes are.
        if name == "travel" or self.flip(0.5):
            kind = self.choose(CHILDREN)
        else:
            kind = self.choose(w.KINDS)
        self.slots.update(person(kind, *self.choose(names_of(kind))))
        self.skeleton = [name, kind]
        for pick in self.plot["picks"]:
            if pick == "companion":
                pick = "peer" if self.flip(0.75) else "grownup"
            self.skeleton.append(self.draw(pick))
        # A friend's name is no part of the plot.
        self.skeleton = [str(x).replace(self.slots.get("cshort", "\n"), "") for x in self.skeleton]

    def held_out(self) -> bool:
        """Whether the skeleton, the sequence of the plot's choices, belongs to the held-out part."""
        return zlib.crc32(";".join(self.skeleton).encode()) % HELD_OUT == 0

    def tell(self) -> str:
        """The story's text."""
        opening, self.slots["when"] = self.choose(self.plot.get("openings", plots.OPENINGS))
        return polish(" ".join(self.expand(t) for t in [opening, *(self.choose(beat) for beat in self.plot["beats"])]))

    def topic(self) -> str:
        """What the story is about, in a user's words."""
        common = [t for t in chat.COMMON_TOPICS if self.plot is not plots2.TRAVEL]
        return polish(self.expand(self.choose(self.choose((self.plot["topics"], common or self.plot["topics"])))))

    def question(self) -> tuple[str, str]:
        """A question about the story, and its answer."""
        return tuple(polish(part) for part in self.expand(self.choose(self.choose((self.plot["asks"], chat.COMMON_ASKS)))).split("#"))


def request(story: Story, named: list[str], free: list[str]) -> str:
    """A user's wish for the story: mostly with a topic."""
    if story.flip(0.9):
        return story.expand(story.choose(named).replace("{topic}", story.topic()))
    return story.choose(free)


def turn(user: str, assistant: str) -> str:
    """One exchange in the form of chat_template.jinja."""
    return f"{USER}{user}{ASSISTANT}{assistant}{EOS}"


def document(rng: random.Random) -> tuple[str, float, list[Story]]:
    """A document, the bits of its choices, and its stories."""
    story = Story(rng)
    if not story.flip(CHAT_SHARE):
        text = story.tell() + EOS
        return text, story.bits, [story]
    text = ""
    if story.flip(0.08):
        hello, hi = story.choose(chat.GREETINGS)
        text += turn(hello, story.choose(chat.WELCOMES).replace("{hi}", hi))
    text += turn(request(story, chat.REQUESTS, chat.OPEN_REQUESTS), story.tell())
    if not story.flip(0.4):
        return text, story.bits, [story]
    follow = story.choose(("ask", "ask", "again", "thanks"))
    if follow == "ask":
        text += turn(*story.question())
    elif follow == "thanks":
        text += turn(story.choose(chat.THANKS), story.choose(chat.REPLIES))
    else:
        other = Story(rng)
        text += turn(request(other, chat.AGAIN, chat.AGAIN_OPEN), other.tell())
        return text, story.bits + other.bits, [story, other]
    return text, story.bits, [story]


def documents(seed: int, held_out: bool):
    """Endless documents of one part with their bits; two parts share no skeleton."""
    rng = random.Random(seed)
    while True:
        text, bits, stories = document(rng)
        if all(s.held_out() == held_out for s in stories):
            yield text, bits
