#!/bin/bash
# Writes the configuration files of node K: `config.sh K`.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_node "$1"
mkdir -p "$state/config/cni"
cd "$state/config"

# Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj: unless it is
# restricted, no sandbox starts on such a machine, while the node looks healthy.
cat >containerd.toml <<TOML
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:dev"
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$state/config/cni"
TOML

# No masquerading, as there is nowhere to go; hairpin, or a pod could not reach
# itself through its service.
cat >cni/pods.conflist <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}], [{"subnet": "$pods6"}]]}}]}
JSON

# Empty: the machine's names a server that nobody in here must ask.
: >resolv.conf

# The lease is renewed every 3 s and its loss noticed after 12 s (node-monitor-grace-period).
# Images cannot be pulled again and a test may fill the disk: no collection, no eviction for disks.
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/kubelet.crt
tlsPrivateKeyFile: $state/pki/kubelet.key
clusterDomain: cluster.local
clusterDNS: [$dns_service]
volumePluginDir: /var/lib/flexvolume
cgroupDriver: cgroupfs
cgroupRoot: /$group
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: [pods]
makeIPTablesUtilChains: false
nodeLeaseDurationSeconds: 12
serializeImagePulls: false
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
YAML

# minSyncPeriod is 1 s by default, which every test of a changed service would wait for.
# The zeros leave the machine's connection tracking as it is.
cat >kube-proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
nftables: {minSyncPeriod: 100ms}
hostnameOverride: $node
clientConnection: {kubeconfig: $state/pki/kube-proxy.kubeconfig}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/48
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
