#!/usr/bin/python3
"""Which rooms and files know which: arrows.py BUILD. Prints what breaks the rules; no output and 0 when nothing does.

A room may include, and call, only those below it. No file calls, or includes, one that calls or
includes it back, by however many others. Calls are read from the symbols of BUILD's objects.
"""
import os
import re
import subprocess
import sys

BELOW = {
    "common": [],
    "httpd": ["common"],
    "schemas": ["common"],
    "storage": ["common", "schemas"],
    "bus": ["common", "schemas"],
    "result": ["common", "schemas", "storage"],
    "policy": ["common", "schemas", "storage"],
    "producer": ["common", "schemas", "storage", "bus", "result", "policy"],
    "worker": ["common", "schemas", "storage", "bus", "result", "policy"],
    "merger": ["common", "schemas", "storage", "bus", "result", "policy"],
    "cli": ["common", "httpd", "schemas", "storage", "bus", "result", "policy", "producer", "worker", "merger"],
}
INCLUDE = re.compile(r'^ *# *include "(?:\.\./)*([a-z_/0-9]+\.h)"', re.MULTILINE)


def sources():
    for room in BELOW:
        for folder, _, names in os.walk(room):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield room, os.path.join(folder, name)


def includes():
    """Pairs of files: who includes whom."""
    for room, path in sources():
        with open(path, encoding="utf-8") as file:
            for name in INCLUDE.findall(file.read()):
                yield room, path, name


def objects(build):
    """Pairs of a source and its object file in BUILD."""
    for room in BELOW:
        count = 0
        for folder, _, names in os.walk(build):
            _, found, below = (folder + "/").partition(f"/CMakeFiles/{room}.dir/")
            for name in names if found else []:
                source = os.path.join(below.removeprefix(room + "/"), name.removesuffix(".o"))
                if name.endswith(".c.o") and os.path.exists(os.path.join(room, source)):
                    count += 1
                    yield os.path.join(room, source), os.path.join(folder, name)
        if count == 0:
            sys.exit(f"{build}: no objects of {room}/: build it first (cmake --build)")


def symbols(build):
    """(defined, wanted): which file defines a symbol, and which symbols each file asks for."""
    source_of = {path: source for source, path in objects(build)}
    defined, wanted = {}, {source: set() for source in source_of.values()}
    listing = subprocess.run(["nm", "-A", *source_of], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        path, _, rest = line.partition(":")
        kind, symbol = rest.split()[-2:]
        if kind == "U":
            wanted[source_of[path]].add(symbol)
        elif kind in "TDBRC":
            defined[symbol] = source_of[path]
    return defined, wanted


def circles(calls):
    """Tarjan's strongly connected components of more than one file."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in calls.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(calls):
        if node not in index:
            visit(node)
    return found


def main():
    build = sys.argv[1]
    broken = []
    included = {path: set() for _, path in sources()}
    for room, path, name in includes():
        included[path].add(name)
        other = name.partition("/")[0]
        if other in BELOW and other != room and other not in BELOW[room]:
            broken.append(f"{path} includes {name}: {room}/ is not above {other}/")
    defined, wanted = symbols(build)
    calls = {file: set() for file in wanted}
    for file, names in sorted(wanted.items()):
        for name in sorted(names):
            target = defined.get(name)
            if target is None or target == file:
                continue
            calls[file].add(target)
            room, other = file.partition("/")[0], target.partition("/")[0]
            if other != room and other not in BELOW[room]:
                broken.append(f"{file} needs {name} of {target}: {room}/ is not above {other}/")
    broken += ["a circle of includes: " + " ".join(circle) for circle in circles(included)]
    broken += ["a circle of calls: " + " ".join(circle) for circle in circles(calls)]
    if broken:
        print("\n".join(broken))
        sys.exit(1)


if __name__ == "__main__":
    main()
