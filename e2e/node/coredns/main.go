// CoreDNS with the plug-ins of the cluster's Corefile and no other; none of them can ask a server outside.
//
// A module of its own: its dependencies and those of Kubernetes do not agree on versions.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// This order, not the Corefile's, is the order in which plug-ins see a query. `template` answers for whatever
	// `kubernetes` left over, so it has to be last; the stock order has it first.
	dnsserver.Directives = []string{"ready", "health", "errors", "cache", "kubernetes", "template"}
	coremain.Run()
}
