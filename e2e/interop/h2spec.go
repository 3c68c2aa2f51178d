// HTTP/2 conformance: h2spec as a library, so that its results come case by case, and a server that it finds nothing wrong with.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

func h2spec(host, port string) (Report, error) {
	number, err := strconv.Atoi(port)
	if err != nil {
		return Report{}, err
	}
	// It prints as it goes, and ends the process when it cannot connect.
	output := os.Stdout
	os.Stdout = os.Stderr
	defer func() { os.Stdout = output }()
	c := &config.Config{
		// The defaults of its command line.
		Host: host, Port: number, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000,
		Strict: true,
	}
	var report Report
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		collect(&report, group)
	}
	return report, nil
}

func collect(report *Report, group *spec.TestGroup) {
	for _, test := range append(group.Tests, group.StrictTests...) {
		if test.Result == nil {
			continue
		}
		name := fmt.Sprintf("%s/%d %s", group.ID(), test.Result.Sequence, test.Desc)
		report.add(name, test.Result.Error)
		if test.Result.Skipped {
			report.Cases[len(report.Cases)-1].Outcome = skipped
		}
	}
	for _, inner := range group.Groups {
		collect(report, inner)
	}
}

// serveH2C answers every request once it has read its body.
func serveH2C(port string) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{
		Addr:      ":" + port,
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			fmt.Fprintln(w, "an answer of more than a few bytes")
		}),
	}
	return server.ListenAndServe()
}
