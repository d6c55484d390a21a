#!/usr/bin/env bash
# A one-machine Kubernetes 1.20.2 from Debian's source package: a real API server, scheduler, controller manager and
# kubelet over containerd, without Docker and without a registry.
#   kubernetes/e2e/cluster.sh build CACHE    once; 10 minutes, 3 GB while building, 0.5 GB after
#   kubernetes/e2e/cluster.sh start CACHE    KUBECONFIG=CACHE/admin.conf then names it
#   kubernetes/e2e/cluster.sh stop  CACHE
# Needs root, cgroup v1 and: apt-get install golang-1.19-go golang-github-modern-go-reflect2-dev dpkg-dev rsync \
#   etcd-server containerd runc containernetworking-plugins busybox-static buildah
set -euo pipefail
command=$1
cache=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
state=$cache/state
node=shortlist-node

build() {
  [ -x "$cache/bin/kubelet" ] && return
  local source=$cache/source
  mkdir -p "$source" "$cache/lists/partial" "$cache/bin"
  # A list of sources of our own: the machine's stays as it is.
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" \
    > "$cache/sources.list"
  local apt=(-o "Dir::Etc::sourcelist=$cache/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$cache/lists")
  apt-get "${apt[@]}" update
  (cd "$source" && apt-get "${apt[@]}" source --only-source kubernetes)
  cd "$source"/kubernetes-*/
  # The vendored reflect2 reads maps as Go 1.17 laid them out: the API server crashes on the first custom resource.
  rm -rf vendor/github.com/modern-go/reflect2
  cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/
  PATH=/usr/lib/go-1.19/bin:$PATH GO111MODULE=off CGO_ENABLED=0 GOCACHE=$cache/go \
    make WHAT="cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet"
  cp _output/local/bin/linux/amd64/kube* "$cache/bin/"
  rm -rf "$source" "$cache/go" "$cache/lists"
}

background() { # NAME COMMAND...: start it, remember its process
  local name=$1
  shift
  setsid "$@" > "$state/$name.log" 2>&1 < /dev/null &
  echo $! > "$state/$name.pid"
}

await() { # WHAT SECONDS COMMAND...
  local what=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "$what did not come up; see $state/*.log" >&2; exit 1; }
    sleep 0.5
  done
}

kubeconfig() { # USER TOKEN > FILE
  cat << END
{"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
 "clusters": [{"name": "e2e", "cluster":
   {"server": "https://127.0.0.1:6443", "certificate-authority": "$state/pki/apiserver.crt"}}],
 "users": [{"name": "$1", "user": {"token": "$2"}}],
 "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "$1"}}]}
END
}

configure() ( # in a shell of its own: the umask is for its files alone
  mkdir -p "$state/pki" "$state/etcd" "$state/net.d"
  umask 077
  openssl genrsa -out "$state/pki/accounts.key" 2048 2> /dev/null
  # How the API server proves itself to the kubelet when it asks for a pod's log.
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=e2e -days 3650 \
    -keyout "$state/pki/ca.key" -out "$state/pki/ca.crt" 2> /dev/null
  openssl req -newkey rsa:2048 -nodes -subj /O=system:masters/CN=apiserver \
    -keyout "$state/pki/client.key" -out "$state/pki/client.csr" 2> /dev/null
  openssl x509 -req -in "$state/pki/client.csr" -CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -CAcreateserial \
    -days 3650 -out "$state/pki/client.crt" 2> /dev/null
  : > "$state/tokens.csv"
  local user token
  for user in admin system:kube-controller-manager system:kube-scheduler "system:node:$node"; do
    token=$(openssl rand -hex 16)
    case $user in
      admin) echo "$token,$user,$user,system:masters" ;;
      system:node:*) echo "$token,$user,$user,system:nodes" ;;
      *) echo "$token,$user,$user" ;;
    esac >> "$state/tokens.csv"
    kubeconfig "$user" "$token" > "$state/${user//:/-}.conf"
  done
  cp "$state/admin.conf" "$cache/admin.conf"
  cat > "$state/containerd.toml" << END
version = 2
root = "$state/containerd"
state = "$state/containerd-run"
[grpc]
  address = "$state/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${SNAPSHOTTER:-overlayfs}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/net.d"
