# flowcore: calls one function of the source above and writes what it returns into $FLOW_OUTPUTS.
import json
import os
import shutil
import sys


def load(call):
    import linecache
    import types

    name = "<" + call["step"] + ">"
    source = call["source"]
    # Tracebacks show the function's own lines, although it lives in no file.
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    module = types.ModuleType("flow_step")
    module.__file__ = name
    sys.modules["flow_step"] = module
    exec(compile(source, name, "exec"), module.__dict__)
    return getattr(module, call["function"])


def arguments(call, texts):
    args = call["args"]
    lone = json.loads(texts[0]) if texts else []
    for path, kind, index in call["fills"]:
        holder = args
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = lone[index] if kind == "lone" else texts[1 + index]
    return args


def as_annotated(function, args):
    # A parameter that is annotated Path gets an artifact's place as a Path.
    import pathlib

    notes = getattr(function, "__annotations__", {})
    for name, note in notes.items():
        text = note if isinstance(note, str) else getattr(note, "__name__", "")
        if text.split(".")[-1] == "Path" and isinstance(args.get(name), str):
            args[name] = pathlib.Path(args[name])
    return args


def fields(result, outputs):
    if list(outputs) == ["result"]:
        return {"result": result}
    if hasattr(result, "_asdict"):
        return result._asdict()
    if isinstance(result, dict):
        return result
    if hasattr(result, "__dataclass_fields__"):
        return vars(result)
    raise TypeError(
        "the step has the outputs " + ", ".join(outputs) + ", so the function must return a NamedTuple,"
        " a dataclass or a dict with those fields, not " + type(result).__name__
    )


def fits(value, kind):
    kind, _, items = kind.partition(" of ")
    if kind == "any":
        return True
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if kind == "number":
        return isinstance(value, (int, float))
    if kind == "list":
        return isinstance(value, list) and (not items or all(fits(item, items) for item in value))
    return isinstance(value, str if kind == "string" else dict)


def keep(call, name, kind, value):
    place = os.path.join(os.environ["FLOW_OUTPUTS"], name)
    if kind == "artifact":
        source = os.fspath(value)
        if os.path.abspath(source) == os.path.abspath(place):
            if not os.path.exists(place):
                raise ValueError("output " + name + " was not written")
            return
        if os.path.isdir(source):
            shutil.copytree(source, place, symlinks=True)
        else:
            shutil.copyfile(source, place)
        return
    if kind == "string":
        if not isinstance(value, str):
            raise TypeError("output " + name + " is a string, and the function returned " + type(value).__name__)
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if not fits(json.loads(text), kind):
            raise TypeError("output " + name + " is of type " + kind + ", and the function returned " + text[:100])
    limit = call.get("limit")
    if limit is not None and len(text.encode("utf-8")) > limit:
        size = str(len(text.encode("utf-8")))
        raise ValueError("output " + name + " has " + size + " bytes, and " + str(limit) + " are the most")
    data = (text + "\n").encode("utf-8")  # readers drop exactly one newline, so the text comes back as it is
    with open(place, "wb") as file:
        file.write(data)


def main(call, texts):
    try:
        function = load(call)
        result = function(**as_annotated(function, arguments(call, texts)))
        if hasattr(result, "__await__"):
            import asyncio

            async def wait():
                return await result

            result = asyncio.run(wait())
    except Exception:
        import traceback

        kind, error, trace = sys.exc_info()
        own = trace
        while own is not None and own.tb_frame.f_code.co_filename != "<" + call["step"] + ">":
            own = own.tb_next
        sys.stdout.flush()
        traceback.print_exception(kind, error, own or trace)
        return 1
    sys.stdout.flush()
    outputs = call["outputs"]
    if not outputs:
        return 0
    try:
        found = fields(result, outputs)
        for name, kind in outputs.items():
            if name in found:
                keep(call, name, kind, found[name])
    except Exception as error:
        print("flowcore: " + type(error).__name__ + ": " + str(error), file=sys.stderr)
        return call["bad_output"]
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(CALL), sys.argv[1:]))
