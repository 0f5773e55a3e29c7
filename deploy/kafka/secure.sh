# secure.sh — the listeners that want a password (SASL_SSL) or a client's certificate (mTLS). To be sourced.
#
# $DIR/tls/ has the certificates, $DIR/password the password of the user `shoal`, $DIR/client-*.properties what a client needs:
# files that SHOAL_KAFKA_CONFIG names. All are made with the cluster and readable by nobody else (umask 077).
SASL_USER=shoal
ACL_USERS="producer worker merger api submit upstream reader control dead topics" # of --acl, with the same password

make_secrets () {
  command -v openssl >/dev/null || die "openssl isn't there: tools/install.sh kafka installs it"
  make_certificates "$DIR/tls" broker client
  cat "$DIR/tls/broker.key" "$DIR/tls/broker.pem" >"$DIR/tls/broker-store.pem"
  random_id >"$DIR/password"
  local user
  sasl_client PLAIN >"$DIR/client-plain.properties"
  sasl_client SCRAM-SHA-512 >"$DIR/client-scram.properties"
  mtls_client >"$DIR/client-mtls.properties"
  [ "$ACL" = 0 ] || for user in $ACL_USERS; do sasl_client PLAIN "$user" >"$DIR/client-$user.properties"; done
}

sasl_client () { # MECHANISM [USER]
  cat <<END
security.protocol=SASL_SSL
ssl.ca.location=$DIR/tls/ca.pem
sasl.mechanism=$1
sasl.username=${2:-$SASL_USER}
sasl.password=$(<"$DIR/password")
END
}

mtls_client () {
  cat <<END
security.protocol=SSL
ssl.ca.location=$DIR/tls/ca.pem
ssl.certificate.location=$DIR/tls/client.pem
ssl.key.location=$DIR/tls/client.key
END
}

plain_users () {
  local user
  printf 'user_%s="%s" ' "$SASL_USER" "$(<"$DIR/password")"
  [ "$ACL" = 0 ] || for user in $ACL_USERS; do printf 'user_%s="%s" ' "$user" "$(<"$DIR/password")"; done
}

# With --acl: brokers talk to each other on the port without a password, which is on loopback like all others. Who comes there is nobody in particular.
acl_properties () {
  cat <<END
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:$SASL_USER
END
}

# Lines for server.properties.
secure_properties () {
  local login=org.apache.kafka.common.security
  cat <<END
ssl.keystore.type=PEM
ssl.keystore.location=$DIR/tls/broker-store.pem
ssl.truststore.type=PEM
ssl.truststore.location=$DIR/tls/ca.pem
listener.name.mtls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required $(plain_users);
listener.name.sasl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
END
}

# Options of the storage tool, one a line, for a file: arguments are seen by everybody.
scram_users () {
  local mechanism
  for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
    printf '%s\n' --add-scram "$mechanism=[name=$SASL_USER,password=$(<"$DIR/password")]"
  done
}
