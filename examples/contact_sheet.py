#!/usr/bin/python3
"""Puts up to 100 pictures of a folder, evenly chosen, on one sheet: contact_sheet.py FOLDER SHEET.png"""
import os
import sys

from PIL import Image

COLUMNS, CELL, GAP = 10, 100, 6


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, sheet_path = sys.argv[1:]
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jpg"))
    if not names:
        sys.exit(f"contact_sheet.py: {folder}: no .jpg in it")
    count = min(len(names), COLUMNS * COLUMNS)
    chosen = [names[i * len(names) // count] for i in range(count)]
    rows = -(-count // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, rows * (CELL + GAP) + GAP), "white")
    for i, name in enumerate(chosen):
        with Image.open(os.path.join(folder, name)) as picture:
            picture.thumbnail((CELL, CELL))
            x = GAP + i % COLUMNS * (CELL + GAP) + (CELL - picture.width) // 2
            y = GAP + i // COLUMNS * (CELL + GAP) + (CELL - picture.height) // 2
            sheet.paste(picture, (x, y))
    sheet.save(sheet_path)


if __name__ == "__main__":
    main()
