#!/usr/bin/python3
"""Names that are defined in several files of the program: names.py. Prints them; no output and 0 when there are none.

A search for a static function, or for a struct, enum or union, finds one place. Names that a macro makes aren't seen
(SETTER (quiet)). The sources are in the GNU style that clang-format keeps: a function's name begins its line.
"""
import collections
import os
import re
import sys

ROOMS = ["bus", "cli", "common", "httpd", "merger", "policy", "producer", "result", "schemas", "storage", "worker"]
FUNCTION = re.compile(r"^static [^;={}()]*\n(\w+) \(", re.MULTILINE)
INLINE = re.compile(r"^static inline [^;={}()]*?(\w+) \([^;{}]*\)\n\{", re.MULTILINE)
TAG = re.compile(r"^(?:static )?(?:const )?((?:struct|enum|union) \w+)\n\{", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def places():
    """Each name with the files that define it."""
    found = collections.defaultdict(set)
    for room in ROOMS:
        for folder, _, names in os.walk(room):
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    text = COMMENT.sub("", file.read())
                for pattern in (FUNCTION, INLINE, TAG):
                    for match in pattern.findall(text):
                        found[match].add(path)
    return found


def main():
    several = {name: paths for name, paths in places().items() if len(paths) > 1}
    for name, paths in sorted(several.items()):
        print(f"{name}: {' '.join(sorted(paths))}")
    sys.exit(1 if several else 0)


if __name__ == "__main__":
    main()
