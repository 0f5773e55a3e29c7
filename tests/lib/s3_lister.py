#!/usr/bin/env python3
"""A bucket that can only be listed: s3_lister.py LOG KIND SEED KEYS PAGE DELAY_MS [BEGIN_MS]. Prints its port and ends with its parent.

Its KEYS are made of SEED, and written to LOG, sorted, before the port is; each page of them has PAGE and comes DELAY_MS later. Beginning in the middle keeps
the whole server busy for BEGIN_MS, behind the answer. A request is a line "page COUNT" in LOG after those, or "begin COUNT" in the middle. KIND:

    decimal   img_0000000.jpg and on, some left out
    plain     file1 … file2000: numbers without zeros before them
    hash      16 hexadecimal digits, spread evenly
    upper     the same in capitals, each in a folder of its first two
    dates     2019-03-07/n.jpg: a few a day
    words     letters of several scripts
    outlier   decimal, but for one very different key at each end and a gap
    deep      folders in folders
    one       a folder with all but a few in it
"""
import bisect
import datetime
import random
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

import standin

log_path, kind = sys.argv[1:3]
seed, count, page_size, delay = (int(word) for word in sys.argv[3:7])
begin = int(sys.argv[7]) if len(sys.argv) > 7 else 0
rng = random.Random(seed)
lock = threading.Lock()
busy = threading.Lock()


def make(i):
    if kind == "decimal":
        return f"img_{i + i // 7 * 3:07d}.jpg"
    if kind == "plain":
        return f"file{i + 1}"
    if kind == "hash":
        return f"{rng.getrandbits(64):016x}"
    if kind == "upper":
        name = f"{rng.getrandbits(64):016X}"
        return name[:2] + "/" + name
    if kind == "dates":
        return f"{datetime.date(2019, 1, 1) + datetime.timedelta(i // 5)}/{rng.randrange(10 ** 6)}.jpg"
    if kind == "words":
        return "".join(rng.choice("abcdeäöü漢字😀 -_%+&<") for _ in range(rng.randrange(1, 12))) + str(i)
    if kind == "outlier":
        return "zzz" if i == 0 else "!" if i == 1 else f"n{i + (1000000 if i > count // 2 else 0):08d}"
    if kind == "deep":
        return "/".join(f"d{rng.randrange(6)}" for _ in range(rng.randrange(1, 7))) + f"/f{i}"
    return f"b/{i:06d}" if i > 20 else f"{rng.choice('ac')}/{i}"


keys = sorted({make(i).encode() for i in range(count)})


class Bucket(standin.Handler):
    wbufsize = 1 << 20  # else the body waits for the acknowledgement of the header

    def do_GET(self):
        said = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        prefix = said.get("prefix", "").encode()
        after = urllib.parse.unquote_to_bytes(said.get("continuation-token") or urllib.parse.quote(said.get("start-after", "")))
        at = max(bisect.bisect_right(keys, after) if after else 0, bisect.bisect_left(keys, prefix))
        found = []
        while len(found) < page_size and at < len(keys) and keys[at].startswith(prefix):
            found.append(keys[at])
            at += 1
        more = at < len(keys) and keys[at].startswith(prefix)
        begins = "start-after" in said
        with lock, open(log_path, "a") as log:
            log.write(f"{'begin' if begins else 'page'} {len(found)}\n")
        with busy:
            pass
        time.sleep(delay / 1000)
        text = "".join(f"<Contents><Key>{urllib.parse.quote(key)}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>" for key in found)
        token = f"<NextContinuationToken>{escape(urllib.parse.quote(found[-1]))}</NextContinuationToken>" if more else ""
        answer = (f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}{text}"
                  "</ListBucketResult>").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()
        if begins and begin:
            with busy:
                time.sleep(begin / 1000)


with open(log_path, "wb") as file:
    file.writelines(b"key " + key + b"\n" for key in keys)
standin.serve(Bucket)
