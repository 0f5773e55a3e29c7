#!/usr/bin/env python3
"""Makes the golden messages with fastavro: somebody else's reading of the Avro specification.

    pip install fastavro && python3 tests/golden/make.py

One record of each kind with every field set, as single-object encoding, and the schemas' fingerprints.
tests/unit/schemas/test_codec.c holds the same records as C structs. Run it again only for a new version
of a schema: the files of an old version stay.
"""
import io
import json
import pathlib
import struct

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

HERE = pathlib.Path(__file__).parent
SCHEMAS = HERE.parent.parent / "schemas"
DIGEST = bytes(range(32))

RECORDS = {
    "Job": dict(
        id="j-1", submitted=1700000000123, results="/home/me/results", image="imagemagick",
        command=["-resize", "100x100", ""], entrypoint=[], env=["A=1", "B=two words"],
        workdir="/work", user="1000:1000", network="HOST", read_only=True, tmpfs=["/tmp:size=1m"],
        runtime="process",
        volumes=[dict(source="/photos", path="/input_images", shared=False),
                 dict(source="s3://b/k", path="/model", shared=True)],
        outputs=[dict(name="results", path="/output_images")],
        glob="**/*.jpg", base_path="/input_images", exclude=["*.tmp"], batch_size=1000,
        batch_bytes=1 << 40, shards=None, needs_count=True, symlinks="SKIP", stage="BIND",
        memory=1 << 31, cpus=1500, pids=100, timeout_ms=60000, job_timeout_ms=None,
        log_limit=1 << 20, retries=5, fail_on=[2, 255], success_codes=[0, 7], min_success=9500,
        max_failures=3, max_failures_bp=None, on_conflict="CONCAT", reduce_image="sum",
        reduce_command=["all"], queue="gpu", webhook="https://h/x",
        max_output_bytes=1 << 41, max_output_files=100000, stage_timeout_ms=3600000,
        collect_timeout_ms=None, credentials="team-a",
        image_id="sha256:" + "0123456789abcdef" * 4, reduce_image_id="sha256:" + "f" * 64,
        init=False, stop_signal="SIGINT", stop_timeout_ms=2500, output_links="FAIL",
        hostname="node-1", groups=["staff", "44"], cap_drop=["ALL"], ulimits=["nofile=1024:2048"],
        shm_size=1 << 28, glob_ignore_case=True, retry_memory=150, retry_memory_max=1 << 33,
        platform="linux/arm/v7", quarantined=["/in/bad.jpg"],
        devices=["/dev/fuse:/dev/f:rw", "vendor.com/gpu=0"], pilot=7, max_parallel=40, priority=-3,
        earlier_images=["sha256:" + "e" * 64],
        order="SIZE"),
    "Shard": dict(
        job_id="j-1", kind="REDUCE", generation=2, index=41, count=100, attempt=3, failures=1,
        infra=1, not_before=1700000001000, atom_count=1000, bytes=123456789, digest=DIGEST,
        atoms=b"", plan=dict(offset=1 << 33, length=700000), memory=1 << 32,
        volume_pins=["", "5-1764478000123456789-4711"]),
    "Event": dict(
        kind="FINISHED", job_id="j-1", time=1700000002000, writer="worker-h-1", generation=1,
        index=41, shard_kind="MAP", attempt=2, starts=3, digest=DIGEST, shards=None, atoms=1000,
        bytes=None,
        report=dict(outcome="OOM", final=True, exit_code=137, signal=9, folder="00041.g1.a2.s3",
                    reason="killed: out of memory", started=1700000001000, ended=1700000001999,
                    cpu_us=5000000, peak_memory=1 << 31, bytes_in=1, bytes_out=2, files_out=3),
        indexes=[0, 64, 70000], on_conflict="LAST", reason="r", class_name="user",
        volume_pins=["7-1-2"]),
    "Control": dict(kind="SET", job_id="j-1", time=1700000000000, generation=2,
                    reason="not needed", priority=-3, max_parallel=40, paused=True),
    "JobStatus": dict(
        job_id="j-1", state="PARTIAL", updated=1700000003000, shards=100, atoms=100000,
        succeeded=99, failed=1, running=0, atoms_done=99000, generation=2, closed=1, result="/home/me/results",
        reason="1 shard failed", class_name=None, webhook="pending"),
    "Claim": dict(
        kind="SETTLE", writer="worker-h-1-abc", starts=2, lease=30000, position=1 << 40,
        event=b"\xc3\x01 an event", retry=None),
}
ATOMS = [
    dict(volume=0, folder=False, size=12345, path=b"2019/a.jpg", source=None),
    dict(volume=1, folder=True, size=-1, path=b"", source=None),
    dict(volume=70000, folder=False, size=1 << 40, path=b"new\nline \xff\xfe", source=b"s3://b/k"),
    dict(volume=0, folder=False, size=3, path=b"a", source=("shoal.Pin", dict(version=b'"d41d8c"', source=None))),
    dict(volume=0, folder=False, size=-1, path=b"b", source=("shoal.Pin", dict(version=b"v", source=b"https://h/x"))),
]


def main():
    lines = []
    for path in sorted(SCHEMAS.glob("*.avsc")):
        if "." in path.stem:
            continue  # an older version: its files stay as they are
        schema = json.loads(path.read_text())
        canonical = to_parsing_canonical_form(schema)
        print_of = fingerprint(canonical, "CRC-64-AVRO")  # hex of the little-endian bytes
        number = struct.unpack("<Q", bytes.fromhex(print_of))[0]
        lines.append(f"{path.stem} {number:016x}")
        (HERE / f"{path.stem}.canonical").write_text(canonical)
        parsed = fastavro.parse_schema(schema)
        out = io.BytesIO()
        if path.stem == "Atom":
            for atom in ATOMS:
                fastavro.schemaless_writer(out, parsed, atom)
        else:
            out.write(b"\xc3\x01" + struct.pack("<Q", number))
            fastavro.schemaless_writer(out, parsed, RECORDS[path.stem])
        (HERE / f"{path.stem}.avro").write_bytes(out.getvalue())
    (HERE / "fingerprints").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
