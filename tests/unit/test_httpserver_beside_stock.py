"""Thousands of generated conversations, sent byte for byte to our HTTPServer and to stock Tornado's: the
answers are the same but for the Date. Where we depart from Tornado, request_generator.py says what stock is
to be sent instead; of what has been damaged nobody knows that, so departures.py has rules for the answers.
"""

import collections
import logging
import random

import pytest
from beside_stock import KINDS, converse_all
from departures import REFUSED, TOO_LONG, departure
from request_generator import LIMITS, conversation, damaged
from test_httpserver_wire import damage

SETTINGS = dict(LIMITS, xheaders=True, trusted_downstream=["5.5.5.5"])


@pytest.fixture(autouse=True)
def quiet():
    names = ("tornado", "tornado.access", "tornado.general", "tornado.application")
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)


def rule(talk, answer, wanted):
    """By which rule the answer is as it should be; an empty string where it is not."""
    if talk.damaged:
        return departure(talk.data, answer, wanted)
    for refusal in TOO_LONG:
        if answer.endswith(refusal):  # stock closes without a word
            if talk.departures:  # stock was sent one that is broken and short in its place
                wanted = wanted.removesuffix(REFUSED)
            answer = answer.removesuffix(refusal)
    return "same" if answer == wanted else ""


def compare(kind, talks, folder):
    """By which rules the answers are the same; one that is not is an error."""
    ours = converse_all(True, kind, [talk.pieces(talk.data) for talk in talks], folder, **SETTINGS)
    stock = converse_all(False, kind, [talk.pieces(talk.twin) for talk in talks], folder, **SETTINGS)
    rules = collections.Counter()
    for talk, answer, wanted in zip(talks, ours, stock, strict=True):
        name = rule(talk, answer, wanted)
        assert name, (talk, answer, wanted)
        rules[name] += 1
    return rules, ours


@pytest.mark.parametrize("kind", KINDS)
def test_conversations(kind, tmp_path):
    rng = random.Random(kind)
    talks = [conversation(rng, kind) for _ in range(200)]
    _, answers = compare(kind, talks, tmp_path)
    assert sum(talk.data == talk.twin for talk in talks) > 100
    assert sum(answer.startswith(b"HTTP/1.1 2") for answer in answers) > 25
    assert sum(answer.endswith(REFUSED) for answer in answers) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_conversations(kind, tmp_path):
    rng = random.Random(kind)
    rules, _ = compare(kind, [damaged(rng, kind, damage) for _ in range(200)], tmp_path)
    assert rules["same"] > 180


@pytest.mark.conformance
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_conversations(kind, seed, tmp_path):
    rng = random.Random(f"{kind} {seed}")
    compare(kind, [conversation(rng, kind) for _ in range(500)], tmp_path)
    compare(kind, [damaged(rng, kind, damage) for _ in range(500)], tmp_path)
