#!/usr/bin/python3
"""Makes N different pictures that look a little like photographs: DIR/image00001.jpg …

    photos.py DIR N [--size 640x480] [--quality 85]

Each is a crop of one of a few painted landscapes; place, scale, mirroring and light follow from its number alone, so the
same number gives the same picture. Pictures that are there already are kept: a call that was cut off can be repeated.
"""
import argparse
import multiprocessing
import os
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SCENES = 6
SCENE_SIZE = (1920, 1440)


def noise(rng, columns, rows, size):
    """Smooth random colours: a grid of COLUMNS × ROWS, blown up."""
    grid = Image.frombytes("RGB", (columns, rows), rng.randbytes(columns * rows * 3))
    return grid.resize(size, Image.BICUBIC)


def scene(number):
    """A sky with a sun, clouds, hills one behind the other, and grain."""
    rng = random.Random(number)
    width, height = SCENE_SIZE
    top = tuple(rng.randrange(20, 140) for _ in range(3))
    horizon = tuple(rng.randrange(150, 256) for _ in range(3))
    sky = Image.new("RGB", (1, 2))
    sky.putdata([top, horizon])
    picture = sky.resize(SCENE_SIZE, Image.BILINEAR)
    picture = Image.blend(picture, noise(rng, 24, 10, SCENE_SIZE), 0.15)
    draw = ImageDraw.Draw(picture)
    x, y, r = rng.randrange(width), rng.randrange(height // 2), rng.randrange(60, 160)
    draw.ellipse([x - r, y - r, x + r, y + r], fill=(255, 240, 200))
    for layer in range(5):
        base = height * (0.45 + 0.11 * layer)
        outline, level = [(0, height)], base
        for step in range(0, width + 1, 16):
            level += rng.uniform(-14, 14) + (base - level) * 0.03
            outline.append((step, level))
        outline.append((width, height))
        draw.polygon(outline, fill=tuple(int(c * (0.75 - 0.13 * layer)) for c in horizon))
    picture = picture.filter(ImageFilter.GaussianBlur(1))
    return Image.blend(picture, noise(rng, width // 2, height // 2, SCENE_SIZE), 0.09)


def picture(number, size):
    rng = random.Random(number)
    source = scenes[number % len(scenes)]
    width, height = size
    zoom = rng.uniform(1, min(source.width / width, source.height / height))
    x = rng.randrange(int(source.width - width * zoom) + 1)
    y = rng.randrange(int(source.height - height * zoom) + 1)
    crop = source.resize(size, Image.BILINEAR, box=(x, y, x + width * zoom, y + height * zoom))
    if rng.random() < 0.5:
        crop = crop.transpose(Image.FLIP_LEFT_RIGHT)
    light = tuple(rng.randrange(170, 256) for _ in range(3))
    return ImageChops.multiply(crop, Image.new("RGB", size, light))


def prepare():
    global scenes
    scenes = [scene(number) for number in range(SCENES)]


def save(task):
    number, folder, size, quality = task
    path = os.path.join(folder, f"image{number:05d}.jpg")
    if os.path.exists(path):
        return
    part = f"{path}.part"
    picture(number, size).save(part, "JPEG", quality=quality)
    os.rename(part, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("count", type=int)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--quality", type=int, default=85)
    arguments = parser.parse_args()
    size = tuple(int(n) for n in arguments.size.split("x"))
    if not (0 < size[0] <= SCENE_SIZE[0] and 0 < size[1] <= SCENE_SIZE[1]):
        parser.error(f"--size: at most {SCENE_SIZE[0]}x{SCENE_SIZE[1]}")
    os.makedirs(arguments.folder, exist_ok=True)
    tasks = [(n, arguments.folder, size, arguments.quality) for n in range(1, arguments.count + 1)]
    with multiprocessing.Pool(len(os.sched_getaffinity(0)), prepare) as pool:
        pool.map(save, tasks, 64)


if __name__ == "__main__":
    main()
