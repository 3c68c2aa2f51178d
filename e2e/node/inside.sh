#!/bin/bash
# Process 1 of node K: makes the surroundings its own, then keeps the daemons running. up.sh starts it.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_node "$1"
bin=$state/programs
config=$state/config
# Outside of fresh namespaces the lines below would take the machine apart.
[[ $$ == 1 ]] || fail "only for process 1 of a node"

# --- Mounts: seen by this node only, gone with it.
mount --make-rprivate /   # first, lest the rest shows outside
mount --make-rshared /    # among ourselves: the kubelet insists
mount -t proc proc /proc
mkdir -p "$state"/var/{lib/kubelet,lib/cni,lib/etcd,log}
mount --bind "$state/var" /var
# In memory, as it need not outlive the node: a busy disk would slow down every write to the API.
mount -t tmpfs -o mode=700 etcd /var/lib/etcd
mount -t tmpfs -o mode=755 run /run
mount --bind "$config/resolv.conf" /etc/resolv.conf
# The kubelet would set these three for the whole machine. It leaves them alone
# when they read as it wishes, so it reads files of ours.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file=$config/${setting%=*}
  mkdir -p "${file%/*}"
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done

# --- Network: every interface has both its ends in here, so there is no way out.
set_sysctl() { echo "$2" >"/proc/sys/$1"; }
set_sysctl kernel/hostname "$node"
ip link set lo up
set_sysctl net/ipv6/conf/all/accept_dad 0       # nobody else could have our addresses:
set_sysctl net/ipv6/conf/default/accept_dad 0   # they can be used at once
# A bridge without ports does what a dummy interface does, and every kernel has
# it. Its address would change with its ports if it were not given one.
ip link add node0 address "02:00:00:00:00:0$k" type bridge
ip link set node0 up
ip address add "$address/16" dev node0
ip address add "$address6/64" dev node0
# kube-proxy's rules come after the look-up of a route, so services need one.
ip route add "$services" dev node0 src "$address"
ip route add "$services6" dev node0 src "$address6"
# A refusal and not the lack of a route: a UDP socket ignores the latter and
# waits for its time-out. The kernel rations refusals unless told not to.
ip route add prohibit default
ip -6 route add prohibit default
set_sysctl net/ipv4/icmp_ratelimit 0
set_sysctl net/ipv6/icmp/ratelimit 0
set_sysctl net/ipv4/ip_forward 1
set_sysctl net/ipv6/conf/all/forwarding 1
# Pods of one bridge answer each other directly, past the connection tracking
# that has to translate a service's address back.
set_sysctl net/bridge/bridge-nf-call-iptables 1
set_sysctl net/bridge/bridge-nf-call-ip6tables 1

# --- Daemons.
daemon() { # PROGRAM ARGUMENT...: again and again
  local name=$1
  while :; do
    echo "--- $(date +%T.%N) start"
    "$@" || echo "--- ended with $?"
    sleep 0.5
  done >>"$state/log/$name.log" 2>&1 &
}
PATH=$bin:$PATH
cd "$state/pki"

if [[ $k == 1 ]]; then
  daemon etcd --name "$node" --data-dir /var/lib/etcd/data --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster "$node=http://127.0.0.1:2380"
  # kubelets are known to nobody by name: InternalIP, or logs and exec would need a DNS entry.
  daemon kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --advertise-address "$address" \
    --service-cluster-ip-range "$services,$services6" --allow-privileged --profiling=false \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --client-ca-file ca.crt --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key \
    --kubelet-certificate-authority ca.crt --kubelet-client-certificate apiserver-kubelet-client.crt \
    --kubelet-client-key apiserver-kubelet-client.key --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file service-accounts.pub --service-account-signing-key-file service-accounts.key \
    --requestheader-client-ca-file front-proxy-ca.crt --requestheader-allowed-names front-proxy-client \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file front-proxy-client.crt --proxy-client-key-file front-proxy-client.key
fi
daemon containerd --config "$config/containerd.toml"
# Whoever starts before the API server backs off for seconds.
until curl -sf -o /dev/null --max-time 2 --cacert ca.crt https://10.250.0.1:6443/readyz; do sleep 0.05; done
if [[ $k == 1 ]]; then
  # The default of 20 requests a second makes the start 5 s longer.
  daemon kube-controller-manager --kubeconfig controller-manager.kubeconfig --kube-api-qps 200 --kube-api-burst 400 \
    --bind-address 127.0.0.1 --leader-elect=false --profiling=false --use-service-account-credentials \
    --service-account-private-key-file service-accounts.key --root-ca-file ca.crt \
    --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key \
    --flex-volume-plugin-dir /var/lib/flexvolume --node-monitor-grace-period 12s
  daemon kube-scheduler --kubeconfig scheduler.kubeconfig --bind-address 127.0.0.1 --leader-elect=false --profiling=false
fi
daemon kubelet --config "$config/kubelet.yaml" --kubeconfig kubelet.kubeconfig \
  --node-ip "$address,$address6" --hostname-override "$node"
daemon kube-proxy --config "$config/kube-proxy.yaml"

# As process 1 bash also reaps what containerd's shims leave behind.
while :; do wait -n || true; sleep 0.2; done
