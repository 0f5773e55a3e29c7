#!/bin/bash
# Where buckets are and who may ask: by the bucket's own host name, without a name of one's own, and where who asks pays.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
server () { MINIO_DOMAIN=localhost bash "$E2E_LIB/../../deploy/storage/server.sh" "$1" minio "$PWD/minio"; } # one of our own: it answers to names of buckets
at_end 'server stop'
eval "$(server start)"
export AWS_EC2_METADATA_DISABLED=true HOME=$PWD
s3 () { "$E2E_PYTHON" "$E2E_LIB/s3.py" "$@"; }
s3 make photos
make_files in/deep 20
head -c 40000000 /dev/urandom >in/large.txt # two parts
printf 'odd' >"in/deep/ü & <x> +%41 'q'.txt"
s3 put in s3://photos/in
job=(run --progress none --runtime process -v s3://photos/in:/in -o res:/out --glob '**/*.txt' --batch-size 8)
# The job with a result in S3, brought from there by the same way.
results=0
works () { # WHAT COMMAND…, which gets the program's arguments
  local what=$1 result=result-$((results += 1))
  shift
  expect_exit 0 "$what: a job" "$@" "${job[@]}" --results "s3://photos/$result" none sh -c 'cp -r in/* out'
  expect_exit 0 "$what: its result" "$@" get "s3://photos/$result" "$result"
  expect_true "$what: the same bytes" diff -r in "$result/outputs/res"
}

# ---- BUCKET.HOST: curl itself finds names in .localhost, no resolver is asked
works "by the bucket's name" env "AWS_ENDPOINT_URL=http://localhost:${AWS_ENDPOINT_URL##*:}" SHOAL_S3_STYLE=virtual "$SHOAL"
: >asked
peer s3_front.py "$AWS_ENDPOINT_URL" notes asked
works "through a front" env "AWS_ENDPOINT_URL=http://localhost:$port" SHOAL_S3_STYLE=virtual "$SHOAL"
expect_true "all methods were needed" test "$(cut -d' ' -f1 asked | sort -u | tr '\n' ' ')" = "DELETE GET HEAD POST PUT "
expect_same "all requests went to the bucket's own host" "photos.localhost:$port" "$(cut -d' ' -f2 asked | sort -u)"
expect_same "… and no path has its name" "" "$(cut -d' ' -f3 asked | grep '^/photos' | head -3)"
: >asked
works "by paths" env "AWS_ENDPOINT_URL=http://localhost:$port" SHOAL_S3_STYLE=path "$SHOAL"
expect_same "all requests went to the server" "localhost:$port" "$(cut -d' ' -f2 asked | sort -u)"

# ---- nobody
nobody=(env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY SHOAL_S3_ANONYMOUS=1 "$SHOAL")
expect_exit 2 "what isn't public" "${nobody[@]}" "${job[@]}" --results anonymous none true
expect_stderr 's3://photos/in/: HTTP 403 \(AccessDenied\): .* \(request without credentials\)'
s3 public photos
expect_exit 0 "what is" "${nobody[@]}" "${job[@]}" --results anonymous none sh -c 'cp -r in/* out'
expect_true "… comes" diff -r in anonymous/outputs/res
expect_exit 2 "but nobody may write there" "${nobody[@]}" "${job[@]}" --results s3://photos/result none true
expect_stderr 's3://photos/result.*AccessDenied.*request without credentials'

# ---- who asks pays
peer s3_front.py "$AWS_ENDPOINT_URL" payer
payer=(env "AWS_ENDPOINT_URL=http://127.0.0.1:$port")
expect_exit 2 "a bucket whose owner doesn't pay" "${payer[@]}" "$SHOAL" "${job[@]}" --results pays none true
expect_stderr 's3://photos/in/: HTTP 403 \(AccessDenied\)'
works "we pay" "${payer[@]}" SHOAL_S3_REQUESTER_PAYS=1 "$SHOAL"
