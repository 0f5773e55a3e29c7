# certificates.sh — an authority of one's own and what it signs: EC keys, PEM. To be sourced.
#
# FOLDER/ca.pem is whom clients trust; FOLDER/NAME.key and NAME.pem are a server's or client's on 127.0.0.1 and localhost.

CERTIFICATE_DAYS=3650

new_key () { # REQUEST-OPTION…
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null
}

make_certificates () { # FOLDER NAME…
  local folder=$1 name
  shift
  mkdir -p "$folder"
  new_key -x509 -days $CERTIFICATE_DAYS -subj /CN=shoal-dev-ca -keyout "$folder/ca.key" -out "$folder/ca.pem"
  for name; do
    new_key -subj "/CN=$name" -keyout "$folder/$name.key" -out "$folder/$name.csr"
    openssl x509 -req -in "$folder/$name.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial \
      -days $CERTIFICATE_DAYS -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out "$folder/$name.pem" 2>/dev/null
  done
}
