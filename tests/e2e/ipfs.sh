#!/bin/bash
# Inputs from a real IPFS node: by CID, by RPC and by gateway, next to a local folder; what is said when something is wrong.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
use_images busybox
: "${SHOAL_TEST_IPFS_API:?is not set: tests/run.sh sets it, deploy/storage/server.sh start ipfs brings such a server up}"
make_files tree/a 30
make_files tree/b/c 20 g
head -c 3000000 /dev/urandom >tree/large.txt
mkdir tree/empty
TREE='cd /in && find . -type f | while read -r f; do mkdir -p "/out/$(dirname "$f")" && cp "$f" "/out/$f"; done'
deep () { "$SHOAL" run "$@" busybox sh -c "$TREE"; }
cid=$(python3 "$E2E_LIB/ipfs_add.py" "$SHOAL_TEST_IPFS_API" tree cid-version=0)
cid1=$(python3 "$E2E_LIB/ipfs_add.py" "$SHOAL_TEST_IPFS_API" tree cid-version=1)
deep -v ./tree:/in -o res:/out --glob '**/*.txt' --batch-size 7 --results here 2>/dev/null

expect_exit 2 "without a node" env HOME=/nonexistent bash -c "\"\$0\" plan -v $cid:/in --glob '**' busybox true" "$SHOAL"
expect_stderr "no IPFS node is known: --ipfs-api"
expect_one_line
expect_exit 0 "a bare CID" deep --ipfs-api "$SHOAL_TEST_IPFS_API" -v "$cid:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results rpc
expect_true "… is the folder" diff -r here/outputs rpc/outputs
export SHOAL_IPFS_API=$SHOAL_TEST_IPFS_API
expect_exit 0 "a URL" deep -v "ipfs://$cid1/:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results url
expect_true "… is the folder" diff -r here/outputs url/outputs
expect_exit 0 "a part of it" deep -v "ipfs://$cid/b:/in" -o res:/out --glob 'c/g00*.txt' --results part
expect_same "… is what matches" 9 "$(find part/outputs/res -type f | wc -l)"
expect_exit 0 "a folder as an atom" deep -v "$cid:/in" -o res:/out --glob '*' --batch-size 1 --results folders
expect_true "… comes whole" diff -r here/outputs folders/outputs
unset SHOAL_IPFS_API
expect_exit 0 "by a gateway" deep --ipfs-gateway "$SHOAL_TEST_IPFS_GATEWAY" -v "$cid:/in" -o res:/out --glob '**/*.txt' --batch-size 7 --results gateway
expect_true "… is the folder" diff -r here/outputs gateway/outputs
# Listing it takes five blocks: the folder and what is in it.
/usr/bin/python3 -B "$E2E_LIB/ipfs_front.py" "$SHOAL_TEST_IPFS_GATEWAY" flips 8 "$PWD/lied" >front.port &
at_end "kill $!"
wait_for "the front" test -s front.port
began=$SECONDS
expect_exit 1 "by one that lies" deep --ipfs-gateway "http://127.0.0.1:$(cat front.port)" -v "$cid:/in" -o res:/out --glob large.txt --results lies
expect_stderr "large.txt \(baf[a-z0-9]*\): block $(head -n 1 lied): the content does not match the CID, 3 times in a row"
expect_true "… without long waits" test $((SECONDS - began)) -le 5
make_files more 5 h
export SHOAL_IPFS_API=$SHOAL_TEST_IPFS_API
expect_exit 0 "together with a local folder" deep -v "$cid:/in/volume1" -v ./more:/in/volume2 -o res:/out --glob '*/**/*.txt' --batch-size 9 --results both
expect_true "… all of the one" diff -r here/outputs/res both/outputs/res/volume1
expect_true "… and of the other" diff -r more both/outputs/res/volume2
mkdir "$cid"
cp more/* "$cid"
expect_exit 0 "a folder that is called like a CID" deep -v "./$cid:/in" -o res:/out --glob '**/*.txt' --results named
expect_true "… is the folder" diff -r more named/outputs/res
expect_exit 3 "what the node hasn't got" "$SHOAL" plan -v ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5a:/in --glob '**' busybox true
expect_exit 2 "what is no CID" "$SHOAL" plan -v ipfs://photos:/in --glob '**' busybox true
expect_stderr "ipfs://photos: 'photos' is not a CID"
