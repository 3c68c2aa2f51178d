// weft-node is the one small program of the local cluster: it makes a node, packs images and probes from inside pods.
//
//	weft-node run ...     namespaces of a node, and the way in (run.go)
//	weft-node pack ...    an image archive from a static binary (pack.go)
//	weft-node probe ...   server and client for the proof, also as image localhost/probe:dev (probe.go)
//	/pause                the process that holds a pod's namespaces
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	// In an image the binary carries the name of its part, because an entry point has no arguments.
	if name != "pause" && name != "probe" && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	commands := map[string]func([]string) error{"run": run, "pack": pack, "probe": probe, "pause": pause}
	command, known := commands[name]
	err := errors.New("no such command")
	if known {
		err = command(args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// pause reaps as well: in a pod with shareProcessNamespace it is everybody's process 1.
func pause([]string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			break
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}
