"""What helper steps run in the cluster: ``python3 flow.py WHAT PLAN -- NAME TEXT... -- NAME TEXT...``.

It travels as a text and needs Python 3.6 and its standard library alone. ``WHAT`` is

* ``begin``: decide whether the step runs, and compose the values that it is given;
* ``seal``: see how it ended, check and publish what it left;
* ``items``: decide which items a foreach has;
* ``manifest``: create an object of the cluster, and wait until a condition on it holds;
* ``join``: gather the outputs and the status of a foreach or of a nested workflow.

``PLAN`` is the JSON file that says all about the step; behind each ``--`` stand a name and the texts of one result.
"""

import json
import math
import os
import sys
import time

RESULTS = "/tekton/results"
STEPS = "/tekton/steps"
HOME = "/tekton/home"
RUN = "/flowcore/run"
TOO_LONG = "@"
MISSING = "?"


class Wrong(Exception):
    """An expression without a value."""


class Absent(Exception):
    """A value that is missing, and has no default."""


class BadOutput(Exception):
    """An output that cannot be what was declared."""

    ends_as = ("failed", "output")


class OtherCluster(BadOutput):
    """The cluster is not set up as the backend's options say."""

    ends_as = ("error", "backend")


# Values


def encoded(value):
    # A dollar sign in a result would be read again by whoever substitutes next.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("$", "\\u0024")


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def same(left, right):
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return left == right


def kind(value):
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def evaluate(node, lookup):
    """The value of an expression as ``codes.py`` writes it. Every reference is looked up, whatever is decided."""
    what = node[0]
    if what == "lit":
        return node[1]
    if what == "ref":
        return lookup(node[1])
    if what == "get":
        return member(evaluate(node[1], lookup), node[2], node[3])
    if what == "list":
        return [evaluate(item, lookup) for item in node[1]]
    if what == "not":
        return not truth(evaluate(node[1], lookup))
    if what == "text":
        parts = [part if isinstance(part, str) else as_text(evaluate(part, lookup)) for part in node[1]]
        return "".join(parts)
    if what == "map":
        return {key: evaluate(item, lookup) for key, item in node[1].items()}
    return binary(what, evaluate(node[1], lookup), evaluate(node[2], lookup))


def member(base, key, written):
    if isinstance(key, str) and isinstance(base, dict):
        if key in base:
            return base[key]
        raise Wrong("%s has no key %r; it has %s" % (written, key, ", ".join(list(base)[:8]) or "none"))
    if isinstance(key, int) and isinstance(base, list):
        if key < len(base):
            return base[key]
        raise Wrong("%s has no element [%d]; it has %d" % (written, key, len(base)))
    wanted = "key %r" % key if isinstance(key, str) else "element [%d]" % key
    raise Wrong("%s is %s, which has no %s" % (written, kind(base), wanted))


def truth(value):
    if not isinstance(value, bool):
        raise Wrong("%s stands where a boolean is needed" % kind(value))
    return value


def binary(operator, left, right):
    if operator == "==":
        return same(left, right)
    if operator == "!=":
        return not same(left, right)
    if operator in ("&&", "||"):
        first, second = truth(left), truth(right)
        return (first and second) if operator == "&&" else (first or second)
    if operator == "in":
        if not isinstance(right, list):
            raise Wrong("in takes a list on its right, not %s" % kind(right))
        return any(same(left, item) for item in right)
    number = (int, float)
    numbers = isinstance(left, number) and isinstance(right, number) and bool not in (type(left), type(right))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise Wrong("%s orders two numbers or two strings, not %s and %s" % (operator, kind(left), kind(right)))
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


# What others left


def place(path):
    return os.path.join(RUN, path)


def read_json(path):
    with open(place(path), encoding="utf-8") as file:
        return json.load(file)


def decoded(text, path):
    if text == MISSING:
        raise Absent()
    return read_json(path) if text == TOO_LONG else json.loads(text)


