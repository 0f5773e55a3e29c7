# parts.sh — the parts of the node below $DIR: network, secrets, configuration, start and end. To be sourced by node.sh.
#
# Addresses: the node and its bridge are 10.97.0.1, pods 10.97.0.0/24, Services 10.96.0.0/24, the API server's 10.96.0.1. Ports are each program's own: the namespace has no others.
NODE=10.97.0.1 PODS=10.97.0.0/24 SERVICES=10.96.0.0/24 API=10.96.0.1

# Each step may have been done by an `up` that was killed.
make_network () {
  inside true 2>/dev/null || { rm -f "/run/netns/$NETWORK"; ip netns add "$NETWORK"; }
  inside ip link set lo up
  inside ip link show shoal0 >/dev/null 2>&1 || inside ip link add shoal0 type bridge
  inside ip address replace "$NODE/24" dev shoal0
  inside ip link set shoal0 up
  inside ip route replace "$SERVICES" dev shoal0 # kube-proxy gives it another address, but only to what has a way at all
  inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

signed () { # NAME SUBJECT
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 365 2>/dev/null \
    -extfile <(echo "subjectAltName=DNS:localhost,DNS:keda-operator.keda.svc.local,IP:127.0.0.1,IP:$NODE,IP:$API")
}

# tokens.csv is the last to come: with it all others are there.
make_secrets () ( # a shell of its own: with its umask no container could enter its root
  [ ! -f "$DIR/tokens.csv" ] || exit 0
  umask 077
  mkdir -p "$DIR/pki"
  (
    cd "$DIR/pki"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=node -days 365 2>/dev/null
    openssl genrsa -out accounts.key 2048 2>/dev/null
    signed proxy front-proxy
    signed api kube-apiserver # pods trust ca.crt (kube-root-ca.crt)
    signed tls localhost # of KEDA's parts
  )
  token=$(openssl rand -hex 16)
  cat >"$KUBECONFIG" <<END
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: node, context: {cluster: node, user: admin}}]
current-context: node
END
  echo "$token,admin,admin,\"system:masters\"" >"$DIR/tokens.part"
  mv "$DIR/tokens.part" "$DIR/tokens.csv"
)

configure () {
  mkdir -p "$DIR/cni"
  cat >"$DIR/cni/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "shoal", "plugins": [
  {"type": "bridge", "bridge": "shoal0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "subnet": "$PODS", "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$DIR/addresses"}}]}
END
  cat >"$DIR/containerd.toml" <<END
version = 2
root = "$DIR/containerd/root"
state = "$DIR/containerd/state"
[grpc]
  address = "$DIR/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:latest"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$DIR/cni"
END
  cat >"$DIR/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /$NETWORK
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://$DIR/containerd.sock
podLogsDir: $DIR/logs
clusterDNS: []
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
imageMinimumGCAge: 24h
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
oomScoreAdj: 0
END
}

start_api () {
  start_part api kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$NODE" --service-cluster-ip-range="$SERVICES" \
    --tls-cert-file="$DIR/pki/api.crt" --tls-private-key-file="$DIR/pki/api.key" --token-auth-file="$DIR/tokens.csv" --authorization-mode=Node,RBAC --allow-privileged=true --kubelet-preferred-address-types=InternalIP --client-ca-file="$DIR/pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$DIR/pki/accounts.key" \
    --service-account-signing-key-file="$DIR/pki/accounts.key" --proxy-client-cert-file="$DIR/pki/proxy.crt" --proxy-client-key-file="$DIR/pki/proxy.key" \
    --requestheader-client-ca-file="$DIR/pki/ca.crt" --requestheader-allowed-names=front-proxy --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
}
api_ready () { inside kubectl get --raw /readyz; }

# What a test can't wait for is short: the autoscaler looks every 5 s.
start_controllers () {
  start_part controllers kube-controller-manager --kubeconfig="$KUBECONFIG" --leader-elect=false --use-service-account-credentials=true \
    --service-account-private-key-file="$DIR/pki/accounts.key" --root-ca-file="$DIR/pki/ca.crt" --horizontal-pod-autoscaler-sync-period=5s
  start_part scheduler kube-scheduler --kubeconfig="$KUBECONFIG" --leader-elect=false
  start_part services kube-proxy --kubeconfig="$KUBECONFIG" --hostname-override=node1 --proxy-mode=iptables --cluster-cidr="$PODS" --masquerade-all \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

# The node's own control group, in each hierarchy: kubelet takes one that is there.
group_roots () {
  local root
  for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ ! -f "$root/cgroup.procs" ] || [ -L "$root" ] || case $root in
      /sys/fs/cgroup) echo "$root/$NETWORK"; return ;; # version 2
      *) echo "$root/$NETWORK" ;;
    esac
  done
}

