"""A value is data, always: hostile text through every way that a value can take, byte for byte."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowcore.expressions import unparse_text
from flowcore.testing.scenario import (
    BUSYBOX,
    PYTHON,
    Expect,
    Scenario,
    State,
    all_ok,
    lines,
    ok,
    succeeded,
)

HOSTILE: Final = (
    "",
    " ",
    "  blanks around  ",
    "\n",
    "\n\n",
    "ends with a newline\n",
    "\nstarts with one",
    "two\nlines",
    "dos\r\nlines\r\n",
    "bare\rreturn",
    "\ttabs\t",
    "'",
    '"',
    "it's \"quoted\" 'twice'",
    "'\"'\"'",
    "`id`",
    "$(id)",
    "$(params.x) $(tasks.a.results.b) $(context.pipelineRun.name)",
    "$HOME ${HOME} $$ $0 $1 $@ $* $? $! $#",
    "$$(id) $$$$",
    "%s %d %% %HOME% %0",
    "{{x}} {{workflow.name}} {{inputs.parameters.x}} {{=1+1}}",
    "{{tasks.a.outputs.result}} {{ '{{' }}",
    "{{`{{x}}`}} {{- x -}}",
    "${{x}} ${{ params.rows }} $${{ params.rows }}",
    "}} ${{ {{ }}",
    "\\",
    "\\\\",
    "\\n \\t \\x41 \\u0041 \\101 \\$ \\` \\'",
    "ends with a backslash\\",
    "-n",
    "-e",
    "--",
    "--help",
    "=cmd",
    "@/etc/passwd",
    "* ? [a-z] ~ ~root {a,b}",
    "a && b || c; d | e > f < g & h",
    "#not a comment",
    "!history !! !$",
    "null",
    "~",
    "true",
    "True",
    "no",
    "010",
    "0x10",
    "1e3",
    "1.0",
    "12:30",
    "2024-01-02",
    "- item",
    "key: value",
    "[1, 2",
    '{"json": [1, "\\u00e9"]}',
    "<a href='x'>&amp;</a>",
    "é ü ñ",
    "e\u0301",
    "日本語",
    "😀👩‍👩‍👧",
    "line\u2028separator\u2029paragraph",
    "next\u0085line",
    "\ufeffbom",
    "\u202eright to left",
    "\u200bzero width",
    "\x01\x02\x1b[31mred\x1b[0m\x7f",
    "\x0b\x0c",
    "\ufffd\ufffe\uffff",
    "; rm -rf /nowhere #",
    "EOF\nEND\nFLOW\n",
    "a" * 5000,
)
"""Text that some layer between a document and a process reads as something else than itself."""

LONG: Final = "0123456789 'é' \"$\" {{x}}\n" * 3500
"""About 100 KB; each line of it is hostile too."""

SHOW: Final = """for value in "$@"; do printf '%s' "$value" | od -An -v -tx1 | tr -d ' \\n'; echo; done"""
"""Shows its arguments as hexadecimal bytes, one a line."""


def escaped(value: Any) -> Any:
    """A value as a document writes it: its `${{` are data."""
    if isinstance(value, str):
        return unparse_text(value)
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [escaped(item) for item in value]
    return value


def shown(texts: Sequence[str]) -> tuple[str, ...]:
    """What ``SHOW`` prints of texts."""
    return tuple(text.encode().hex() for text in texts)


CHECKSUM: Final = (
    """od -An -v -tu1 | awk '{ for (i = 1; i <= NF; i++) { sum = (sum * 31 + $i) % 1000003; size++ } }"""
    """ END { print sum, size }'"""
)
"""Reads standard input and shows a checksum and the number of bytes; not every busybox has ``cksum``."""


def checksum(text: str) -> str:
    """What ``CHECKSUM`` shows of a text."""
    total = 0
    data = text.encode()
    for byte in data:
        total = (total * 31 + byte) % 1000003
    return f"{total} {len(data)}"


def _text(document: Mapping[str, Any]) -> str:
    """A document in JSON, with what YAML takes for a line break or refuses to read written as escapes."""
    plain = json.dumps(document, ensure_ascii=False, indent=1)
    return "".join(f"\\u{ord(sign):04x}" if sign in _SPECIAL else sign for sign in plain) + "\n"


_SPECIAL: Final = frozenset(map(chr, range(0x7F, 0xA0))) | frozenset("\u2028\u2029\ufeff\ufffe\uffff")