class Scope:
    """Where references of a plan have their values."""

    def __init__(self, plan, given):
        self.plan, self.given = plan, given
        self.index = (given.get("i") or [""])[0]

    def __call__(self, key):
        ref = self.plan["refs"][key]
        what = ref["kind"]
        if what == "result":
            return decoded(self.given[key][0], ref["place"])
        if what == "results":
            texts = [text for text in self.given[key] if text]
            return [decoded(text, ref["place"].replace("{i}", str(i))) for i, text in enumerate(texts)]
        if what == "file":
            if os.path.exists(place(ref["place"])):
                return read_json(ref["place"])
            if "default" in ref:
                return ref["default"]
            raise Absent()
        if what == "item":
            return self.item()
        if what == "run.id":
            return os.environ["FLOW_RUN"]
        failed = "=Failed " in self.given[key][0] + " " or os.environ.get("FLOW_CANCELLED")
        return "failed" if failed else "succeeded"

    def item(self):
        index = int(self.index)
        if "items" in self.plan:
            return evaluate(self.plan["items"][index], self)
        return evaluate(self.plan["foreach"], self)[index]

    def require(self):
        """Look up everything that is read: whatever is missing, nothing else matters."""
        for key in self.plan["refs"]:
            if self.plan["refs"][key]["kind"] != "item":
                self(key)


# What is told


