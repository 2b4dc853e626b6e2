"""Rules are skipped by the text that their patterns require at the beginning, and none that matches."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.implementations import BOTH
from support.routed import Routed

PIECES = r"""
/ a b ab A é ÿ Ā . \. \/ \- \é \d \w \n \x61 \A \Z \b ^ $ | + * ? ?? *? {0} {0,2} {1,} {2} {,1} {} { } # \#
[ab] [^/] [|] []|] [^]|] [\]|] ( (?: ) (a) (b)? (a|b) (?:/|b) ([^/]+) (.*) (?i:a) (?-i:a) (?x:a|b) (?s:.)
(?=/) (?!/) (?<=a) (?<!a) (?#c) (?#|) (?i) (?x) (?m) (?s) (?a) (?P<n>a) (?P=n) a? /? b* a+ ab* a{0,2} a++
a*+ \(|\)
""".split()
PIECES.append("\n")
FLAGS = [0, 0, 0, re.IGNORECASE, re.VERBOSE, re.MULTILINE, re.DOTALL, re.ASCII]

CLASSES = r"[^/] . \d \w [a-b] [^a] [/a] [^\n] \S [-a] [\]] [é] [^é] [Ā] [\da] []a] \D".split()
TIMES = ["", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "+?", "*+", "{,2}"]
#: A class with its times, in a group or not. "%s" is for the group's name.
FORMS = ["%s{}{}", "({}{})", "({}{})", "(?P<n%s>{}{})", "({}){}", "(?:{}{})", "(({}{}))"]

any_patterns = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
paths = st.text("/ab1A-é\n.Ā|", max_size=6)


@st.composite
def usual_patterns(draw):
    """Texts and classes by turns, of which C matches most itself."""
    pattern = draw(st.sampled_from(["", "/", "^/", "a"]))
    form = draw(st.sampled_from(FORMS))
    for place in range(draw(st.integers(0, 3))):
        kind = form if draw(st.integers(0, 3)) else draw(st.sampled_from(FORMS))
        piece = kind.format(draw(st.sampled_from(CLASSES)), draw(st.sampled_from(TIMES)))
        pattern += piece.replace("%s", str(place) if "<" in kind else "")
        pattern += draw(st.sampled_from(["", "/", "a", "1", "\\-", "/a", "Ā", "\\$"]))
    return pattern


patterns = any_patterns | usual_patterns() | usual_patterns()


def compiled(pattern, flags, ended):
    """The pattern as a rule takes it, or None if it is none."""
    try:
        made = re.compile(pattern + ("$" if ended else ""), flags)
    except re.error:
        return None
    return made if len(made.groupindex) in (0, made.groups) else None


@st.composite
def rule_lists(draw):
    rules = []
    for _ in range(draw(st.integers(1, 6))):
        made = compiled(draw(patterns), draw(st.sampled_from(FLAGS)), draw(st.booleans()))
        if made is not None:
            rules.append(made)
    return rules


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@settings(deadline=None, max_examples=150)
@given(rule_lists(), st.lists(paths, min_size=1, max_size=6))
@example([re.compile("/a?$"), re.compile("/ab*$")], ["/", "/a", "/ab", "/b"])
@example([re.compile("/a|/b$")], ["/a", "/b"])
@example([re.compile("(?#|)/a|b$")], ["/a", "b"])
@example([re.compile("/(?x: # ( \n a)|b$")], ["/a", "b"])
@example([re.compile("/a$"), re.compile("/.*$")], ["/a\n", "/a", "/ab"])
@example([re.compile("/a$", re.M), re.compile("/a\n/b")], ["/a\n/b", "/a"])
@example([re.compile("/é"), re.compile("/Ā"), re.compile("/(.)$")], ["/é", "/Ā", "/ÿ"])
@example([re.compile("/([^/]+)$"), re.compile(r"/(\d+)$")], ["/a\n", "/1\n", "/1\n\n", "\n", "/1a"])
@example([re.compile("(?P<a>[^/]*)/(?P<b>.*)$")], ["/", "a/b/c", "a/b\n", "é/é"])
@example([re.compile("/([^/]+)/(.*)$", re.S), re.compile("/(a{2})$")], ["/a/b\n", "/a/\nb", "/a\n/", "/aa"])
@example([re.compile(r"/[^/]+\$"), re.compile("/(..)(.)$")], ["/a$", "/$", "/abc", "/ab"])
@example([re.compile(r"/(.*)\.a$"), re.compile("(.{1,2})aa$")], ["/.a", "/.a.a\n", "/a\n.a", "aaa", "aa\n"])
@example([re.compile("[]|]??$"), re.compile("[^]|]+$")], ["", "]", "a"])
@example([re.compile(p) for p in ("/abc(.*)$", "/ab(.*)$", "/a(.*)$", "(.*)")], ["/abd", "/ac"])
def test_same_rule_as_stock(rules, paths):
    answers = {}
    for implementation in BOTH:
        routed = Routed(implementation)
        PathMatches = routed.routing.PathMatches
        routed.start([(PathMatches(rule), routed.handler, {"mark": i}) for i, rule in enumerate(rules)])
        answers[implementation.name] = [routed.found(path) for path in paths]
    assert answers["ours"] == answers["stock"]


def test_many_rules_below_many_catch_alls():
    """Where nearly everything may match nearly everywhere nothing is gained, and nothing lost."""
    rules = [(f"(?i)/x{i}", i) for i in range(400)] + [(f"/y{i}/(.*)", i) for i in range(400)]
    for implementation in BOTH:
        routed = Routed(implementation)
        routed.start([(pattern, routed.handler, {"mark": i}) for pattern, i in rules])
        assert routed.found("/X399")[1] == {"mark": 399}
        assert routed.found("/y399/z")[1:3] == [{"mark": 399}, [b"z"]]
        assert routed.found("/Y399/z")[1] == {"mark": "nothing"}
