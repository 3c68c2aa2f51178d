// sdk does with a cluster what programs on smi-sdk-go do, with every kind at every version that the SDK has, and tells
// what came of it.
//
//	sdk verbs NAMESPACE      each verb of each client, and whether what is read is what was written (verbs.go)
//	sdk versions NAMESPACE   an object of one version that a client of another one edits (versions.go)
//	sdk rollout NAMESPACE    a TrafficSplit in the hands of a controller like Flagger's or Argo Rollouts' (rollout.go)
//
// It prints one JSON object, a Report, to standard output, and succeeds when it could ask every question. The cluster is
// that of KUBECONFIG.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// limit is for all questions of a command together.
const limit = 4 * time.Minute

// Case is one question and its answer.
type Case struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
	Verb    string `json:"verb"`
	// Why it failed, else empty.
	Failure string `json:"failure"`
}

// Report is what a command prints.
type Report struct {
	Cases []Case `json:"cases"`
}

func (r *Report) add(kind, version, verb string, err error) {
	c := Case{Kind: kind, Version: version, Verb: verb}
	if err != nil {
		c.Failure = err.Error()
	}
	r.Cases = append(r.Cases, c)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "sdk: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	commands := map[string]func(context.Context, *rest.Config, string, *Report) error{
		"verbs": verbs, "versions": versions, "rollout": rollout}
	if len(args) != 2 || commands[args[0]] == nil {
		return fmt.Errorf("expected verbs, versions or rollout, and a namespace; got %q", args)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	// The default of 5 requests a second makes these questions take minutes.
	config.QPS, config.Burst = 200, 200
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	var report Report
	if err := commands[args[0]](ctx, config, args[1], &report); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}