END
  cat > "$state/net.d/10-bridge.conf" << END
{"cniVersion": "0.4.0", "name": "e2e", "type": "bridge", "bridge": "shortlist0", "isGateway": true,
 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.66.0.0/24"}]], "dataDir": "$state/addresses"}}
END
  cat > "$state/kubelet.yaml" << END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failSwapOn: false
makeIPTablesUtilChains: false
clusterDNS: []
evictionHard: {memory.available: 200Mi}
imageGCHighThresholdPercent: 100
serverTLSBootstrap: false
END
)

pause_image() {
  local store=(--root "$cache/images" --runroot "$cache/images-run" --storage-driver "${STORAGE_DRIVER:-overlay}")
  local container
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" copy --quiet --chmod 755 "$container" /bin/busybox /busybox > /dev/null
  buildah "${store[@]}" config --entrypoint '["/busybox", "sleep", "2147483647"]' "$container"
  buildah "${store[@]}" commit --quiet --rm "$container" localhost/pause:1 > /dev/null
  buildah "${store[@]}" push --quiet localhost/pause:1 "docker-archive:$cache/pause.tar:localhost/pause:1"
}

start() {
  export PATH=$cache/bin:/usr/sbin:$PATH KUBECONFIG=$cache/admin.conf
  configure
  background containerd containerd --config "$state/containerd.toml"
  background etcd etcd --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:2389 \
    --advertise-client-urls http://127.0.0.1:2389 --listen-peer-urls http://127.0.0.1:2390 --unsafe-no-fsync
  background apiserver kube-apiserver --etcd-servers http://127.0.0.1:2389 --bind-address 127.0.0.1 --secure-port 6443 \
    --cert-dir "$state/pki" --token-auth-file "$state/tokens.csv" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction,PodSecurityPolicy --service-cluster-ip-range 10.67.0.0/24 --anonymous-auth=false \
    --service-account-issuer https://e2e --service-account-key-file "$state/pki/accounts.key" \
    --service-account-signing-key-file "$state/pki/accounts.key" --allow-privileged=false \
    --kubelet-preferred-address-types=InternalIP --kubelet-client-certificate "$state/pki/client.crt" \
    --kubelet-client-key "$state/pki/client.key"
  await "the API server" 120 kubectl get --raw /readyz
  background controllers kube-controller-manager --kubeconfig "$state/system-kube-controller-manager.conf" \
    --service-account-private-key-file "$state/pki/accounts.key" --use-service-account-credentials --leader-elect=false
  background scheduler kube-scheduler --kubeconfig "$state/system-kube-scheduler.conf" --leader-elect=false
  await containerd 60 ctr --address "$state/containerd.sock" version
  [ -f "$cache/pause.tar" ] || pause_image
  local archive
  for archive in "$cache"/*.tar; do
    ctr --address "$state/containerd.sock" --namespace k8s.io images import "$archive" > /dev/null
  done
  background kubelet kubelet --config "$state/kubelet.yaml" --kubeconfig "$state/system-node-$node.conf" \
    --hostname-override "$node" --node-ip "$(hostname -I | cut -d' ' -f1)" --root-dir "$state/kubelet" \
    --container-runtime remote --container-runtime-endpoint "unix://$state/containerd.sock"
  await "the node" 120 sh -c "kubectl wait --for=condition=Ready node/$node --timeout=1s"
  echo "export KUBECONFIG=$cache/admin.conf"
}

stop() {
  local name
  if [ -S "$state/containerd.sock" ]; then
    kill_one kubelet
    local task
    for task in $(ctr --address "$state/containerd.sock" --namespace k8s.io tasks list --quiet); do
      ctr --address "$state/containerd.sock" --namespace k8s.io tasks delete --force "$task" > /dev/null 2>&1 || true
    done
  fi
  for name in scheduler controllers apiserver etcd containerd; do kill_one "$name"; done
  grep -o "$state/[^ ]*" /proc/mounts | tac | xargs --no-run-if-empty umount --lazy
  rm -rf "$state"
  ip link delete shortlist0 2> /dev/null || true
  find /sys/fs/cgroup/*/kubepods -depth -type d -exec rmdir {} + 2> /dev/null || true
}

kill_one() {
  local file=$state/$1.pid
  [ -f "$file" ] || return 0
  kill "$(cat "$file")" 2> /dev/null || true
  rm "$file"
}

case $command in
  build | start | stop) "$command" ;;
  *) echo "usage: cluster.sh build|start|stop CACHE" >&2; exit 2 ;;
esac
