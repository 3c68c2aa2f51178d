#!/bin/bash
# Writes certificates and kubeconfigs of node K: `pki.sh K`. Node 1 also gets the authorities.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
use_node "$1"
mkdir -p "$state/pki"
cd "$state/pki"
printf '[req]\ndistinguished_name=dn\nprompt=no\n[dn]\n' >openssl.cnf   # the system's file would add extensions

certificate() { # NAME SUBJECT EXTENSION...
  local name=$1 subject=$2 extensions=()
  shift 2
  while (($#)) && [[ $1 != -* ]]; do extensions+=(-addext "$1"); shift; done
  openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -subj "$subject" -keyout "$name.key" -out "$name.crt" "${extensions[@]}" "$@" 2>>openssl.log
}
authority() { certificate "$1" "/CN=$1" basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign; }
leaf() { # AUTHORITY NAME SUBJECT [ALTERNATIVE-NAMES]
  certificate "$2" "$3" basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
    extendedKeyUsage=clientAuth,serverAuth ${4:+"subjectAltName=$4"} -CA "$1.crt" -CAkey "$1.key"
}
kubeconfig() { # CERTIFICATE SERVER
  cat >"$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: weft
contexts: [{name: weft, context: {cluster: weft, user: $1}}]
clusters: [{name: weft, cluster: {server: "https://$2", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
YAML
}

if [[ $k == 1 ]]; then
  authority ca
  # Never the same as ca: with it any client could say that it is the API server
  # and speaks for whomever it likes.
  authority front-proxy-ca
  names=IP:127.0.0.1,IP:$address,IP:$address6,IP:$api_service,DNS:localhost,DNS:kubernetes
  names+=,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
  leaf ca apiserver /CN=kube-apiserver "$names"
  leaf ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  leaf front-proxy-ca front-proxy-client /CN=front-proxy-client
  leaf ca admin /O=system:masters/CN=admin
  leaf ca controller-manager /CN=system:kube-controller-manager
  leaf ca scheduler /CN=system:kube-scheduler
  openssl ecparam -name prime256v1 -genkey -noout -out service-accounts.key
  openssl pkey -in service-accounts.key -pubout -out service-accounts.pub
  kubeconfig admin "127.0.0.1:$port"
  kubeconfig controller-manager 127.0.0.1:6443
  kubeconfig scheduler 127.0.0.1:6443
else
  cp "$base"/1/pki/ca.{crt,key} .
fi
leaf ca kubelet "/O=system:nodes/CN=system:node:$node" "IP:$address,IP:$address6,DNS:$node"
leaf ca kube-proxy /CN=system:kube-proxy
kubeconfig kubelet 10.250.0.1:6443
kubeconfig kube-proxy 10.250.0.1:6443