def _scenario(
    name: str,
    body: Mapping[str, Any],
    steps: Mapping[str, State],
    *,
    rules: str = "S28",
    needs: str = "",
    image: str = BUSYBOX,
    params: Mapping[str, Any] | None = None,
    **expect: Any,
) -> Scenario:
    document = {"flowcore": 1, "name": name, "defaults": {"image": image}, **body}
    ending: Expect = succeeded(steps, **expect)
    return Scenario(
        name=name,
        rules=tuple(rules.split()),
        document=_text(document),
        expect=ending,
        capabilities=frozenset(needs.split()),
        params=params or {},
    )


_NAMES: Final = tuple(f"v{index}" for index in range(len(HOSTILE)))
_VALUES: Final[dict[str, Any]] = dict(zip(_NAMES, HOSTILE, strict=True))
_STRINGS: Final = {name: {"type": "string"} for name in _NAMES}
_GIVE: Final = "def give(**values): return values"
_SHOW_ENV: Final = (
    "for name in "
    + " ".join(name.upper() for name in _NAMES)
    + """; do eval "value=\\$$name"; printf '%s' "$value" | od -An -v -tx1 | tr -d ' \\n'; echo; done"""
)


def _refs(prefix: str) -> list[str]:
    return [f"${{{{ {prefix}.{name} }}}}" for name in _NAMES]


def _mixed(prefix: str) -> list[str]:
    return [f"<{ref}>" for ref in _refs(prefix)]


def _python(source: str, args: Mapping[str, Any], **outputs: Any) -> dict[str, Any]:
    function = source.split("(", 1)[0].split()[-1]
    return {
        "image": PYTHON,
        "python": {"function": function, "source": source, "args": dict(args)},
        "outputs": outputs,
    }


# Kept apart from the text above since it holds everything that could end a literal of Python, of sh or of YAML.
_SOURCE: Final = "def give():\n    return [\n" + "".join(f"        {text!r},\n" for text in HOSTILE) + "    ]\n"
_RAW_SOURCE: Final = (
    "def give():\n    # `id` $(id) {{x}} ${{x}} $${{x}} %s \\n ' \"\"\" '''\n"
    "    return '''two\nlines, \"quoted\", $(id) {{x}} ${{x}} \\\\ \u2028 😀\n'''\n"
)
_SCRIPT: Final = (
    "cat <<'HERE'\n"
    + "\n".join(text for text in HOSTILE if not {"\n", "\r"} & set(text))
    + "\nHERE\nprintf '%s\\n' \"done\"\n"
)

