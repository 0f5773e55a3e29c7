# Sourced by tests that hold imported images against what another tool made of them.

# tree FOLDER [PATH…]: a line an entry, with type, mode, owner, link and sum; without /dev, /proc, /sys and PATHs.
tree () {
  local folder=$1 path left=(-path ./dev -o -path ./proc -o -path ./sys)
  for path in "${@:2}"; do left+=(-o -path "./$path"); done
  (cd "$folder" && find . -mindepth 1 \( "${left[@]}" \) -prune \
    -o -printf '%p %y %m %U:%G %l ' \( -type f -exec sh -c 'sha256sum <"$1"' - {} \; -o -printf '\n' \)) | LC_ALL=C sort
}

# same_tree WHAT SOURCE WHOSE EXPECTED [PATH…]: SOURCE, imported as `this`, has the tree in EXPECTED, which is WHOSE. $imported: its folder.
same_tree () {
  expect_exit 0 "import of $1" "$SHOAL" image import "$2" --as this
  imported=$(find store/images -mindepth 1 -maxdepth 1)
  tree "$imported/rootfs" "${@:5}" >shoal.tree
  if diff "$4" shoal.tree >tree.diff; then ok "… its root file system is $3"; else
    fail "… its root file system isn't $3: $(head -5 tree.diff)"
  fi
}
