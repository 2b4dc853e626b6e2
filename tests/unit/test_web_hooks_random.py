"""Random programs that set and delete attributes of handlers and of their classes, named like a hook or not,
at random moments: what is called is what stock Tornado calls."""

import random

import pytest

from support.web_servers import pair, request, same

SEEDS = range(60)
REQUESTS = 8

MOMENTS = ("initialize", "prepare", "get", "written", "on_finish")

HOOKS = (
    *(
        "prepare",
        "on_finish",
        "set_default_headers",
        "clear",
        "write",
        "finish",
        "flush",
        "get",
        "decode_argument",
    ),
    *(
        "set_header",
        "set_status",
        "get_status",
        "set_etag_header",
        "compute_etag",
        "check_etag_header",
        "get_argument",
    ),
    *(
        "_log",
        "_convert_header_value",
        "_should_not_send_content",
        "_get_argument",
        "_get_arguments",
        "send_error",
    ),
    *("_clear_representation_headers", "_break_cycles", "log_exception", "write_error", "_request_summary"),
)
DATA = ("db", "user", "started", "settings_", "writes", "_prepare", "on_finished", "a" * 70)

ANSWERS = {
    "text": lambda self: self.write("hello"),
    "dict": lambda self: self.write({"hello": ["world"]}),
    "finish": lambda self: self.finish("hello"),
    "nothing": lambda self: self.set_status(204),
    "argument": lambda self: self.write(self.get_argument("name") + self.get_argument("no", "default")),
    "pieces": lambda self: (self.write("a"), self.flush(), self.write("b")),
    "error": lambda self: (self.write("lost"), 1 / 0),
    "redirect": lambda self: self.redirect("/elsewhere"),
}

STEPS = (
    *("set", "set", "set", "set", "delete", "delete"),
    *("set on class", "delete on class"),
    *("vars", "update", "pop", "clear", "new dict", "many", "odd key", "raw", "other class"),
)


class OddKey:
    """Equals a name without being a str."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return other == self.name


def draw(seed):
    """What each request does: {moment: steps}, and how it answers."""
    rng = random.Random(seed)
    names = rng.sample(HOOKS, rng.randint(1, 4)) + rng.sample(DATA, rng.randint(1, 3))
    steps = rng.sample(STEPS, rng.randint(2, 6)) + ["set"]

    def some():
        return [(rng.choice(steps), rng.choice(names)) for _ in range(rng.choice((0, 0, 1, 1, 2, 4)))]

    return [({moment: some() for moment in MOMENTS}, rng.choice([*ANSWERS])) for _ in range(REQUESTS)]


def make_handler(web, seed, trace):
    program = draw(seed)

    def replaced(name, where):
        def call(self, *args, **kwargs):
            trace.append(f"{name} of the {where}")
            return getattr(Original, name)(self, *args, **kwargs)

        return call

    def carry_out(self, step, name):
        cls = type(self)
        hook = replaced(name, "instance").__get__(self) if name in HOOKS else name
        if step == "set":
            setattr(self, name, hook)
        elif step == "delete":
            try:
                delattr(self, name)
            except AttributeError:
                trace.append(f"no {name}")
        elif step == "set on class":
            setattr(cls, name, replaced(name, "class") if name in HOOKS else name)
        elif step == "delete on class":
            if name in vars(cls):
                delattr(cls, name)
        elif step == "vars":
            trace.append(name in vars(self))
        elif step == "update":
            vars(self).update({name: hook, "other": 1})
        elif step == "pop":
            trace.append(vars(self).pop(name, None) is None)
        elif step == "clear":
            for each in (*HOOKS, *DATA):
                vars(self).pop(each, None)
        elif step == "new dict":
            self.__dict__ = dict(vars(self))
        elif step == "many":
            for i in range(50):
                setattr(self, f"{name}{i}", i)
        elif step == "odd key":
            vars(self)[OddKey(name)] = hook
        elif step == "raw":
            object.__setattr__(self, "".join(name), hook)
        else:
            self.__class__ = Other if cls is Handler else Handler

    def at(self, moment):
        trace.append(moment)
        for step, name in program[int(self.get_query_argument("number"))][0][moment]:
            carry_out(self, step, name)

    class Original(web.RequestHandler):
        def initialize(self):
            at(self, "initialize")

        def prepare(self):
            at(self, "prepare")

        def get(self):
            at(self, "get")
            ANSWERS[program[int(self.get_query_argument("number"))][1]](self)
            at(self, "written")

        def on_finish(self):
            at(self, "on_finish")

    class Handler(Original):
        pass

    class Other(Original):
        pass

    return Handler


@pytest.fixture(scope="module")
def traced():
    """A function that asks both sides, and the calls that each has traced."""
    traces = {}

    def make_app(web):
        trace = traces.setdefault(web.__name__.partition(".")[0], [])
        return web.Application([(f"/{seed}", make_handler(web, seed, trace)) for seed in SEEDS])

    with pair(make_app) as ask:
        yield ask, traces


def calls(trace):
    """What was traced, and forgets it. The log line asks for the status once, Tornado's up to three times."""
    found = [
        each
        for i, each in enumerate(trace)
        if not (str(each).startswith("get_status") and each in trace[i - 1 : i])
    ]
    trace.clear()
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_replaced_is_called(traced, seed):
    ask, traces = traced
    for number in range(REQUESTS):
        outcome = ask(request(f"/{seed}?number={number}&name=x"))
        for server in ask.servers.values():
            server.settle()
        ours, stock = (calls(traces[package]) for package in ("tornado_c", "tornado"))
        assert ours == stock
        same(outcome)