start_kubelet () {
  group_roots | while read -r group; do mkdir -p "$group"; done
  start_part kubelet kubelet --config="$DIR/kubelet.yaml" --kubeconfig="$KUBECONFIG" --root-dir="$DIR/kubelet" --hostname-override=node1 --node-ip="$NODE"
}
node_ready () { inside kubectl wait --for=condition=Ready node/node1 --timeout=1s; }

# The image that holds a pod's namespaces: busybox, asleep.
images_of_the_node () (
  ! ctr -a "$DIR/containerd.sock" -n k8s.io images ls -q | grep -q ^localhost/pause: || exit 0
  . "$HERE/../images/lib.sh"
  new_root "$WORK/root"
  cp -L "$(command -v busybox)" "$WORK/root/bin/busybox"
  write_layout "$WORK/root" "$WORK/pause" localhost/pause '{"Entrypoint":["/bin/busybox","sleep","1000000000"],"User":"65534:65534"}' >/dev/null
  load "$WORK/pause" localhost/pause >/dev/null
)

start_keda () {
  local options=(--kubeconfig="$KUBECONFIG" --cert-dir="$DIR/pki") place=(env POD_NAMESPACE=keda KEDA_CLUSTER_OBJECT_NAMESPACE=keda WATCH_NAMESPACE=)
  inside kubectl apply --server-side -f "$(home_of keda)/crds" >/dev/null
  inside kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Namespace
metadata: {name: keda}
---
apiVersion: v1
kind: Service
metadata: {name: keda-metrics-apiserver, namespace: keda}
spec: {type: ExternalName, externalName: localhost, ports: [{port: 6543}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec: {group: external.metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true,
  service: {name: keda-metrics-apiserver, namespace: keda, port: 6543}}
END
  start_part operator "${place[@]}" "$(home_of keda)/operator" "${options[@]}" --leader-elect=false --health-probe-bind-address=127.0.0.1:6544 \
    --metrics-bind-address=127.0.0.1:6545 --metrics-service-bind-address=127.0.0.1:6546
  start_part adapter "${place[@]}" "$(home_of keda)/adapter" "${options[@]}" --lister-kubeconfig="$KUBECONFIG" --authentication-kubeconfig="$KUBECONFIG" \
    --authorization-kubeconfig="$KUBECONFIG" --secure-port=6543 --metrics-service-address=localhost:6546 --port=6547
}
keda_ready () { inside kubectl wait --for=condition=Available apiservice/v1beta1.external.metrics.k8s.io --timeout=1s; }

end_part () { # NAME
  process_signal "$DIR/$1.pid" TERM
  wait_until_gone 5 "$DIR/$1.pid" || true
  process_kill "$DIR/$1.pid"
}

mounts_below () { awk -v "dir=$DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts; }

# Pods' processes are containerd's: they end after kubelet, who would start them again, and before containerd.
down () {
  local name task place
  for name in adapter operator kubelet services scheduler controllers api; do end_part $name; done
  if process_pid "$DIR/containerd.pid" >/dev/null; then
    for task in $(ctr -a "$DIR/containerd.sock" -n k8s.io tasks ls -q 2>/dev/null); do
      ctr -a "$DIR/containerd.sock" -n k8s.io tasks rm -f "$task" >/dev/null 2>&1 || true
    done
  fi
  end_part containerd
  end_part etcd
  mounts_below | sort -r | while read -r place; do umount -l "$place" || true; done
  [ -z "$(mounts_below)" ] || die "not removed, something is mounted below $DIR: $(mounts_below | head -1)"
  [ ! -e "/run/netns/$NETWORK" ] || ip netns del "$NETWORK"
  group_roots | while read -r group; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + || say "the control group $group stays"
  done
  rm -rf "$DIR"
}