SCENARIOS = (
    _scenario(
        "values-in-a-command",
        {"steps": {"shows": {"command": ["sh", "-c", SHOW, "sh", *escaped(HOSTILE)]}}},
        {"shows": ok()},
        logs={"shows": lines(*shown(HOSTILE))},
    ),
    _scenario(
        "values-of-params-in-args",
        {
            "params": _STRINGS,
            "steps": {
                "plain": {"command": ["sh", "-c", SHOW, "sh"], "args": _refs("params")},
                "mixed": {"command": ["sh", "-c", SHOW, "sh"], "args": _mixed("params")},
            },
        },
        {"plain": ok(), "mixed": ok()},
        params=_VALUES,
        logs={
            "plain": lines(*shown(HOSTILE)),
            "mixed": lines(*shown([f"<{text}>" for text in HOSTILE])),
        },
    ),
    _scenario(
        "values-in-the-environment",
        {
            "params": _STRINGS,
            "steps": {
                "literal": {
                    "env": {name.upper(): escaped(text) for name, text in _VALUES.items()},
                    "command": ["sh", "-c", _SHOW_ENV],
                },
                "script": {
                    "env": dict(zip([name.upper() for name in _NAMES], _refs("params"), strict=True)),
                    "script": _SHOW_ENV,
                },
            },
        },
        {"literal": ok(), "script": ok()},
        params=_VALUES,
        logs={"literal": lines(*shown(HOSTILE)), "script": lines(*shown(HOSTILE))},
    ),
    _scenario(
        "values-in-a-script",
        {"steps": {"shows": {"script": _SCRIPT + SHOW, "args": escaped(HOSTILE)}}},
        {"shows": ok()},
        logs={
            "shows": lines(
                *(text for text in HOSTILE if not {"\n", "\r"} & set(text)),
                "done",
                *shown(HOSTILE),
            )
        },
    ),
    _scenario(
        "values-in-python-source",
        {
            "steps": {
                "escaped": _python(_SOURCE, {}, result={"type": "list"}),
                "raw": _python(_RAW_SOURCE, {}, result={}),
            },
        },
        {
            "escaped": ok(result=list(HOSTILE)),
            "raw": ok(result='two\nlines, "quoted", $(id) {{x}} ${{x}} \\ \u2028 😀\n'),
        },
        needs="outputs",
        rules="S27 S28",
    ),
    _scenario(
        "values-in-python-args",
        {
            "params": _STRINGS,
            "steps": {
                "literal": _python(_GIVE, escaped(_VALUES), result={"type": "object"}),
                "params": _python(_GIVE, dict(zip(_NAMES, _refs("params"), strict=True)), result={"type": "object"}),
                "deep": _python(
                    _GIVE,
                    {"deep": [{"key": _refs("params")}, {"mixed": _mixed("params")}]},
                    result={"type": "object"},
                ),
            },
        },
        {
            "literal": ok(result=dict(_VALUES)),
            "params": ok(result=dict(_VALUES)),
            "deep": ok(result={"deep": [{"key": list(HOSTILE)}, {"mixed": [f"<{text}>" for text in HOSTILE]}]}),
        },
        params=_VALUES,
        needs="outputs",
        rules="S27 S28",
    ),
    _scenario(
        "values-from-step-to-step",
        {
            "steps": {
                "gives": _python(_GIVE, escaped(_VALUES), **_STRINGS),
                "args": {"command": ["sh", "-c", SHOW, "sh", *_refs("steps.gives.outputs")]},
                "mixed": {"script": SHOW, "args": _mixed("steps.gives.outputs")},
                "env": {
                    "env": dict(zip([name.upper() for name in _NAMES], _refs("steps.gives.outputs"), strict=True)),
                    "script": _SHOW_ENV,
                },
                "python": _python(
                    _GIVE,
                    {"list": _refs("steps.gives.outputs"), "mixed": _mixed("steps.gives.outputs")},
                    result={"type": "object"},
                ),
            },
            "outputs": dict(zip(_NAMES, _refs("steps.gives.outputs"), strict=True)),
        },
        {
            "gives": ok(**_VALUES),
            "args": ok(),
            "mixed": ok(),
            "env": ok(),
            "python": ok(result={"list": list(HOSTILE), "mixed": [f"<{text}>" for text in HOSTILE]}),
        },
        needs="outputs",
        rules="S27 S28",
        logs={
            "args": lines(*shown(HOSTILE)),
            "mixed": lines(*shown([f"<{text}>" for text in HOSTILE])),
            "env": lines(*shown(HOSTILE)),
        },
        outputs=dict(_VALUES),
    ),
    _scenario(
        "values-inside-objects",
        {
            "steps": {
                "gives": _python(_GIVE, escaped(_VALUES), result={"type": "object"}),
                "keys": {"command": ["sh", "-c", SHOW, "sh", *_refs("steps.gives.outputs.result")]},
                "whole": _python(_GIVE, {"value": "${{ steps.gives.outputs.result }}"}, result={"type": "object"}),
            },
        },
        {
            "gives": ok(result=dict(_VALUES)),
            "keys": ok(),
            "whole": ok(result={"value": dict(_VALUES)}),
        },
        needs="outputs",
        rules="S27 S28",
        logs={"keys": lines(*shown(HOSTILE))},
    ),
    _scenario(
        "values-of-items",
        {
            "params": {"list": {"type": "list", "items": "string"}},
            "steps": {
                "literal": {
                    "foreach": [escaped(list(HOSTILE))],
                    "image": PYTHON,
                    "python": {"function": "give", "source": "def give(it): return it", "args": {"it": "${{ item }}"}},
                    "outputs": {"result": {"type": "list"}},
                },
                "each": {
                    "foreach": "${{ params.list }}",
                    "command": ["sh", "-c", SHOW, "sh", "${{ item }}", "<${{ item }}>"],
                },
            },
        },
        {
            "literal": all_ok(result=[list(HOSTILE)]),
            "literal[0]": ok(result=list(HOSTILE)),
            "each": all_ok(),
            **{f"each[{index}]": ok() for index in range(4)},
        },
        params={"list": [HOSTILE[index] for index in (13, 17, 24, 60)]},
        needs="outputs",
        rules="S19 S28",
        logs={
            f"each[{place}]": lines(*shown([HOSTILE[index], f"<{HOSTILE[index]}>"]))
            for place, index in enumerate((13, 17, 24, 60))
        },
    ),
    _scenario(
        "values-of-dynamic-items",
        {
            "steps": {
                "gives": _python(
                    "def give(values): return values", {"values": escaped([list(HOSTILE)])}, result={"type": "list"}
                ),
                "each": {
                    "foreach": "${{ steps.gives.outputs.result }}",
                    **_python("def give(it): return it", {"it": "${{ item }}"}, result={"type": "list"}),
                },
                "after": _python(
                    "def give(it): return it", {"it": "${{ steps.each.outputs.result }}"}, result={"type": "list"}
                ),
            },
        },
        {
            "gives": ok(result=[list(HOSTILE)]),
            "each": all_ok(result=[list(HOSTILE)]),
            "each[0]": ok(result=list(HOSTILE)),
            "after": ok(result=[list(HOSTILE)]),
        },
        needs="outputs foreach foreach.dynamic fanin",
        rules="S15 S27 S28",
    ),
    _scenario(
        "values-of-nested-args",
        {
            "params": _STRINGS,
            "steps": {
                "inner": {
                    "workflow": {
                        "params": {**_STRINGS, "literal": {"type": "list"}},
                        "defaults": {"image": PYTHON},
                        "steps": {
                            "args": {"command": ["sh", "-c", SHOW, "sh", *_refs("params")]},
                            "python": _python(
                                _GIVE,
                                {"list": _refs("params"), "literal": "${{ params.literal }}"},
                                result={"type": "object"},
                            ),
                        },
                        "outputs": {"given": "${{ steps.python.outputs.result }}"},
                    },
                    "args": {
                        **dict(zip(_NAMES, _refs("params"), strict=True)),
                        "literal": escaped(list(HOSTILE)),
                    },
                }
            },
        },
        {
            "inner": all_ok(given={"list": list(HOSTILE), "literal": list(HOSTILE)}),
            "inner/args": ok(),
            "inner/python": ok(result={"list": list(HOSTILE), "literal": list(HOSTILE)}),
        },
        params=_VALUES,
        needs="outputs",
        rules="S20 S28",
        logs={"inner/args": lines(*shown(HOSTILE))},
    ),
    _scenario(
        "values-of-defaults",
        {
            "steps": {
                "forgets": {
                    "command": ["echo", "forgot"],
                    "outputs": {name: {"default": text} for name, text in _VALUES.items()},
                },
                "reads": {"command": ["sh", "-c", SHOW, "sh", *_refs("steps.forgets.outputs")]},
            },
        },
        {"forgets": ok(**_VALUES), "reads": ok()},
        needs="outputs",
        rules="S27 S28",
        logs={"reads": lines(*shown(HOSTILE))},
    ),
    _scenario(
        "values-of-100-kilobytes",
        {
            "params": {"long": {"type": "string"}},
            "steps": {
                "arg": {"command": ["sh", "-c", f'printf %s "$1" | {CHECKSUM}', "sh", "${{ params.long }}"]},
                "env": {"env": {"LONG": "${{ params.long }}"}, "script": f'printf %s "$LONG" | {CHECKSUM}'},
                "script": {"script": f"cat <<'HERE' | {CHECKSUM}\n" + LONG + "HERE\n"},
            },
        },
        {"arg": ok(), "env": ok(), "script": ok()},
        # A small busybox may come without cksum.
        image=PYTHON,
        params={"long": LONG},
        logs={name: lines(checksum(LONG)) for name in ("arg", "env", "script")},
    ),
    _scenario(
        "values-of-100-kilobytes-in-python",
        {
            "params": {"long": {"type": "string"}},
            "steps": {
                "size": _python(
                    "def size(long):\n    import zlib\n    return [len(long.encode()), zlib.crc32(long.encode())]",
                    {"long": "${{ params.long }}"},
                    result={"type": "list"},
                ),
            },
        },
        {"size": ok(result=[len(LONG.encode()), zlib.crc32(LONG.encode())])},
        params={"long": LONG},
        needs="outputs",
        rules="S27 S28",
    ),
)
