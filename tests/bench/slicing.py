#!/usr/bin/python3
"""Slicing a million files against fd and find on the same tree, and memory by the number of atoms. slicing.py SHOAL BENCH_SLICING"""
import os
import subprocess
import sys

import measure

FOLDERS, FILES = 1000, 1000
ROUNDS = 5


def make_tree(root):
    for i in range(FOLDERS):
        folder = os.path.join(root, f"folder{i:04d}")
        os.makedirs(folder)
        handle = os.open(folder, os.O_RDONLY)
        for k in range(FILES):
            os.close(os.open(f"image{k:04d}.jpg", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=handle))
        os.close(handle)


def main():
    shoal, bench_slicing = sys.argv[1:]
    with measure.Folder() as folder:
        tree = folder.below("tree")
        make_tree(tree)
        plan = [shoal, "plan", "-v", tree + ":/in", "--glob", "**/*.jpg", "--batch-size", "1000"]
        fd = ["fdfind", "--unrestricted", "--unrestricted", "--glob", "*.jpg", tree]
        commands = {
            "atoms": [*plan, "--atoms", "image"],
            "summary": [*plan, "image"],
            "fd": fd,
            "fd1": [*fd, "--threads", "1"],
            "find": ["find", tree, "-type", "f", "-name", "*.jpg"],
        }
        out = subprocess.run(commands["atoms"], stdout=subprocess.PIPE, check=True).stdout
        if out.count(b"\n") != FOLDERS * FILES:
            sys.exit("slicing.py: shoal plan doesn't see every file")
        medians = measure.in_turn(ROUNDS, **{name: (lambda argv=argv: measure.once(argv))
                                             for name, argv in commands.items()})
        text = "slicing 1,000,000 files"
        measure.row(f"{text}, paths listed (`plan --atoms`)", medians["atoms"], medians["fd"], "`fdfind`, all cores")
        measure.row(f"{text}, paths listed", medians["atoms"], medians["fd1"], "`fdfind -j1`")
        measure.row(f"{text}, paths listed", medians["atoms"], medians["find"], "`find`")
        measure.row(f"{text}, plan only (`plan`)", medians["summary"], medians["fd"], "`fdfind`, all cores")
        measure.note("peak memory of `plan`, 1,000,000 files on disk", f"{measure.peak_memory(commands['summary']):.1f} MiB")
    base = None
    for batch in (1, 1000):
        for atoms in (10_000, 1_000_000, 10_000_000):
            argv = [bench_slicing, str(atoms), str(batch)]
            memory = measure.peak_memory(argv)
            base = base or memory
            print(f"| slicer, {atoms:,} invented atoms, batch size {batch:,}: memory | {memory:.1f} MiB, {measure.once(argv):.3g} s "
                  f"| 10,000 atoms {base:.1f} MiB | {memory / base:.2f} |", flush=True)


if __name__ == "__main__":
    main()