def write(path, text, mode=None):
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    with open(path + ".part", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.rename(path + ".part", path)


def result(name, text):
    with open(os.path.join(RESULTS, name), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def value(name, text):
    """What ``$(steps.flow-begin.results.NAME)`` becomes in the step behind this one: the text as it is."""
    with open(os.path.join(STEPS, "step-flow-begin/results", name), "w", encoding="utf-8", newline="") as file:
        file.write(encoded(text))


def say(plan, scope, status, reason=None, message=None, exit_code=None, **more):
    """Tell how the step ended: to Tekton, to readers of the run's volume, and to people."""
    said = {"reason": reason, "message": message and message[:500], "exit_code": exit_code}
    said = {key: word for key, word in said.items() if word is not None}
    while size_of({"": encoded(said)}) > 2000:
        said["message"] = said["message"][:-50]
    result("flow-status", status)
    if said and status != "succeeded":
        result("flow-said", encoded(said))
    if "status" in plan:
        write(place(plan["status"].replace("{i}", scope.index)), json.dumps(dict(said, status=status, **more)))


def size_of(results):
    """How many bytes of a container's last message the results take, as Tekton writes them."""
    return bytes_of([{"key": name, "value": text, "type": 1} for name, text in results.items()])


def bytes_of(data):
    """The bytes of JSON as Go's encoding/json writes it: it escapes what means something to HTML and to JavaScript."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    longer = 5 * sum(map(text.count, "<>&")) + 3 * sum(map(text.count, "\u2028\u2029"))
    return len(text.encode("utf-8")) + longer


def entrypoint():
    """The words of Tekton's program around this one, which says there where results go."""
    with open("/proc/%d/cmdline" % os.getppid(), encoding="utf-8", errors="replace") as file:
        return file.read().split("\0")


def with_room(plan, texts):
    """The results: the texts of the outputs, or that they are too long."""
    names = plan.get("results", {})
    told = dict(texts)
    if "each" in plan:
        if "sidecar-logs" not in entrypoint():
            raise OtherCluster(
                "this cluster does not read results from the logs of sidecars (its feature flag results-from);"
                " set the option long_outputs to volume"
            )
        # Tekton reads each of them from a line in the log of a container of its own.
        for name, text in texts.items():
            if bytes_of({"name": names.get(name, name), "value": text, "type": "task"}) > plan["each"]:
                told[name] = TOO_LONG
        return told
    # The longest first: what a task's own when compares is short, and must stay.
    for name in sorted(told, key=lambda name: -size_of({"": texts[name]})):
        if size_of(told) <= plan["room"]:
            break
        told[name] = TOO_LONG
    return told


def most_of(plan):
    """How much room there is, for people."""
    if "each" in plan:
        return "one result has %d with all that Tekton writes beside it" % plan["each"]
    return "results of one step have %d" % plan["room"]


def publish(plan, scope, values):
    """Give the outputs to readers: as results while there is room, else by the run's volume, and in this log."""
    texts = {name: MISSING if found is Absent else encoded(found) for name, found in values.items()}
    for name, text in with_room(plan, texts).items():
        path = plan.get("places", {}).get(name, "").replace("{i}", scope.index)
        if text == TOO_LONG:
            if not path and name in plan.get("read", ()):
                raise BadOutput("output %s has %d bytes, and %s" % (name, len(texts[name]), most_of(plan)))
            sys.stdout.write("flowcore-output %s %s\n" % (name, texts[name]))
        if path and (text == TOO_LONG or name in plan.get("kept", ())) and values[name] is not Absent:
            write(place(path), texts[name])
        result(plan.get("results", {}).get(name, name), text)


# A step


def begin(plan, scope):
    if scope.index == "-":
        for name in plan.get("outputs", {}):
            result(plan.get("results", {}).get(name, name), "")
        return stop(plan, scope, "skipped", "empty")
    try:
        scope.require()
        if "when" in plan and not truth(evaluate(plan["when"], scope)):
            return stop(plan, scope, "skipped", "when")
        values = {name: evaluate(node, scope) for name, node in plan.get("values", {}).items()}
    except Absent:
        return stop(plan, scope, "unmet", "needs", "an output that it reads is missing, and has no default")
    except Wrong as fault:
        stop(plan, scope, "error", "expression", str(fault))
        return 0 if plan.get("soft") else 1
    if plan.get("only_decides"):
        say(plan, scope, "succeeded")
        return 0
    for name, found in values.items():
        text = as_text(found)
        if "\0" in text:
            stop(plan, scope, "error", "expression", "a value for it holds a NUL, which no process can be given")
            return 0 if plan.get("soft") else 1
        value(name, text)
    if "folder" in plan:
        empty_folder(place(plan["folder"].replace("{i}", scope.index)))
    wait_before_retry(plan)
    value("attempt", str(attempt()))
    value("go", "yes")
    return 0


def stop(plan, scope, status, reason, message=None):
    say(plan, scope, status, reason, message)
    if not plan.get("only_decides"):
        value("attempt", "0")
        value("go", "no")
    return 0


def attempt():
    return int(os.environ.get("FLOW_FIRST") or 1) + int(os.environ.get("FLOW_RETRIES") or 0)


def wait_before_retry(plan):
    retries = int(os.environ.get("FLOW_RETRIES") or 0)
    if "backoff" not in plan or not retries:
        return
    initial, factor, most = plan["backoff"]
    wait = initial * float(factor) ** min(retries - 1, 64)
    time.sleep(wait if most is None else min(wait, most))


def empty_folder(path):
    """The step's folder for artifacts: nothing of an earlier attempt, and open to any user."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    while path.startswith(RUN):
        try:
            os.chmod(path, 0o777)
        except OSError:
            pass  # another user's folder, which was opened when it was made
        path = os.path.dirname(path)


def seal(plan, scope):
    status, reason, code, message = ended(plan)
    values = {}
    if status == "succeeded":
        try:
            values = outputs(plan, scope)
            publish(plan, scope, values)
        except BadOutput as fault:
            status, reason = fault.ends_as
            message = str(fault)
    return end(plan, scope, status, reason, message, code)


def end(plan, scope, status, reason, message, code=None):
    """Tell how the step ended, and give what this program ends with."""
    say(plan, scope, status, reason, message, code)
    if status == "succeeded":
        return 0
    if message:
        sys.stdout.write("flowcore: %s\n" % message)
    if not plan.get("soft"):
        return code if code and code > 0 else 1
    left = int(os.environ.get("FLOW_RETRIES") or 0) < plan.get("limit", 0)
    cause = "timeout" if reason == "timeout" else status
    return 1 if left and cause in (plan.get("only") or ("failed", "error", "timeout")) else 0


def manifest(plan, scope):
    import manifest as cluster

    try:
        made = evaluate(plan["manifest"], scope)
    except Wrong as fault:
        return end(plan, scope, "error", "expression", str(fault))
    success, failure = plan.get("success", []), plan.get("failure", [])
    owner = dict(plan["owner"], name=os.environ["FLOW_RUN"], uid=os.environ["FLOW_UID"])
    status, reason, message = cluster.run(cluster.Api(), made, success, failure, owner, plan.get("timeout"))
    return end(plan, scope, status, reason, message)


def ended(plan):
    """How the main step ended: status, reason, exit code, message."""
    code = number(os.path.join(STEPS, "step-main/exitCode"))
    if plan.get("wrapped"):
        inner = number(os.path.join(HOME, "flow-main/exitCode"))
        if inner is not None:
            code = inner
        elif code:
            if "TimeoutExceeded" in text_of(os.path.join(HOME, "flow-main-end")):
                return "failed", "timeout", None, None
            if code > 0:
                return "error", "command", None, "the program could not be started"
    if not code:
        return "succeeded", None, 0, None
    # What ended by a signal says so in the container's state alone, with the reason.
    return ("failed", "exit-code", code, None) if code > 0 else ("failed", None, code, None)


def number(path):
    text = text_of(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def text_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def outputs(plan, scope):
    """The values that the step left, checked as S27 says."""
    folder = os.environ["FLOW_OUTPUTS"]
    found = {}
    for name, output in plan.get("outputs", {}).items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            if "default" not in output:
                raise BadOutput("output %s was not written" % name)
            found[name] = output["default"]
            continue
        if not os.path.isfile(path):
            raise BadOutput("output %s is no file" % name)
        size = os.path.getsize(path)
        if size > plan["most"]:
            raise BadOutput("output %s has %d bytes, and %d are the most" % (name, size, plan["most"]))
        with open(path, "rb") as file:
            found[name] = typed(name, file.read(), output["type"])
    for name in plan.get("artifacts", ()):
        if not os.path.lexists(os.path.join(folder, name)):
            raise BadOutput("output %s was not written" % name)
        if "gathered" in plan:
            link = place(os.path.join(plan["gathered"], name, scope.index))
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(os.path.join(folder, name), link)
    return found


def typed(name, data, kind_of):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadOutput("output %s is not UTF-8" % name)
    if kind_of == "string":
        return text[:-1] if text.endswith("\n") else text
    try:
        found = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise BadOutput("output %s is not of type %s: it is no JSON" % (name, kind_of))
    if not fits(found, kind_of):
        raise BadOutput("output %s is not of type %s" % (name, kind_of))
    return found


def refuse(word):
    raise ValueError(word)


def fits(found, kind_of):
    kind_of, _, items = kind_of.partition(" of ")
    if isinstance(found, bool):
        return kind_of in ("any", "boolean")
    if isinstance(found, int):
        return -(2**63) <= found < 2**63 and kind_of in ("any", "integer", "number")
    if isinstance(found, float):
        return math.isfinite(found) and kind_of in ("any", "number")
    if isinstance(found, list):
        return kind_of in ("any", "list") and all(fits(item, items or "any") for item in found)
    if isinstance(found, dict):
        return kind_of in ("any", "object") and all(fits(item, "any") for item in found.values())
    if found is None:
        return kind_of == "any"
    return kind_of in ("any", "string")


# What stands for several


def items(plan, scope):
    try:
        scope.require()
        if "when" in plan and not truth(evaluate(plan["when"], scope)):
            return no_items(plan, scope, "skipped", "when")
        if "items" in plan:
            count = len(plan["items"])
        else:
            found = evaluate(plan["foreach"], scope)
            if not isinstance(found, list):
                raise Wrong("foreach takes a list, not %s" % kind(found))
            count = len(found)
        if count > plan["most"]:
            raise Wrong("the list has %d items, and %d are the most" % (count, plan["most"]))
    except Absent:
        return no_items(plan, scope, "unmet", "needs", "an output that it reads is missing, and has no default")
    except Wrong as fault:
        no_items(plan, scope, "error", "expression", str(fault))
        return 1
    if not count and plan.get("empty") == "skip":
        return no_items(plan, scope, "skipped", "empty")
    result("flow-items", json.dumps([str(index) for index in range(count)] or ["-"]))
    if count:
        say(plan, scope, "succeeded", count=count)
    else:
        say(plan, scope, "skipped", "empty", count=0)
    return 0


def no_items(plan, scope, status, reason, message=None):
    result("flow-items", '["-"]')
    say(plan, scope, status, reason, message, count=0)
    return 0


def join(plan, scope):
    status, reason, values = (joined_items if plan["joins"] == "items" else joined_steps)(plan, scope)
    try:
        publish(plan, scope, values)
    except BadOutput as fault:
        status, reason = fault.ends_as
        return end(plan, scope, status, reason, str(fault))
    say(plan, scope, status, reason)
    return 0


def told(path):
    """What a task said of itself, if it came so far."""
    return read_json(path) if os.path.exists(place(path)) else None


def joined_items(plan, scope):
    decided = told(plan["decided"]) if "decided" in plan else {"status": "succeeded", "count": plan["count"]}
    if decided is None or decided["status"] in ("error", "unmet"):
        return (decided or {}).get("status", "error"), "needs", dict.fromkeys(plan["outputs"], Absent)
    if decided["status"] == "skipped":
        empty = decided.get("reason") == "empty"
        return "skipped", decided.get("reason"), dict.fromkeys(plan["outputs"], [] if empty else Absent)
    states = [told(plan["member"].replace("{i}", str(index))) for index in range(decided["count"])]
    good = [state is not None and state["status"] == "succeeded" for state in states]
    values = {}
    for name, output in plan["outputs"].items():
        found = []
        for index, well in enumerate(good):
            if well:
                found.append(read_json(output["place"].replace("{i}", str(index))))
            elif "default" in output:
                found.append(output["default"])
        whole = len(found) == len(good) and (all(good) or plan.get("continued"))
        values[name] = found if whole else Absent
    return ("succeeded", None, values) if all(good) else ("failed", "exit-code", values)


def joined_steps(plan, scope):
    absent = dict.fromkeys(plan["outputs"], Absent)
    if "decided" in plan:
        decided = told(plan["decided"])
        if decided is None or decided["status"] != "succeeded":
            decided = decided or {"status": "error"}
            return decided["status"], decided.get("reason"), absent
    states = {name: told(path) for name, path in plan["members"].items()}
    for name, state in states.items():
        if state is None:
            # It had its turn and said nothing (its pod never started), or one that it needs kept it from starting.
            gate = [(told(path) or {}).get("status") in words for path, words in plan["gates"][name]]
            state = {"status": "error" if all(gate) else "unmet"}
        if state["status"] in ("failed", "error") and name not in plan["continued"]:
            return "failed", "exit-code", absent
    values = {}
    for name, node in plan["outputs"].items():
        try:
            values[name] = evaluate(node, scope)
        except (Absent, Wrong):
            values[name] = Absent
    return "succeeded", None, values


def main(words):
    with open(words[1], encoding="utf-8") as file:
        plan = json.load(file)
    given = {}
    name = None
    for before, word in zip(words[1:], words[2:]):
        if word == "--":
            name = None
        elif before == "--":
            name = word
            given.setdefault(name, [])
        elif name is not None:
            given[name].append(word)
    parts = {"begin": begin, "seal": seal, "manifest": manifest, "items": items, "join": join}
    return parts[words[0]](plan, Scope(plan, given))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
