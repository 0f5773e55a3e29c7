"""Random trees with links, and what a plan of them must be by the rules of Python's os.walk (followlinks=True, without circles)."""
import os, random, subprocess, sys


def grow (root, outside, random):
  """Folders, files and links of all kinds; targets that exist, or nowhere that is asked for."""
  folders, files = [root], []
  for top in (root, outside):
    own = [top]
    for _ in range (random.randint (1, 7)):
      above = random.choice (own)
      path = os.path.join (above, random.choice ("abcd-.") + random.choice ("xyz0-") + str (random.randint (0, 9)))
      if not os.path.lexists (path):
        os.mkdir (path)
        own.append (path)
    for _ in range (random.randint (0, 9)):
      path = os.path.join (random.choice (own), random.choice ("fgh") + str (random.randint (0, 30)))
      if not os.path.lexists (path):
        open (path, "w").write (path)
        files.append (path)
    if top == root: inner = list (own)
    folders += own
  for _ in range (random.randint (0, 6)):
    path = os.path.join (random.choice (inner), random.choice ("abcfgz-") + "l" + str (random.randint (0, 9)))
    target = random.choice (folders if random.random () < 0.7 or not files else files)
    if os.path.lexists (path): continue
    os.symlink (target if random.random () < 0.5 else os.path.relpath (target, os.path.dirname (path)), path)


def identity (path):
  status = os.stat (path)
  return status.st_dev, status.st_ino


def walk (root, follow):
  """Files below ROOT as a plan gives them, the links to folders that were left out, and whether a link to a file leads out."""
  files, left, leaves = [], [], False

  def enter (path, below, above):
    nonlocal leaves
    names = []
    for name in os.listdir (path):
      whole = os.path.join (path, name)
      is_folder = os.path.isdir (whole)
      if is_folder and os.path.islink (whole) and (not follow or identity (whole) in above):
        left.append (below + name)
        continue
      if not is_folder and os.path.islink (whole) and not follow:
        leaves |= not os.path.realpath (whole).startswith (os.path.realpath (root) + "/")
      names.append ((os.fsencode (name) + (b"/" if is_folder else b""), name, is_folder))
    for _, name, is_folder in sorted (names):
      if is_folder:
        enter (os.path.join (path, name), below + name + "/", above | {identity (os.path.join (path, name))})
      else:
        files.append (below + name)

  enter (root, "", {identity (root)})
  return files, left, leaves


def check (shoal, place, random):
  root, outside = os.path.join (place, "in"), os.path.join (place, "out")
  os.makedirs (root)
  os.makedirs (outside)
  grow (root, outside, random)
  for how in ("follow", "beneath"):
    files, left, leaves = walk (root, how == "follow")
    plan = subprocess.run ([shoal, "plan", "-v", root + ":/in", "--glob", "**", "--symlinks", how, "--batch-size", "3", "--atoms", "--null", "busybox"],
                           capture_output=True)
    if leaves or not files:
      assert plan.returncode == 2, (how, plan)
      continue
    expected = [b"/in/" + os.fsencode (name) for name in files]
    assert plan.returncode == 0, (how, plan)
    assert plan.stdout.split (b"\0")[:-1] == expected, (how, plan.stdout, expected)
    told = subprocess.run ([shoal, "plan", "-v", root + ":/in", "--glob", "**", "--symlinks", how, "busybox"], capture_output=True, text=True).stdout
    line = [line for line in told.splitlines () if line.startswith ("left out")]
    assert len (line) == (len (left) > 0), (how, told, left)
    assert not left or line[0].split ()[2] == str (len (left)), (line, left)


def main ():
  shoal, place, seed, rounds = sys.argv[1], sys.argv[2], int (sys.argv[3]), int (sys.argv[4])
  for number in range (rounds):
    check (shoal, os.path.join (place, str (number)), random.Random (seed * 1000003 + number))


main ()
