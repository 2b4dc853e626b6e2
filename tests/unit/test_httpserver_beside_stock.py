"""Thousands of generated conversations, sent byte for byte to our HTTPServer and to stock Tornado's: the
answers are the same but for the Date. Where we depart from Tornado, request_generator.py says what stock is
to be sent instead; of what has been damaged nobody knows that, so departures.py has rules for the answers.
"""

import collections
import logging
import random

import pytest

from support.beside_stock import KINDS, converse_all
from support.damage import damage
from support.departures import BODY_ANNOUNCED, REFUSED, TOO_LONG, departure
from support.implementations import OURS, STOCK
from support.request_generator import LIMITS, conversation, damaged

SETTINGS = [
    {"xheaders": True, "trusted_downstream": ["5.5.5.5"]},
    {"decompress_request": True},
    {"decompress_request": True, "chunk_size": 500},
    {"no_keep_alive": True, "protocol": "https"},
]


@pytest.fixture(autouse=True)
def quiet():
    names = ("tornado", "tornado.access", "tornado.general", "tornado.application")
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)


def rule(kind, talk, answer, wanted):
    """By which rule the answer is as it should be; an empty string where it is not."""
    if talk.damaged:
        return departure(talk.data, answer, wanted, kind == "hasty delegate")
    for refusal in TOO_LONG:
        if answer.endswith(refusal):  # stock closes without a word
            if talk.departures:  # stock was sent one that is broken and short in its place
                wanted = wanted.removesuffix(REFUSED)
            answer = answer.removesuffix(refusal)
    if answer != wanted and kind == "hasty delegate" and BODY_ANNOUNCED.search(talk.data):
        return departure(talk.data, answer, wanted, True)
    return "same" if answer == wanted else ""


def compare(kind, talks, folder, **settings):
    """By which rules the answers are the same; one that is not is an error."""
    settings |= LIMITS
    ours = converse_all(OURS, kind, [talk.pieces(talk.data) for talk in talks], folder, **settings)
    stock = converse_all(STOCK, kind, [talk.pieces(talk.twin) for talk in talks], folder, **settings)
    rules = collections.Counter()
    for talk, answer, wanted in zip(talks, ours, stock, strict=True):
        name = rule(kind, talk, answer, wanted)
        assert name, (talk, answer, wanted)
        rules[name] += 1
    return rules, ours


def whole(rng, kind, count):
    # What a hasty delegate says to a body that stock would refuse, no twin can tell.
    return [conversation(rng, kind, departing=kind != "hasty delegate") for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_conversations(kind, tmp_path):
    rng = random.Random(kind)
    same = served = refused = 0
    for settings in SETTINGS:
        talks = whole(rng, kind, 50)
        _, answers = compare(kind, talks, tmp_path, **settings)
        same += sum(talk.data == talk.twin for talk in talks)
        served += sum(answer.startswith(b"HTTP/1.1 2") for answer in answers)
        refused += sum(answer.endswith(REFUSED) for answer in answers)
    assert same > 100 and served > 25 and refused > 30


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_conversations(kind, tmp_path):
    rng = random.Random(kind)
    rules = collections.Counter()
    for settings in SETTINGS:
        rules += compare(kind, [damaged(rng, kind, damage) for _ in range(40)], tmp_path, **settings)[0]
    assert rules["same"] > 140


@pytest.mark.conformance
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_conversations(kind, seed, tmp_path):
    rng = random.Random(f"{kind} {seed}")
    for settings in SETTINGS:
        compare(kind, whole(rng, kind, 150), tmp_path, **settings)
        compare(kind, [damaged(rng, kind, damage) for _ in range(150)], tmp_path, **settings)
